"""A small DNS of its own on loopback: a root, the zone `zz` below it, two servers for the zones below that, a resolver.

    read(zones) -> Servers             what each address holds
    with serving(servers) as port: …   all of it at this port

Root and `zz` are at 127.0.0.1, ns1 at 127.0.0.2, ns2 at 127.0.0.3, the resolver at 127.0.0.9. It answers as RFC 1034
section 4.3.2 has it, with signatures and NSEC records where they are asked for (RFC 4035 section 3.1). Raises OSError
where the ports cannot be opened.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone

from mailprov.selftest.zone_texts import FIRST, RESOLVER, ROOT, SECOND, Zone, delegation

_TRIES = 50  # until a port is free at all addresses, for UDP and for TCP
_ALIASES = 8
Held = dict[dns.name.Name, dns.zone.Zone]
Servers = dict[str, Held]


def read(zones: Mapping[str, Zone]) -> Servers:
    tops = {
        ".": f"$TTL 300\n. SOA r. h. 1 3600 600 86400 60\n. NS r.\nr. A {ROOT}\nzz. NS r.\n",
        "zz.": "$ORIGIN zz.\n$TTL 300\n@ SOA r. h. 1 3600 600 86400 60\n@ NS r.\n"
        + "".join(delegation(name) if each.above is None else each.above for name, each in zones.items()),
    }
    top = {dns.name.from_text(name): _zone(text, name) for name, text in tops.items()}
    first = {dns.name.from_text(name): _zone(each.first, name) for name, each in zones.items() if each.first}
    second = {
        dns.name.from_text(name): _zone(each.second, name) for name, each in zones.items() if each.second
    }
    above = top[dns.name.from_text("zz.")]
    known = {name: each for name, each in first.items() if above.get_rdataset(name, "NS")}
    return {ROOT: top, FIRST: first, SECOND: second, RESOLVER: {**top, **known}}


@contextmanager
def serving(servers: Servers) -> Iterator[int]:
    with ExitStack() as ends:
        port, sockets = _opened(tuple(servers))
        for udp, tcp in sockets.values():
            ends.callback(udp.close)
            ends.callback(tcp.close)
        stop, wake = socket.socketpair()
        ends.callback(stop.close)
        thread = threading.Thread(target=_serve, args=(servers, sockets, stop), daemon=True)
        thread.start()
        ends.callback(thread.join)
        ends.callback(wake.close)
        yield port


def _zone(text: str, name: str) -> dns.zone.Zone:
    return dns.zone.from_text(text, name if name.endswith(".") else f"{name}.", relativize=False)


def _opened(addresses: tuple[str, ...]) -> tuple[int, dict[str, tuple[socket.socket, socket.socket]]]:
    for left in reversed(range(_TRIES)):
        made: dict[str, tuple[socket.socket, socket.socket]] = {}
        port = 0
        try:
            for address in addresses:
                tcp = socket.create_server((address, port))
                port = tcp.getsockname()[1]
                udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                made[address] = udp, tcp
                udp.bind((address, port))
        except OSError:
            for pair in made.values():
                for sock in pair:
                    sock.close()
            if not left:
                raise
        else:
            return port, made
    raise AssertionError


def _serve(
    servers: Servers, sockets: dict[str, tuple[socket.socket, socket.socket]], stop: socket.socket
) -> None:
    with selectors.DefaultSelector() as waiting:
        waiting.register(stop, selectors.EVENT_READ)
        for address, pair in sockets.items():
            for each in pair:
                waiting.register(each, selectors.EVENT_READ, address)
        while True:
            for key, _mask in waiting.select():
                address = key.data
                if address is None:
                    return
                sock = cast(socket.socket, key.fileobj)
                if sock.type == socket.SOCK_DGRAM:
                    wire, peer = sock.recvfrom(65535)
                    with suppress(OSError, dns.exception.DNSException):
                        sock.sendto(_wire(servers[address], wire, address == RESOLVER, 0), peer)
                else:
                    one = sock.accept()[0]
                    threading.Thread(
                        target=_over_tcp, args=(servers[address], one, address == RESOLVER), daemon=True
                    ).start()


def _over_tcp(held: Held, sock: socket.socket, resolves: bool) -> None:
    with suppress(OSError, dns.exception.DNSException), sock, sock.makefile("rb") as lines:
        wire = lines.read(int.from_bytes(lines.read(2), "big"))
        reply = _wire(held, wire, resolves, 65535)
        sock.sendall(len(reply).to_bytes(2, "big") + reply)


def _wire(held: Held, wire: bytes, resolves: bool, size: int) -> bytes:
    query = dns.message.from_wire(wire)
    reply = answer(held, query, resolves)
    try:
        return reply.to_wire(max_size=size or max(512, query.payload))
    except dns.exception.TooBig:
        short = dns.message.make_response(query)
        short.flags |= dns.flags.TC | (reply.flags & dns.flags.AA)
        return short.to_wire()


def answer(held: Held, query: dns.message.Message, resolves: bool) -> dns.message.Message:
    """Of a server that holds these zones; of a resolver that knows these, where it `resolves`."""
    reply = dns.message.make_response(query)
    if resolves:
        reply.flags |= dns.flags.RA
    name, kind = query.question[0].name, query.question[0].rdtype
    signed = bool(query.ednsflags & dns.flags.DO)
    for _alias in range(_ALIASES):
        zone = _holding(held, name, kind)
        if zone is None:
            if not reply.answer:
                reply.set_rcode(dns.rcode.REFUSED)
            return reply
        if (cut := _cut(zone, name, kind)) is not None:
            _refer(zone, cut, reply)
            return reply
        if not resolves:
            reply.flags |= dns.flags.AA
        alias = _fill(zone, name, kind, signed, reply)
        if alias is None:
            return reply
        name = alias
    reply.answer.clear()
    reply.set_rcode(dns.rcode.SERVFAIL)  # they lead in a circle
    return reply


def _holding(held: Held, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.zone.Zone | None:
    """The nearest at or above the name. A DS record is the parent's, where that is held."""
    above = sorted((origin for origin in held if name.is_subdomain(origin)), key=len)
    if kind == dns.rdatatype.DS and len(above) > 1 and above[-1] == name:
        above.pop()
    return held[above[-1]] if above else None


