"""A type of record in one module, as another would be in records/types: a CAA (RFC 8659) unlike mailprov's own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.model.inventory import Host
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Format, Need, Own, RecordType, Wishes


def _one_spelling(text: str) -> str:
    flags, tag, value = text.split(" ", 2)
    return f'{int(flags)} {tag.lower()} "{value.strip(chr(34))}"'


class Caa(RecordType):
    name = "CAA"
    need = Need.OPTIONAL
    why = "only the authority named here may issue certificates for the host"
    formats = (
        Format(
            "CAA",
            _one_spelling,
            rank=lambda value: int(value.split()[0]),
            valid=lambda value: bool(re.fullmatch(r'\d{1,3} [a-z]+ ".*"', value)),
        ),
    )
    otherwise = "; or let that authority issue the certificates"
    places = (("CAA", re.compile(PLAIN)),)

    def of_host(self, host: Host, wishes: Wishes) -> Iterator[Record]:
        why = f"CAA: certificates of {host.name} come from ca.test"
        yield Record(host.fqdn, "CAA", '0 issue "ca.test"', wishes.ttl, why)

    def alone(self, name: str, kind: str, value: str) -> bool:
        return kind == "CAA" and " issue " in value

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False
