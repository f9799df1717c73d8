"""PACC: the digest of the file by which mail programs set themselves up (draft-ietf-mailmaint-pacc). The file itself is
at the domain's web server (client/pacc.py).

Programs take the file only with its digest, so the two are one thing: there is a record only of what was read back in
this run; while the file changes there are those of both (run/configurations.py); and where nothing can be read, what
stands stays as it is (`kept`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from mailprov.i18n import N_, _
from mailprov.model import web
from mailprov.model.inventory import Domain, Inventory
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Follows, Need, Own, RecordType, Wishes


class PaccDigest(RecordType):
    name = "PACC"
    need = Need.OPTIONAL
    follows = Follows.MAIL
    why = N_("mail programs take the file that sets them up only if it has this digest")
    key = N_("web: true, at the host that gives out the file")
    places = (("TXT", re.compile(rf"_ua-auto-config\.{PLAIN}")),)

    def of_domain(self, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        for value in _values(wishes.inventory, domain) or ():
            from mailprov.model import pacc

            form = _("PACC: the digest of {url}")
            if domain.unread:
                form = _("PACC: publish it when {url} gives out the file with this digest")
            why = form.format(url=pacc.url(domain.name))
            yield Record(record_name(domain), "TXT", value, wishes.ttl, why, asked=False)

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


def record_name(domain: Domain) -> str:
    return f"_ua-auto-config.{domain.name}"


def kept(inventory: Inventory) -> Callable[[str], bool]:
    """Of a name at which mailprov has written and nothing is desired now."""
    waiting = {record_name(domain) for domain in inventory.domains if _values(inventory, domain) == ()}
    return waiting.__contains__


def _values(inventory: Inventory, domain: Domain) -> tuple[str, ...] | None:
    """None where there is to be no file; nothing where it is not known what is given out."""
    if web.host_of(inventory, domain) is None:
        return None
    from mailprov.client.pacc import wanted  # few hosts have a web server
    from mailprov.model import pacc

    file, url = wanted(inventory, domain), pacc.url(domain.name)
    if file is None:
        return None
    if domain.gives_out(url, file):
        return (pacc.record(file),)
    change = domain.pacc
    return change.values if change is not None and domain.gives_out(url, change.before) else ()


PACC = PaccDigest()
