"""Whether a zone is signed with DNSSEC, as its own name servers show it (RFC 4035 section 2).

    asked(zones) -> {zone: bool or None}     finds and asks a name server of each; None where none would tell
    question(zone) -> message                for the zone's keys and the signature over them
    told(zone, answer) -> bool | None

Keys without a signature protect nothing, so both are needed. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

SECONDS = 3.0  # one question
PORT = 53


def question(zone: str) -> dns.message.QueryMessage:
    return dns.message.make_query(dns.name.from_text(zone), "DNSKEY", want_dnssec=True)


def told(zone: str, answer: dns.message.Message) -> bool | None:
    if answer.rcode() != dns.rcode.NOERROR or not answer.flags & dns.flags.AA:
        return None
    owner = dns.name.from_text(zone)
    found = {(rrset.rdtype, rrset.covers) for rrset in answer.answer if rrset.name == owner}
    key = dns.rdatatype.DNSKEY
    return (key, dns.rdatatype.NONE) in found and (dns.rdatatype.RRSIG, key) in found


def asked(zones: Collection[str]) -> Mapping[str, bool | None]:
    try:
        resolver = dns.resolver.Resolver()
    except dns.exception.DNSException:
        return dict.fromkeys(zones)
    resolver.lifetime = SECONDS
    return {zone: _ask(resolver, zone) for zone in sorted(zones)}


def _ask(resolver: dns.resolver.Resolver, zone: str) -> bool | None:
    try:
        servers = [one.target for one in resolver.resolve(dns.name.from_text(zone), "NS")]
        addresses = [
            str(one)
            for server in servers
            for one in resolver.resolve_name(server, lifetime=SECONDS).addresses()
        ]
    except dns.exception.DNSException:
        return None
    for address in addresses:
        try:
            answer, __ = dns.query.udp_with_fallback(question(zone), address, timeout=SECONDS, port=PORT)
        except (dns.exception.DNSException, OSError, EOFError):
            continue
        if (found := told(zone, answer)) is not None:
            return found
    return None
