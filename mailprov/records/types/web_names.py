"""The names by which programs find the files that a host's web server has of a domain (model/web.py).

Each leads to the host by its name, so an authority that asks for CAA records of it finds the host's. Where such a name
is somebody else's, it stays theirs. Where the host has no web server, as a server of somebody else has its ports, there
are none, and what stands stays as it is (`kept`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from mailprov.i18n import N_, _
from mailprov.model import web
from mailprov.model.inventory import Domain, Inventory
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Follows, Need, Own, RecordType, Wishes
from mailprov.records.types.cname import CNAME


class WebNames(RecordType):
    name = N_("web name")
    need = Need.OPTIONAL
    follows = Follows.MAIL
    why = N_("mail programs and other servers fetch there what they must know of the domain")
    key = N_("web: true, at the host that they lead to")
    formats = (CNAME,)
    places = (("CNAME", re.compile(rf"({'|'.join((*web.LABELS, web.WEBMAIL))})\.{PLAIN}")),)

    def of_name(self, name: str, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        host = web.host_of(wishes.inventory, domain)
        if host is None or domain.web_waits:
            return
        for below in web.names_below(wishes.inventory, domain, name):
            why = _("the web server of {host} has files of {domain}").format(host=host.name, domain=name)
            yield Record(below, "CNAME", host.fqdn, wishes.ttl, why, asked=False)

    def alone(self, name: str, kind: str, value: str) -> bool:
        # That of autodiscover is AUTODISCOVER's.
        return kind == "CNAME" and name.startswith(("autoconfig.", "mta-sts.", "ua-auto-config.", "webmail."))

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


def kept(inventory: Inventory) -> Callable[[str], bool]:
    """Of a name at which mailprov has written and nothing is desired now."""
    waiting = {name for each in inventory.domains if each.web_waits for name in web.names(inventory, each)}
    return waiting.__contains__


WEB_NAMES = WebNames()
