"""CAA: which authority may issue certificates for a name (RFC 8659).

At the hosts' names and at `mail_name`, where certificates come from an authority; never at a mail domain, whose website
may have its certificate from another one. A resolver that climbs from a name stops at the first CAA it meets, so what
stands at the domain holds there as it did.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mailprov.i18n import N_, _
from mailprov.model.inventory import Domain, Host, TlsMode
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Format, Need, Own, RecordType, Wishes

_TEXT = re.compile(r'(\d{1,3})\s+([A-Za-z0-9]+)\s+"?(.*?)"?', re.DOTALL)


def _parse(text: str) -> str:
    found = _TEXT.fullmatch(text.strip())
    return f'{int(found[1])} {found[2].lower()} "{found[3]}"' if found else text


class Caa(RecordType):
    name = "CAA"
    need = Need.RECOMMENDED
    why = N_("no other authority may issue a certificate for that name")
    formats = (
        Format("CAA", _parse, valid=lambda value: bool(re.fullmatch(r'\d{1,3} [a-z0-9]{1,15} ".*"', value))),
    )
    otherwise = N_("write `tls: {caa: off}` for none")
    key = N_(
        "tls.caa: the name by which the authority is known in such records, or off; Let's Encrypt's if it is used"
    )
    instead = N_("`tls: {caa: off}` leaves it at that")
    places = (("CAA", re.compile(PLAIN)),)
    at_domains = False

    def of_host(self, host: Host, wishes: Wishes) -> Iterator[Record]:
        yield from _of(host.fqdn, host, wishes)

    def of_domain(self, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        if domain.mail_name:
            yield from _of(domain.mail_name, wishes.inventory.host(domain.hosts[0]), wishes)

    def alone(self, name: str, kind: str, value: str) -> bool:
        return kind == "CAA" and value.split(" ")[1:2] == ["issue"]

    def judge(self, values: Sequence[str], wanted: str) -> str:
        if wanted in values:
            return _("the authority of this inventory is among them")
        return _(
            "the authority of this inventory is not among them, so it will issue and renew nothing for this name"
        )

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


def _of(name: str, host: Host, wishes: Wishes) -> Iterator[Record]:
    acme = host.tls.acme
    if host.tls.mode is TlsMode.ACME and acme.authority and name not in wishes.mail_names:
        why = _("CAA: certificates for {name} come from {authority}").format(
            name=name, authority=acme.authority
        )
        value = f'0 issue "{acme.authority}"'
        yield Record(name, "CAA", value, wishes.ttl, why, asked=acme.caa is not None)


CAA = Caa()
