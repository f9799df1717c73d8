"""DNS as the authoritative server gives it, not as a cache remembers it.

Public: Resolver, first_at, Answer, Trust, NoAnswer, BadAnswer, QueryTimeout. Raises NoAnswer (a ProbeError) when no
authoritative server answers, BadAnswer where one answers with an error, QueryTimeout when it was waited for in vain; a
name or type that is not there is an Answer without values.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum
from ipaddress import ip_address

import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

from mailprov.i18n import _
from mailprov.model.dns import DnsSettings, NameServer
from mailprov.model.values import dataclass, field
from mailprov.probe.clients.connection import printable
from mailprov.probe.clients.errors import ProbeError

_WITH_SIGNATURES = ("DNSKEY", "TLSA")


class NoAnswer(ProbeError):
    """No authoritative server could be asked, or it gave no usable answer."""


class NoZone(NoAnswer):
    """The resolver of this machine does not know the domain at all, nor anything above it."""


class BadAnswer(NoAnswer):
    """A name server answers with an error (SERVFAIL and the like)."""


class Trust(Enum):
    """What a resolver that checks signatures makes of a record set in a signed zone (RFC 4035 section 4.3)."""

    SECURE = "secure"
    INSECURE = "insecure"  # no DS record leads to the zone
    BOGUS = "bogus"
    UNKNOWN = "unknown"  # this machine's resolver does not check, or its word cannot be relied on


class QueryTimeout(NoAnswer):
    """No answer within the time for one question."""


@dataclass(frozen=True)
class Answer:
    """`values`: addresses (A, AAAA), `10 mx.example.org` (MX), whole strings (TXT), names without final dot,
    sorted.

    `alias` is the target when the name is a CNAME (and another type was asked for).
    """

    name: str
    type: str
    values: tuple[str, ...]
    server: str  # who said so
    alias: str = ""
    ttl: int = field(default=0, compare=False)
    signed: bool = field(default=False, compare=False)  # with a signature, where that was asked for

    def __str__(self) -> str:
        shown = ", ".join(self.values) or (f"CNAME {self.alias}" if self.alias else _("nothing"))
        return printable(f"{self.server}: {self.name} {self.type}: {shown}")


def first_at(settings: DnsSettings) -> Callable[[str], NameServer | None]:
    """The primary of the zone of each name, where the inventory names it."""
    return lambda name: settings.at(name).provider.name_server


class Resolver:
    """Asks the name server `first`, the primary of the zones in the inventory (`first_at`: of each name); where there
    is none or it does not have the zone, finds a zone's servers by itself. Answers are kept for the run.

    `resolver` (default: the system's) finds name servers and their addresses. Usable from several threads.
    """

    name_server_port = 53

    def __init__(
        self,
        first: NameServer | Callable[[str], NameServer | None] | None,
        resolver: dns.resolver.Resolver | None = None,
        seconds: float = 5.0,
    ) -> None:
        self._first = first if callable(first) else lambda name: first
        self._given = resolver
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Answer | NoAnswer] = {}

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
        """What this machine's resolver makes of the signatures of a set that is there. Only on this very machine its
        word for "secure" counts (RFC 4035 section 4.9.3).
        """
        try:
            server, port = str(self._resolver().nameservers[0]), self._resolver().port
            reply = self._recursive(server, port, name, kind)
            if reply.rcode() == dns.rcode.SERVFAIL:
                reply = self._recursive(server, port, name, kind, dns.flags.CD)
                return Trust.BOGUS if reply.answer else Trust.UNKNOWN
            if reply.flags & dns.flags.AD:
                return Trust.SECURE if ip_address(server).is_loopback else Trust.UNKNOWN
            above = self._recursive(server, port, zone, "DS")
        except (NoAnswer, dns.exception.DNSException, OSError, EOFError, ValueError, IndexError):
            return Trust.UNKNOWN
        parents = (rrset.name for rrset in above.authority if rrset.rdtype == dns.rdatatype.SOA)
        known = above.rcode() == dns.rcode.NOERROR and not above.answer
        if known and any(dns.name.from_text(zone).is_subdomain(one) for one in parents):
            return Trust.INSECURE
        return Trust.UNKNOWN

    def _recursive(
        self, server: str, port: int, name: str, kind: str, flags: int = dns.flags.AD
    ) -> dns.message.Message:
        query = dns.message.make_query(name, kind, want_dnssec=True)
        query.flags |= flags
        return dns.query.udp_with_fallback(query, server, timeout=self._seconds, port=port)[0]

    def ask_at(self, server: str, address: str, name: str, kind: str) -> Answer | None:
        """What one name server says now; None when it does not hold the zone. Raises NoAnswer when it is silent or
        broken.
        """
        first = self._first(name)
        port = self.name_server_port
        if first is not None and address in self._server_addresses(first.address):
            port = first.port
        return self._query(address, port, name, kind, server)

    def _ask(self, name: str, kind: str) -> Answer:
        if (first := self._first(name)) is not None:
            for address in self._server_addresses(first.address):
                answer = self._query(address, first.port, name, kind, first.address)
                if answer is not None:
                    return answer
        servers = self._zone_servers(name)
        errors: list[NoAnswer] = []
        for server in servers:
            try:
                for address in self._resolve(server, "A") + self._resolve(server, "AAAA"):
                    answer = self._query(address, self.name_server_port, name, kind, server)
                    if answer is not None:
                        return answer
            except NoAnswer as error:
                errors.append(error)
        said = "; ".join(map(str, errors)) or _("none of them holds it")
        kinds = [type(error) for error in errors]
        kind_of = next((kind for kind in (BadAnswer, QueryTimeout) if kind in kinds), NoAnswer)
        raise kind_of(
            _("no authoritative answer for {name} {type} from {servers}: {reason}").format(
                name=name, type=kind, servers=", ".join(servers), reason=said
            )
        )

    def _server_addresses(self, server: str) -> tuple[str, ...]:
        return (
            (server,)
            if dns.inet.is_address(server)
            else self._resolve(server, "A") + self._resolve(server, "AAAA")
        )

    def _query(self, address: str, port: int, name: str, kind: str, server: str) -> Answer | None:
        """One server's answer; None when it does not hold the zone. Raises NoAnswer when it is silent or
        broken.
        """
        signatures = kind in _WITH_SIGNATURES
        query = dns.message.make_query(name, kind, use_edns=0, payload=1232, want_dnssec=signatures)
        query.flags &= ~dns.flags.RD  # we want what it holds, not what it can find out
        try:
            reply, __ = dns.query.udp_with_fallback(query, address, timeout=self._seconds, port=port)
        except (dns.exception.DNSException, OSError, EOFError) as error:
            if isinstance(error, dns.exception.Timeout):
                late = _("no answer from name server {server} port {port} within {seconds:g} s")
                raise QueryTimeout(late.format(server=server, port=port, seconds=self._seconds)) from None
            none = _("no answer from name server {server} port {port} ({error})")
            raise NoAnswer(none.format(server=server, port=port, error=error)) from None
        code = reply.rcode()
        if code == dns.rcode.REFUSED or (code == dns.rcode.NOERROR and not reply.flags & dns.flags.AA):
            return None
        if code not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            raise BadAnswer(
                _("name server {server} answers {code} for {name} {type}").format(
                    server=server, code=dns.rcode.to_text(code), name=name, type=kind
                )
            )
        owner, wanted = dns.name.from_text(name), dns.rdatatype.from_text(kind)
        values, alias, ttl, signed = [], "", 0, False
        for rrset in reply.answer:
            if rrset.name == owner and rrset.rdtype == wanted:
                values += [_text(rdata) for rdata in rrset]
                ttl = rrset.ttl
            elif rrset.name == owner and rrset.covers == wanted:
                signed = True
            elif rrset.name == owner and rrset.rdtype == dns.rdatatype.CNAME:
                alias = _text(rrset[0])
        return Answer(name, kind, tuple(sorted(values)), server, alias, ttl, signed)

    def _resolver(self) -> dns.resolver.Resolver:
        with self._lock:
            if self._given is None:
                try:
                    self._given = dns.resolver.Resolver()
                except dns.exception.DNSException as error:
                    raise NoAnswer(_("this machine has no resolver: {error}").format(error=error)) from None
                self._given.lifetime = self._seconds
            return self._given

    def _zone_servers(self, name: str) -> tuple[str, ...]:
        resolver = self._resolver()
        try:
            zone = dns.resolver.zone_for_name(name, resolver=resolver, lifetime=2 * self._seconds)
            return tuple(sorted(_text(rdata) for rdata in resolver.resolve(zone, "NS")))
        except dns.resolver.NoRootSOA:  # it went up to the root, and the resolver has not even that
            servers = ", ".join(map(str, resolver.nameservers))
            raise NoZone(
                _("this machine's resolver ({servers}) knows no zone of {name}").format(
                    servers=servers, name=name
                )
            ) from None
        except dns.exception.DNSException as error:
            raise _kind(error)(
                _("the name servers of {name} cannot be found: {error}").format(
                    name=name, error=_first_line(error)
                )
            ) from None

    def _resolve(self, name: str, kind: str) -> tuple[str, ...]:
        try:
            return tuple(
                sorted(_text(rdata) for rdata in self._resolver().resolve(name + ".", kind, search=False))
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except dns.exception.DNSException as error:
            raise _kind(error)(
                _("the resolver gives no answer for {name}: {error}").format(
                    name=name, error=_first_line(error)
                )
            ) from None


def _kind(error: Exception) -> type[NoAnswer]:
    return QueryTimeout if isinstance(error, dns.exception.Timeout) else NoAnswer


def _first_line(error: Exception) -> str:
    return printable(str(error).splitlines()[0] if str(error) else type(error).__name__)


def _text(rdata: object) -> str:
    """A record's value in the spelling of model.records."""
    strings = getattr(rdata, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "replace")
    if hasattr(rdata, "exchange"):
        return f"{rdata.preference} {_name(rdata.exchange)}"  # type: ignore[attr-defined]
    if hasattr(rdata, "weight"):  # SRV
        return f"{rdata.priority} {rdata.weight} {rdata.port} {_name(rdata.target)}"  # type: ignore[attr-defined]
    if hasattr(rdata, "target"):
        return _name(rdata.target)
    return str(rdata)


def _name(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else "."
