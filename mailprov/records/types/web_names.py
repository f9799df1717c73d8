"""The names by which programs find the files that a host's web server has of a domain (model/web.py).

Each leads to the host by its name, so an authority that asks for CAA records of it finds the host's. Where such a name
is somebody else's, it stays theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model import web
from mailprov.model.inventory import Domain
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

    def of_domain(self, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        host = web.host_of(wishes.inventory, domain)
        for name in web.names(domain) if host else ():
            assert host is not None
            why = _("the web server of {host} has files of {domain}").format(
                host=host.name, domain=domain.name
            )
            yield Record(name, "CNAME", host.fqdn, wishes.ttl, why, asked=False)

    def alone(self, name: str, kind: str, value: str) -> bool:
        # That of autodiscover is AUTODISCOVER's.
        return kind == "CNAME" and name.startswith(("autoconfig.", "mta-sts.", "webmail."))

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


WEB_NAMES = WebNames()
