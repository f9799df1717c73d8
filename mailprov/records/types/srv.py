"""SRV: how mail programs find the servers of a domain (RFC 6186, RFC 8314 section 5.1, RFC 5804 section 1.8), and where
Outlook asks for its settings (MS-OXDSCLI section 3.1.5.2). Pure.

All lead to the name that users' programs connect to, which the certificate has. TLS from the first byte comes before
STARTTLS. A target of `.` says that there is no such service (RFC 6186 section 3.4): one that the host does not offer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model import web
from mailprov.model.inventory import Domain
from mailprov.model.ports import SERVICES, TlsStart
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Follows, Format, Need, Own, RecordType, Wishes

_OFF = "0 0 0 ."
_AUTODISCOVER = "autodiscover"


def _parse(text: str) -> str:
    priority, weight, port, target = text.split()
    return f"{int(priority)} {int(weight)} {int(port)} {target.lower().removesuffix('.') or '.'}"


def _render(value: str) -> str:
    *numbers, target = value.split()
    return f"{' '.join(numbers)} {target.removesuffix('.')}."


class Srv(RecordType):
    name = "SRV"
    need = Need.OPTIONAL
    follows = Follows.MAIL
    why = N_("mail programs find the servers by the domain's name")
    formats = (
        Format(
            "SRV",
            _parse,
            _render,
            lambda value: int(value.split(maxsplit=1)[0]),
            lambda value: bool(re.fullmatch(r"(\d{1,5} ){3}\S{1,255}", value)),
        ),
    )
    otherwise = N_("or leave `srv` out")
    key = N_("domains.DOMAIN.srv: true publishes them")
    places = (("SRV", re.compile(rf"_({'|'.join((*SERVICES, _AUTODISCOVER))})\._tcp\.{PLAIN}")),)

    def of_name(self, name: str, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        if not domain.srv:
            return
        host = wishes.inventory.host(domain.hosts[0])
        target = domain.mail_name or host.fqdn
        for service, port in SERVICES.items():
            if not host.offers(port):
                why = _("SRV: {domain} has no {service}").format(service=service, domain=name)
                yield Record(f"_{service}._tcp.{name}", "SRV", _OFF, wishes.ttl, why)
                continue
            priority = 0 if port.tls is TlsStart.IMPLICIT or service == "sieve" else 10
            why = _("SRV: where {service} of {domain} is").format(service=service, domain=name)
            value = f"{priority} 1 {port.number} {target}"
            yield Record(f"_{service}._tcp.{name}", "SRV", value, wishes.ttl, why)
        # The answer there cannot say who logs in, so it is for those who log in as the address that they typed.
        if name == domain.name and web.has(host) and not domain.web_waits:
            why = _("SRV: where Outlook asks for the settings of {domain}").format(domain=name)
            yield Record(f"_{_AUTODISCOVER}._tcp.{name}", "SRV", f"0 1 443 {target}", wishes.ttl, why)

    def alone(self, name: str, kind: str, value: str) -> bool:
        return kind == "SRV"

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


SRV = Srv()
