"""DNS as the authoritative server gives it, not as a cache remembers it.

Public: Resolver, first_at, Answer, Trust, NoAnswer, BadAnswer, QueryTimeout, NotFromHere. Raises NoAnswer (a
ProbeError) when no authoritative server answers, BadAnswer where one answers with an error, QueryTimeout when it was
waited for in vain, NotFromHere when that is the fault of this machine's network; a name or type that is not there is
an Answer without values.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

from mailprov.i18n import _
from mailprov.model.dns import DnsSettings, NameServer
from mailprov.probe.clients import network
from mailprov.probe.clients.answers import (
    Answer,
    BadAnswer,
    NoAnswer,
    NotFromHere,
    NoZone,
    QueryTimeout,
    first_line,
    kind_of,
    plain,
    text,
)
from mailprov.probe.clients.connection import printable
from mailprov.probe.clients.trust import Trust, trust
from mailprov.probe.clients.ways import HERE, Way

__all__ = [
    "Answer",
    "BadAnswer",
    "NoAnswer",
    "NoZone",
    "NotFromHere",
    "QueryTimeout",
    "Resolver",
    "Trust",
    "first_at",
]

_WITH_SIGNATURES = ("DNSKEY", "TLSA")

# A server that kept us waiting this often, and answered nothing since, is not waited for again.
_PATIENCE = 2
_SERVERS_ABOVE = 4  # of the zone above


def first_at(settings: DnsSettings) -> Callable[[str], NameServer | None]:
    """The primary of the zone of each name, where the inventory names it."""
    return lambda name: settings.at(name).provider.name_server


class Resolver:
    """Asks the name server `first`, the primary of the zones in the inventory (`first_at`: of each name); where there
    is none or it does not have the zone, finds a zone's servers by itself. Answers are kept for the run.

    `resolver` (default: the system's) finds name servers and their addresses. Usable from several threads. `queries`
    is how many questions name servers were asked, those to `resolver` not counted.
    """

    name_server_port = 53

    def __init__(
        self,
        first: NameServer | Callable[[str], NameServer | None] | None,
        resolver: dns.resolver.Resolver | None = None,
        seconds: float = 5.0,
        way: Way = HERE,
    ) -> None:
        self._first = first if callable(first) else lambda name: first
        self._given = resolver
        self.way = way
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Answer | NoAnswer] = {}
        self._silent: Counter[tuple[str, bool]] = Counter()  # (address, over TCP) → times waited for in vain
        self._zones: dict[str, tuple[str, ...]] = {}  # zone → its name servers
        self._addresses: dict[str, tuple[str, ...]] = {}  # name server → its addresses
        self._fault: str | None = None  # of this machine's network; None: not looked at yet
        self.queries = 0

    def ask(self, name: str, kind: str) -> Answer:
        """The records of one name and type. Raises NoAnswer."""
        key = (name, kind)
        known = self._known.get(key)
        if known is None:
            try:
                known = self._ask(name, kind)
            except NoAnswer as error:
                known = error
            with self._lock:
                self._known[key] = known
        if isinstance(known, NoAnswer):
            raise type(known)(str(known))  # a new one: several threads may ask
        return known

    def addresses(self, name: str) -> tuple[str, ...]:
        """A and AAAA of a host name, IPv4 first, from its authoritative server, else from the resolver.
        Raises NoAnswer.
        """
        try:
            return self.ask(name, "A").values + self.ask(name, "AAAA").values
        except NoAnswer:
            return self._resolve(name, "A") + self._resolve(name, "AAAA")

    def mail_servers(self, domain: str) -> list[str]:
        """The MX targets of a domain, best preference first. Raises NoAnswer."""
        rows = [value.split() for value in self.ask(domain, "MX").values]
        return [name for __, name in sorted((int(preference), name) for preference, name in rows)]

    def zone_of(self, name: str) -> str:
        """The zone that holds a name: the nearest one at or above it that has a SOA. Raises NoAnswer."""
        labels = name.split(".")
        for start in range(len(labels)):
            parent = ".".join(labels[start:])
            if self.ask(parent, "SOA").values:
                return parent
        raise NoAnswer(_("{name} is in no zone").format(name=name))

    def signed(self, zone: str) -> bool:
        """Whether the zone's own servers give keys and a signature over them. Raises NoAnswer."""
        answer = self.ask(zone, "DNSKEY")
        return bool(answer.values) and answer.signed

    def trust(self, name: str, kind: str, zone: str) -> Trust:
        """What this machine's resolver makes of the signatures of a set that is there."""
        try:
            return trust(self._resolver(), self._seconds, name, kind, zone, self.way)
        except NoAnswer:
            return Trust.UNKNOWN

    def ask_at(self, server: str, address: str, name: str, kind: str, *, tcp: bool = False) -> Answer | None:
        """What one name server says now; None when it does not hold the zone. Raises NoAnswer when it is silent or
        broken.
        """
        return self._query(address, self._port(address, name), name, kind, server, tcp=tcp)

    def reply_of(
        self, server: str, address: str, name: str, kind: str, *, dnssec: bool = False
    ) -> dns.message.Message:
        """The same as a whole message, whatever is in it; with signatures where asked for. Raises NoAnswer."""
        return self._exchange(address, self._port(address, name), name, kind, server, dnssec=dnssec)

    def above(self, zone: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The zone above this one, and its servers as (name, address), in DNS's own order. Raises NoAnswer."""
        resolver = self._resolver()
        name = dns.name.from_text(zone).parent()
        try:
            parent = dns.resolver.zone_for_name(name, resolver=resolver, lifetime=2 * self._seconds)
            names = [text(rdata) for rdata in resolver.resolve(parent, "NS")]
        except dns.resolver.NoRootSOA:
            raise NoZone(_("this machine's resolver knows no zone above {zone}").format(zone=zone)) from None
        except dns.exception.DNSException as error:
            form = _("the zone above {zone} cannot be found: {error}")
            raise kind_of(error)(form.format(zone=zone, error=first_line(error))) from None
        servers: list[tuple[str, str]] = []
        for each in names[:_SERVERS_ABOVE]:
            try:
                servers += [
                    (each, address) for address in self._resolve(each, "A") + self._resolve(each, "AAAA")
                ]
            except NoAnswer:
                continue  # of several one is enough
        return plain(parent), tuple(servers)

    def from_the_resolver(self, name: str, kind: str) -> tuple[str, ...]:
        """What the resolver of this machine gives, cached or made up. Raises NoAnswer."""
        return self._resolve(name, kind)

    def _port(self, address: str, name: str) -> int:
        first = self._first(name)
        if first is not None and address in self._server_addresses(first.address):
            return first.port
        return self.name_server_port

    def _ask(self, name: str, kind: str) -> Answer:
        if (first := self._first(name)) is not None:
            for address in self._server_addresses(first.address):
                answer = self._query(address, first.port, name, kind, first.address)
                if answer is not None:
                    return answer
        errors: list[NoAnswer] = []
        known = self._servers_of(name)
        if known and (answer := self._from(known, name, kind, errors)) is not None:
            return answer
        servers = self._zone_servers(name)
        if servers != known and (answer := self._from(servers, name, kind, errors)) is not None:
            return answer
        if fault := self._fault_of_network(name):
            raise NotFromHere(fault)
        said = "; ".join(map(str, errors)) or _("none of them holds it")
        kinds = [type(error) for error in errors]
        kind_met = next((kind for kind in (BadAnswer, QueryTimeout) if kind in kinds), NoAnswer)
        raise kind_met(
            _("no authoritative answer for {name} {type} from {servers}: {reason}").format(
                name=name, type=kind, servers=", ".join(servers), reason=said
            )
        )

    def _from(self, servers: tuple[str, ...], name: str, kind: str, errors: list[NoAnswer]) -> Answer | None:
        """The first answer of these name servers, by turns; None when none of them holds the zone. `errors` gets why
        one gave none.
        """
        for server in servers:
            try:
                for address in self._addresses_of(server):
                    answer = self._query(address, self.name_server_port, name, kind, server)
                    if answer is not None:
                        return answer
            except NoAnswer as error:
                errors.append(error)
        return None

    def _addresses_of(self, server: str) -> tuple[str, ...]:
        """Kept for the run."""
        with self._lock:
            found = self._addresses.get(server)
        if found is None:
            found = self._resolve(server, "A") + self._resolve(server, "AAAA")
            with self._lock:
                self._addresses[server] = found
        return found

    def _servers_of(self, name: str) -> tuple[str, ...]:
        """Those of the nearest zone at or above it of which they are known. What is a zone of its own below that, they
        do not hold.
        """
        with self._lock:
            return self._zones.get(self._known_zone(name), ())

    def _known_zone(self, name: str) -> str:
        """The nearest zone at or above it of which the servers are known; empty when there is none."""
        labels = name.split(".")
        parents = (".".join(labels[start:]) for start in range(len(labels)))
        return next((parent for parent in parents if parent in self._zones), "")

    def _fault_of_network(self, name: str) -> str:
        """Looked at once (clients/network.py)."""
        if self._fault is None:
            try:
                parent, servers = self.above(self._known_zone(name) or name)
            except NoAnswer:
                parent, servers = "", ()
            self._fault = network.fault(
                parent,
                servers,
                lambda server, address: self._exchange(address, self.name_server_port, parent, "SOA", server),
                self.way.source,
            )
        return self._fault

    def _server_addresses(self, server: str) -> tuple[str, ...]:
        return (
            (server,)
            if dns.inet.is_address(server)
            else self._resolve(server, "A") + self._resolve(server, "AAAA")
        )

    def _exchange(
        self,
        address: str,
        port: int,
        name: str,
        kind: str,
        server: str,
        *,
        tcp: bool = False,
        dnssec: bool = False,
    ) -> dns.message.Message:
        """One question and what comes back. Whoever kept us waiting twice is not waited for again. Raises NoAnswer."""
        late = _("no answer from name server {server} port {port} within {seconds:g} s")
        mute = late.format(server=server, port=port, seconds=self._seconds)
        if self._silent[address, tcp] >= _PATIENCE:
            raise QueryTimeout(mute)
        try:  # a name that a record led to may leave no room for the labels before it
            query = dns.message.make_query(name, kind, use_edns=0, payload=1232, want_dnssec=dnssec)
        except dns.exception.DNSException as error:
            raise BadAnswer(
                _("{name} is no name that can be asked for: {error}").format(
                    name=printable(name), error=first_line(error)
                )
            ) from None
        query.flags &= ~dns.flags.RD  # we want what it holds, not what it can find out
        with self._lock:
            self.queries += 1
        try:
            reply = self.way.exchange(query, address, port, self._seconds, tcp=tcp)
        except (dns.exception.DNSException, OSError, EOFError) as error:
            if isinstance(error, dns.exception.Timeout):
                with self._lock:
                    self._silent[address, tcp] += 1
                raise QueryTimeout(mute) from None
            none = _("no answer from name server {server} port {port} ({error})")
            reason = first_line(error)
            raise NoAnswer(none.format(server=server, port=port, error=reason)) from None
        with self._lock:
            self._silent.pop((address, tcp), None)
        return reply

    def _query(
        self, address: str, port: int, name: str, kind: str, server: str, *, tcp: bool = False
    ) -> Answer | None:
        """One server's answer; None when it does not hold the zone. Raises NoAnswer when it is silent or
        broken.
        """
        signatures = kind in _WITH_SIGNATURES
        reply = self._exchange(address, port, name, kind, server, tcp=tcp, dnssec=signatures)
        code = reply.rcode()
        found = code in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}
        if code == dns.rcode.REFUSED or (found and not reply.flags & dns.flags.AA):
            return None
        if not found:
            raise BadAnswer(
                _("name server {server} answers {code} for {name} {type}").format(
                    server=server, code=dns.rcode.to_text(code), name=name, type=kind
                )
            )
        owner, wanted = dns.name.from_text(name), dns.rdatatype.from_text(kind)
        values, alias, ttl, signed = [], "", 0, False
        for rrset in reply.answer:
            if rrset.name == owner and rrset.rdtype == wanted:
                values += [text(rdata) for rdata in rrset]
                ttl = rrset.ttl
            elif rrset.name == owner and rrset.covers == wanted:
                signed = True
            elif rrset.name == owner and rrset.rdtype == dns.rdatatype.CNAME:
                alias = text(rrset[0])
        absent = code == dns.rcode.NXDOMAIN
        return Answer(name, kind, tuple(sorted(values)), server, alias, ttl, signed, absent)

    def _resolver(self) -> dns.resolver.Resolver:
        with self._lock:
            if self._given is None:
                try:
                    self._given = self.way.resolver()
                except dns.exception.DNSException as error:
                    raise NoAnswer(_("this machine has no resolver: {error}").format(error=error)) from None
                self._given.lifetime = self._seconds
            return self._given

    def _zone_servers(self, name: str) -> tuple[str, ...]:
        """Of the zone that holds a name, as the resolver knows it. A name that it does not get through, as a circle of
        CNAMEs, is looked for from the one above it.
        """
        resolver = self._resolver()
        try:
            zone = dns.resolver.zone_for_name(name, resolver=resolver, lifetime=2 * self._seconds)
            servers = tuple(sorted(text(rdata) for rdata in resolver.resolve(zone, "NS")))
        except dns.resolver.NoRootSOA:  # it went up to the root, and the resolver has not even that
            shown = ", ".join(map(str, resolver.nameservers))
            raise NoZone(
                _("this machine's resolver ({servers}) knows no zone of {name}").format(
                    servers=shown, name=name
                )
            ) from None
        except dns.resolver.NoNameservers as error:
            parent = name.partition(".")[2]
            if "." in parent:
                return self._zone_servers(parent)
            raise self._not_found(name, error) from None
        except dns.exception.DNSException as error:
            raise self._not_found(name, error) from None
        with self._lock:
            self._zones[plain(zone)] = servers
        return servers

    @staticmethod
    def _not_found(name: str, error: Exception) -> NoAnswer:
        form = _("the name servers of {name} cannot be found: {error}")
        return kind_of(error)(form.format(name=name, error=first_line(error)))

    def _resolve(self, name: str, kind: str) -> tuple[str, ...]:
        try:
            return tuple(
                sorted(text(rdata) for rdata in self._resolver().resolve(name + ".", kind, search=False))
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except dns.exception.DNSException as error:
            raise kind_of(error)(
                _("the resolver gives no answer for {name}: {error}").format(
                    name=name, error=first_line(error)
                )
            ) from None
