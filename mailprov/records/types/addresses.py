"""The addresses of hosts: A and AAAA (RFC 1035 section 3.4.1, RFC 3596)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.inventory import Domain, Host
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Format, Need, Own, RecordType, Wishes


def _one_spelling(text: str) -> str:
    """RFC 5952, or a record read back would look different."""
    return str(ipaddress.ip_address(text))


def _valid(value: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(value).version == version
    except ValueError:
        return False


class Addresses(RecordType):
    name = N_("address")
    need = Need.REQUIRED
    why = N_("an MX leads nowhere without the address of its host")
    formats = (
        Format("A", _one_spelling, valid=lambda value: _valid(value, 4)),
        Format("AAAA", _one_spelling, valid=lambda value: _valid(value, 6)),
    )
    key = N_("hosts.HOST.ipv4 and ipv6: the addresses to publish, if they are not those that SSH goes to")
    places = (("A", re.compile(PLAIN)), ("AAAA", re.compile(PLAIN)))

    def of_host(self, host: Host, wishes: Wishes) -> Iterator[Record]:
        yield from _of(host.fqdn, host, wishes.ttl)

    def of_domain(self, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        if domain.mail_name:
            yield from _of(domain.mail_name, wishes.inventory.host(domain.hosts[0]), wishes.ttl)

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return kind in ("A", "AAAA") and name in own.addresses


def _of(name: str, host: Host, ttl: int) -> Iterator[Record]:
    for kind, addresses in (("A", host.ipv4), ("AAAA", host.ipv6)):
        for address in addresses:
            why = _("address of {host}").format(host=host.name)
            yield Record(name, kind, _one_spelling(address), ttl, why)


ADDRESSES = Addresses()
