"""A zone as its parent and each of its name servers give it, not only the one that answered first.

    Zones(resolver)
      .view(zone) -> View                        its servers, as zone and parent name them; kept for the run
      .all(servers, look) -> [result]            `look` at each server, side by side, in the servers' order
    View, Above, Server
    delegated(name)                              whether anybody could delegate a name like this

A server that does not answer costs the time of one question once: the others are asked meanwhile, and it is not asked
again (clients/resolver.py). Raises NoAnswer where not even the names of the servers are known.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import dns.flags
import dns.rcode
import dns.rdatatype
from dns.rdtypes.ANY.DS import DS

from mailprov.i18n import _
from mailprov.model.values import dataclass, field
from mailprov.probe.clients.resolver import NoAnswer, Resolver

T = TypeVar("T")

_AT_ONCE = 16
_MOST = (
    26  # servers of one zone that are looked at: no sound one has more, and a hostile one may name thousands
)
# Names that no public zone delegates (RFC 6761, RFC 6762, RFC 8375, RFC 9476; ICANN's .internal).
_PRIVATE = ("test", "example", "invalid", "localhost", "local", "internal", "onion", "alt", "home.arpa")


def delegated(name: str) -> bool:
    return not any(name == end or name.endswith(f".{end}") for end in _PRIVATE)


@dataclass(frozen=True)
class Server:
    """One address of one name server."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"


@dataclass(frozen=True)
class Above:
    """What the zone above says. `why`: why nothing is known of that, and the other fields say nothing. `private`: and
    nothing can be, as the name is not one of the public DNS. `absent`: it says that there is no such zone.
    """

    zone: str = ""
    server: str = ""  # who was asked
    names: tuple[str, ...] = ()
    glue: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ds: tuple[DS, ...] = ()
    absent: bool = False
    together: bool = (
        False  # it is served by a server of the zone itself, which does not say what it delegates
    )
    why: str = ""
    private: bool = False


@dataclass(frozen=True)
class View:
    zone: str
    names: tuple[str, ...]  # the zone's own NS
    above: Above
    servers: tuple[Server, ...] = ()  # all addresses of all names, those that only the parent has too
    nowhere: tuple[str, ...] = ()  # names without an address
    no_route: tuple[Server, ...] = ()  # addresses to which this machine has no route; not among `servers`


class Zones:
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._views: dict[str, View] = {}

    def view(self, zone: str) -> View:
        """Raises NoAnswer when no server of the zone answers."""
        with self._lock:
            lock = self._locks.setdefault(zone, threading.Lock())
        with lock:  # several probes come at once: one of them asks
            if zone not in self._views:
                self._views[zone] = self._look(zone)
            return self._views[zone]

    @staticmethod
    def all(servers: Collection[Server], look: Callable[[Server], T]) -> list[T]:
        if not servers:
            return []
        with ThreadPoolExecutor(min(_AT_ONCE, len(servers)), thread_name_prefix="zone") as pool:
            return list(pool.map(look, servers))

    def _look(self, zone: str) -> View:
        own = self._resolver.ask(zone, "NS").values
        above = self._above(zone)
        names = tuple(dict.fromkeys((*own, *above.names)))[:_MOST]

        def addresses(server: Server) -> tuple[str, ...]:
            try:
                found = self._resolver.addresses(server.name)
            except NoAnswer:
                found = ()
            return found or above.glue.get(server.name, ())

        found = self.all([Server(name, "") for name in names], addresses)
        every = [Server(name, address) for name, some in zip(names, found, strict=True) for address in some]
        reachable = tuple(each for each in every if self._resolver.way.source(each.address))
        nowhere = tuple(name for name, some in zip(names, found, strict=True) if not some)
        return View(
            zone,
            own,
            above,
            reachable[:_MOST],
            nowhere,
            tuple(each for each in every if each not in reachable),
        )

    def _above(self, zone: str) -> Above:
        if not delegated(zone):
            why = _("{zone} is a name for tests and private networks, which no public zone delegates")
            return Above(why=why.format(zone=zone), private=True)
        try:
            parent, servers = self._resolver.above(zone)
        except NoAnswer as error:
            return Above(why=str(error))
        why = _("no name server of {zone} is reachable from here").format(zone=parent)
        for name, address in servers:
            if not self._resolver.way.source(address):
                continue
            try:
                return self._delegation(zone, parent, Server(name, address))
            except NoAnswer as error:
                why = str(error)
        return Above(zone=parent, why=why)

    def _delegation(self, zone: str, parent: str, server: Server) -> Above:
        """Raises NoAnswer when this server does not answer for the parent."""
        reply = self._resolver.reply_of(server.name, server.address, zone, "NS")
        signers = self._resolver.reply_of(server.name, server.address, zone, "DS", dnssec=True)
        if signers.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not signers.flags & dns.flags.AA:
            form = _("{server} does not answer for {zone} with authority")
            raise NoAnswer(form.format(server=server, zone=parent))
        ds = tuple(
            rdata
            for rrset in signers.answer
            if rrset.rdtype == dns.rdatatype.DS and _plain(rrset.name) == zone
            for rdata in rrset
        )
        glue: dict[str, tuple[str, ...]] = {}
        for rrset in reply.additional:
            if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
                key = _plain(rrset.name)
                glue[key] = tuple(sorted({*glue.get(key, ()), *(rdata.address for rdata in rrset)}))
        names = tuple(
            sorted(
                _plain(rdata.target)
                for rrset in (*reply.answer, *reply.authority)
                if rrset.rdtype == dns.rdatatype.NS and _plain(rrset.name) == zone
                for rdata in rrset
            )
        )
        together = bool(reply.flags & dns.flags.AA) and bool(reply.answer)
        return Above(parent, str(server), names, {} if together else glue, ds, not names, together)


def _plain(name: object) -> str:
    text = str(name).lower()
    return text if text == "." else text.removesuffix(".")
