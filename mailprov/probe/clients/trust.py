"""What a resolver that checks signatures says of a record set (RFC 4035 section 4.3).

    Trust
    trust(resolver, seconds, name, kind, zone)     asks it; only on this very machine its word for "secure" counts

Raises nothing.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import ip_address

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver

from mailprov.probe.clients.ways import HERE, Way


class Trust(Enum):
    """What a resolver that checks signatures makes of a record set in a signed zone (RFC 4035 section 4.3)."""

    SECURE = "secure"
    INSECURE = "insecure"  # no DS record leads to the zone
    BOGUS = "bogus"
    UNKNOWN = "unknown"  # this machine's resolver does not check, or its word cannot be relied on


def trust(
    resolver: dns.resolver.Resolver, seconds: float, name: str, kind: str, zone: str, way: Way = HERE
) -> Trust:
    """Of a set that is there (RFC 4035 section 4.9.3)."""

    def ask(name: str, kind: str, flags: int = dns.flags.AD) -> dns.message.Message:
        query = dns.message.make_query(name, kind, want_dnssec=True)
        query.flags |= flags
        return way.exchange(query, server, resolver.port, seconds)

    try:
        server = str(resolver.nameservers[0])
        reply = ask(name, kind)
        if reply.rcode() == dns.rcode.SERVFAIL:
            reply = ask(name, kind, dns.flags.CD)
            return Trust.BOGUS if reply.answer else Trust.UNKNOWN
        if reply.flags & dns.flags.AD:
            return Trust.SECURE if ip_address(server).is_loopback else Trust.UNKNOWN
        above = ask(zone, "DS")
    except (dns.exception.DNSException, OSError, EOFError, ValueError, IndexError):
        return Trust.UNKNOWN
    parents = (rrset.name for rrset in above.authority if rrset.rdtype == dns.rdatatype.SOA)
    known = above.rcode() == dns.rcode.NOERROR and not above.answer
    if known and any(dns.name.from_text(zone).is_subdomain(one) for one in parents):
        return Trust.INSECURE
    return Trust.UNKNOWN
