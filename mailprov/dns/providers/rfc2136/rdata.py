"""Between DNS data, as dnspython has it, and what stands in zones, as mailprov means it (dns/rrsets.py). Pure.

    absolute(name), plain(name)          names
    rrset_of(rrset) -> RRset             as it was read
    exact(kind, stored) -> Rdata         one value exactly as it was read, or as mailprov writes it
    to_rdata(kind, value) -> Rdata       a value as mailprov writes it
    from_rdata(rdata) -> value

Both directions go through the text of zone files (RFC 1035 section 5.1), which records/types knows of each type: the
text of a set that was read is its values' `exact`, and gives the same octets again.
"""

from __future__ import annotations

from functools import lru_cache

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from mailprov.dns.rrsets import RRset, Stored
from mailprov.records import types

IN = dns.rdataclass.IN


def absolute(name: str) -> dns.name.Name:
    """`alpha.test` as an absolute dnspython name."""
    return dns.name.from_text(name, dns.name.root)


def plain(name: dns.name.Name) -> str:
    """An absolute dnspython name as `alpha.test`: lower case, no final dot (the root stays `.`)."""
    return name.to_text(omit_final_dot=True).lower()


def from_rdata(rdata: dns.rdata.Rdata) -> str:
    return types.parse(dns.rdatatype.to_text(rdata.rdtype), rdata.to_text())


def rrset_of(rrset: dns.rrset.RRset) -> RRset:
    kind = dns.rdatatype.to_text(rrset.rdtype)
    return RRset(rrset.ttl, tuple(Stored(types.parse(kind, text), text) for text in map(str, rrset)))


def exact(kind: str, stored: Stored) -> dns.rdata.Rdata:
    return _from_text(kind, stored.exact) if stored.exact else to_rdata(kind, stored.value)


def to_rdata(kind: str, value: str) -> dns.rdata.Rdata:
    return _from_text(kind, types.render(kind, value))


@lru_cache(maxsize=4096)
def _from_text(kind: str, text: str) -> dns.rdata.Rdata:
    return dns.rdata.from_text(IN, kind, text, origin=dns.name.root, relativize=False)
