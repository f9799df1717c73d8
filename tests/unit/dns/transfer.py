"""A whole zone of a real name server, by transfer."""

from __future__ import annotations

import dns.query
import dns.rdatatype
import dns.tsig
import dns.zone

from tests.unit.dns.servers import SECRET, NameServer

Zone = dict[tuple[str, str], tuple[int, frozenset[str]]]


def whole(name_server: NameServer, zone: str) -> Zone:
    """All that stands there but SOA and NS, values as text."""
    key = dns.tsig.Key("mailprov", SECRET, "hmac-sha256")
    found = dns.zone.from_xfr(
        dns.query.xfr("127.0.0.1", zone, port=name_server.port, keyring=key, relativize=False, lifetime=20),
        relativize=False,
        check_origin=False,
    )
    return {
        (name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(rdataset.rdtype)): (
            rdataset.ttl,
            frozenset(rdata.to_text() for rdata in rdataset),
        )
        for name, rdataset in found.iterate_rdatasets()
        if rdataset.rdtype not in (dns.rdatatype.SOA, dns.rdatatype.NS) and name.to_text() != f"ns.{zone}."
    }
