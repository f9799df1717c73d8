"""Between our records and DNS data, in both directions. Pure, with dnspython.

    to_rdata(kind, value) -> Rdata          from_rdata(rdata) -> value
    text_chunks(value) -> [bytes]           a TXT text as strings of at most 255 octets (RFC 1035 section
    3.3.14) quoted(value) -> str                    a TXT text as a zone file wants it (RFC 1035 section
    5.1)

TXT data is built from octets, never parsed from text: in master file syntax `;` starts a comment, so that
`v=DMARC1; p=none` would silently become `v=DMARC1`.
Texts map to octets by UTF-8 with surrogateescape, so that any foreign octets survive the way there and back.
"""

from __future__ import annotations

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.DNAME import DNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

IN = dns.rdataclass.IN
CHUNK = 255


def absolute(name: str) -> dns.name.Name:
    """`alpha.test` as an absolute dnspython name."""
    return dns.name.from_text(name, dns.name.root)


def plain(name: dns.name.Name) -> str:
    """An absolute dnspython name as `alpha.test`: lower case, no final dot (the root stays `.`)."""
    return name.to_text(omit_final_dot=True).lower()


def text_chunks(value: str) -> list[bytes]:
    octets = value.encode("utf-8", "surrogateescape")
    return [octets[start : start + CHUNK] for start in range(0, len(octets), CHUNK)] or [b""]


def to_rdata(kind: str, value: str) -> dns.rdata.Rdata:
    """The data of one record; `value` as in model.records.Record."""
    if kind in ("A", "AAAA", "MX"):
        return dns.rdata.from_text(IN, kind, value, origin=dns.name.root, relativize=False)
    if kind == "TXT":
        return TXT(IN, dns.rdatatype.TXT, text_chunks(value))
    raise ValueError(f"no data for type {kind}")


def from_rdata(rdata: dns.rdata.Rdata) -> str:
    """The canonical value of one record that was read."""
    if isinstance(rdata, A | AAAA):
        return str(rdata.address)
    if isinstance(rdata, MX):
        return f"{rdata.preference} {plain(rdata.exchange)}"
    if isinstance(rdata, TXT):
        return b"".join(rdata.strings).decode("utf-8", "surrogateescape")
    if isinstance(rdata, CNAME | DNAME):
        return plain(rdata.target)
    return str(rdata.to_text())


def quoted(value: str) -> str:
    """One or more quoted strings, each at most 255 octets; what is not printable ASCII as \\DDD."""
    return " ".join('"' + "".join(map(_escaped, chunk)) + '"' for chunk in text_chunks(value))


def _escaped(octet: int) -> str:
    if octet in b'"\\':
        return "\\" + chr(octet)
    return chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03d}"