def _cut(zone: dns.zone.Zone, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.name.Name | None:
    """Where the zone hands on what is at and below there."""
    assert zone.origin is not None
    for labels in range(len(zone.origin) + 1, len(name) + 1):
        each = name.split(labels)[1]
        if zone.get_rdataset(each, "NS") and not (kind == dns.rdatatype.DS and each == name):
            return each
    return None


def _refer(zone: dns.zone.Zone, cut: dns.name.Name, reply: dns.message.Message) -> None:
    servers = zone.get_rdataset(cut, "NS")
    assert servers is not None
    _add(reply.authority, cut, servers)
    for each in servers:
        if glue := zone.get_rdataset(each.target, "A"):
            _add(reply.additional, each.target, glue)


def _fill(
    zone: dns.zone.Zone,
    name: dns.name.Name,
    kind: dns.rdatatype.RdataType,
    signed: bool,
    reply: dns.message.Message,
) -> dns.name.Name | None:
    """What the zone has of it, or that it has not; gives the name that an alias leads to."""
    there = any(each.is_subdomain(name) for each in zone.nodes)
    owner = name if there else _wildcard(zone, name)
    for each in (kind, dns.rdatatype.CNAME):
        if owner is not None and (found := zone.get_rdataset(owner, each)):
            _add(reply.answer, name, found)
            if signed and (over := zone.get_rdataset(owner, dns.rdatatype.RRSIG, each)):
                _add(reply.answer, name, over)
            alias = each == dns.rdatatype.CNAME and kind != dns.rdatatype.CNAME
            return found[0].target if alias else None
    assert zone.origin is not None
    if owner is None and not reply.answer:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    soa = zone.get_rdataset(zone.origin, "SOA")
    assert soa is not None
    _add(reply.authority, zone.origin, soa)
    if signed and (over := zone.get_rdataset(zone.origin, dns.rdatatype.RRSIG, dns.rdatatype.SOA)):
        _add(reply.authority, zone.origin, over)
        _deny(zone, name, reply)
    return None


def _deny(zone: dns.zone.Zone, name: dns.name.Name, reply: dns.message.Message) -> None:
    """The NSEC records of the name, or of the one before it, and of the one before a wildcard."""
    proving = [each for each in zone.nodes if zone.get_rdataset(each, "NSEC")]
    for denied in (name, dns.name.from_text("*", zone.origin)):
        before = [each for each in proving if each <= denied]
        if before and not any(
            rrset.name == max(before) and rrset.rdtype == dns.rdatatype.NSEC for rrset in reply.authority
        ):
            for found in (
                zone.get_rdataset(max(before), "NSEC"),
                zone.get_rdataset(max(before), dns.rdatatype.RRSIG, dns.rdatatype.NSEC),
            ):
                if found:
                    _add(reply.authority, max(before), found)


def _wildcard(zone: dns.zone.Zone, name: dns.name.Name) -> dns.name.Name | None:
    """The one below the nearest name that there is (RFC 4592 section 3.3.1)."""
    while not any(each.is_subdomain(name) for each in zone.nodes):
        name = name.parent()
    star = dns.name.from_text("*", name)
    return star if star in zone.nodes else None


def _add(section: list[dns.rrset.RRset], name: dns.name.Name, found: dns.rdataset.Rdataset) -> None:
    section.append(dns.rrset.from_rdata_list(name, found.ttl, list(found)))
