"""MX: where the mail of a domain goes (RFC 5321 section 5.1)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from mailprov.i18n import N_, _
from mailprov.model.hosted import Hosted, same_mx
from mailprov.model.inventory import Domain, Host
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Follows, Format, Need, Own, RecordType, Wishes


def _parse(text: str) -> str:
    preference, target = text.split()
    return f"{int(preference)} {target.lower().removesuffix('.') or '.'}"


def _render(value: str) -> str:
    preference, target = value.split()
    return f"{preference} {target.removesuffix('.')}."


def _rank(value: str) -> int:
    return int(value.split(maxsplit=1)[0])


class Mx(RecordType):
    name = "MX"
    need = Need.REQUIRED
    follows = Follows.MAIL
    why = N_("it names the hosts that take the domain's mail")
    formats = (
        # What stood before may be anybody's.
        Format("MX", _parse, _render, _rank, lambda value: bool(re.fullmatch(r"\d{1,5} \S{0,255}", value))),
    )
    otherwise = N_("name others who take its mail under the domain's `mx` first")
    key = N_(
        "domains.DOMAIN.hosts, in their order; domains.DOMAIN.mx: other preferences, and hosts of others"
    )
    places = (("MX", re.compile(PLAIN)),)

    def of_host(self, host: Host, wishes: Wishes) -> Iterator[Record]:
        own = wishes.inventory.sender_domain(host)
        if own != host.fqdn:
            why = _("bounces to what {host} forwards go to it").format(host=host.name)
            yield Record(own, "MX", f"10 {host.fqdn}", wishes.ttl, why)

    def of_name(self, name: str, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        # The lowest preference is tried first; steps of ten leave room for others.
        for each in domain.exchangers:
            target = wishes.inventory.host(each.host).fqdn if each.ours else each.host
            if each.ours:
                why = _("mail for {domain} goes to {host}").format(domain=name, host=each.host)
            else:
                why = _("mail for {domain} goes to {host}, which is not of this inventory").format(
                    domain=name, host=each.host
                )
            yield Record(name, "MX", f"{each.preference} {target}", wishes.ttl, why)

    def of_hosted(self, there: Hosted, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        why = _("mail for {name} goes to {provider}").format(
            name=domain.name, provider=_(there.provider.title)
        )
        for preference, target in there.mx:
            yield Record(domain.name, "MX", f"{preference} {target}", wishes.ttl, why)

    def alone(self, name: str, kind: str, value: str) -> bool:
        return kind == "MX"

    def serves(self, wanted: Collection[str], stands: Collection[str]) -> bool:
        return same_mx(
            {value.partition(" ")[2] for value in wanted},
            {value.partition(" ")[2]: _rank(value) for value in stands},
        )

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return kind == "MX" and name in own.domains and value.rpartition(" ")[2] in own.targets


MX = Mx()
