"""PTR: the name of an address (RFC 1035 section 3.3.12), which receivers compare with the name in EHLO. Pure.

It stands in the zone of the address, which belongs to whoever gave it: mailprov writes it only where the inventory says
that the provider has these zones, too (`dns: {reverse: true}`), or names the zone in `dns.zones`. Else a plan says what
to ask the owner for.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from mailprov.i18n import N_, _
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Host
from mailprov.model.records import Record
from mailprov.records.types.base import Format, Need, Own, RecordType, Wishes


def _name(text: str) -> str:
    return text.lower().removesuffix(".") or "."


def task(addresses: Iterable[tuple[str, str]], dns: DnsSettings) -> str:
    """What to ask for, of (address, host's name); empty where there is nothing: private addresses have no names that
    others see, and others are ours to name.
    """
    public = [
        f"{address} {name}"
        for address, name in addresses
        if (known := ipaddress.ip_address(address)).is_global and not dns.reverse_at(known.reverse_pointer)
    ]
    if not public:
        return ""
    form = _(
        "PTR, required: have the owner of each address give it this name, or large receivers take no mail: {names}"
    )
    return form.format(names=", ".join(public))


class Ptr(RecordType):
    name = "PTR"
    need = Need.REQUIRED
    why = N_("large receivers take no mail from an address without a name")
    formats = (Format("PTR", _name, lambda value: f"{value.removesuffix('.')}."),)
    otherwise = N_("or leave `reverse` out of `dns`, and the address's zone out of `dns.zones`")
    key = N_(
        "dns.reverse: true where the provider has the zones of the hosts' addresses; else the plan says what to ask for"
    )
    places = (("PTR", re.compile(r"([0-9]{1,3}\.){4}in-addr\.arpa|([0-9a-f]\.){32}ip6\.arpa")),)

    def of_host(self, host: Host, wishes: Wishes) -> Iterator[Record]:
        for address in (*host.ipv4, *host.ipv6):
            name = ipaddress.ip_address(address).reverse_pointer
            if wishes.inventory.dns.reverse_at(name):
                why = _("PTR: {address} is {host}").format(address=address, host=host.name)
                yield Record(name, "PTR", host.fqdn, wishes.ttl, why)

    def alone(self, name: str, kind: str, value: str) -> bool:
        # RFC 2181 section 10.2 allows several; the receivers that compare take the first one.
        return kind == "PTR"

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


PTR = Ptr()
