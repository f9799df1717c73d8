"""One probe on one target: what a probe function gets, with everything it needs to look and to say what it
saw.

Public: Run, Context, HostContext, PortContext, DomainContext, UntrustedCertificate. Raises the errors of
`clients`; UntrustedCertificate when a password would have to be sent to a server that cannot show who it is.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.dkim import PublicKeys
from mailprov.model.findings import USUAL_ACCOUNTS, Finding, Target, Verdict
from mailprov.model.inventory import Domain, Host, Inventory, TlsMode
from mailprov.model.ports import Port
from mailprov.model.records import Record
from mailprov.model.values import dataclass, field
from mailprov.probe import other_software
from mailprov.probe.clients import tls
from mailprov.probe.clients.client import Client
from mailprov.probe.clients.connection import Connection, Deadline, Peer, Transcript
from mailprov.probe.clients.errors import NoPasswords, ProbeError, Refused, Unreachable, UntrustedCertificate
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.clients.resolver import Answer, QueryTimeout, Resolver
from mailprov.probe.clients.session import open_session
from mailprov.probe.clients.smtp import Smtp
from mailprov.probe.clients.ways import HERE, Way
from mailprov.probe.filling import Filling
from mailprov.probe.leftovers import Leftovers
from mailprov.probe.profiles import Bar
from mailprov.probe.queues import Queues
from mailprov.probe.registry import PROBED, Entry, reachability
from mailprov.probe.remedies import FOR_ERRORS
from mailprov.probe.timing import Timing
from mailprov.probe.turns import Turns
from mailprov.probe.vantage import Vantages
from mailprov.probe.zones import Zones


@dataclass
class Run:
    """What all probes of one run share."""

    inventory: Inventory
    resolver: Resolver
    timing: Timing
    nonce: str  # random for this run: in every message, every made-up user and password
    stop: threading.Event
    overall: Deadline
    # Where each host is looked at: name → addresses. Filled before the first probe.
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    port_map: dict[tuple[str, int], int] = field(default_factory=dict)  # for tests: (address, port) → port
    peers: dict[tuple[str, int], Peer] = field(default_factory=dict)  # of a service: (host name, port) → peer
    # What probes found, for others that build on it: (probe, target) → verdict.
    verdicts: dict[tuple[str, Target], Verdict] = field(default_factory=dict)
    # The run's name, which chooses the accounts that log in, and how many of each domain; None: all.
    ident: str = ""
    accounts: int | None = USUAL_ACCOUNTS
    provisioned: frozenset[str] = frozenset()  # hosts just brought to the desired state, by name
    # Optional ports that nobody offers: (address, port) → what was seen. Filled before the first probe.
    absent: dict[tuple[str, int], str] = field(default_factory=dict)
    # Addresses of which no port is looked at, as fail2ban there holds ours: (host, address). Filled before.
    held: set[tuple[str, str]] = field(default_factory=set)
    web_held: set[str] = field(default_factory=set)  # hosts whose web server it keeps from us, by name
    told: set[tuple[str, str]] = field(default_factory=set)  # once for a host: (probe, host name)
    # Records that the inventory wants, by the mail domain they belong to. Filled by the first probe that asks.
    wanted: dict[str, list[Record]] = field(default_factory=dict)
    software: dict[str, str] = field(default_factory=dict)  # of others: host name → as other_software
    pins: dict[str, bytes] = field(default_factory=dict)  # self-signed, as first seen: host name → DER
    lock: threading.Lock = field(default_factory=threading.Lock)
    # Verifying contexts, (CA file, name checked) → context: the system's store takes 30 ms to load each time.
    tls_contexts: dict[tuple[Path | None, bool], ssl.SSLContext] = field(default_factory=dict)
    # At most four connections at once as one user, of the ten that Dovecot allows: host name, account → semaphore.
    users: dict[tuple[str, str], threading.Semaphore] = field(default_factory=dict)
    turns: Turns = field(default_factory=Turns)  # who waits for whom
    # DKIM keys that hosts say they sign with: host name → record name's key → text; None: nobody asked them.
    signing: PublicKeys | None = None
    way: Way = HERE  # from which machine is looked
    vantages: Vantages = field(default_factory=lambda: Vantages(None))
    queues: Queues = field(default_factory=lambda: Queues(None, 0, threading.Event()))
    filling: Filling = field(default_factory=Filling)  # mailboxes without room for a moment
    leftovers: Leftovers = field(default_factory=Leftovers)  # what was sent and is not removed yet
    intrusive: bool = False  # somebody agrees to probes that others notice, and to mail for foreign addresses
    selectors: tuple[str, ...] | None = None  # None: an inventory describes the domains
    bar: Bar = field(default_factory=Bar)  # the profile's

    def __post_init__(self) -> None:
        self.zones = Zones(self.resolver)

    @property
    def described(self) -> bool:
        return self.selectors is None

    def verifying_context(self, ca_file: Path | None, *, check_name: bool = True) -> ssl.SSLContext:
        """As tls.verifying_context, made once for the run."""
        key = (ca_file, check_name)
        with self.lock:
            if key not in self.tls_contexts:
                self.tls_contexts[key] = tls.verifying_context(ca_file, check_name=check_name)
            return self.tls_contexts[key]

    def peer(self, host: str, number: int) -> Peer:
        """No port of SMTP greets later than 25: whatever makes a sound server wait is done there."""
        with self.lock:
            like = self.peers.setdefault((host, 25), Peer()) if number in (465, 587) else None
            return self.peers.setdefault((host, number), Peer(like))

    def user_slot(self, host: str, account: str) -> threading.Semaphore:
        with self.lock:
            return self.users.setdefault((host, account), threading.Semaphore(4))


_ALIASES = 8  # CNAMEs one behind the other


@dataclass
class Context:
    """A probe at work. Findings carry what was said on the wire since the finding before."""

    run: Run
    entry: Entry
    seconds: float = 60.0

    def __post_init__(self) -> None:
        self.transcript = Transcript()
        self.deadlines: list[Deadline] = []
        self.began = time.monotonic()
        self.late = False  # a name server kept it waiting until the end
        self.waits_for = ""  # the finding that tells why no connection came about
        self.told = False  # what there was to say of this target is in a finding of another
        self.deadline = self.new_deadline(self.seconds)

    def new_deadline(self, seconds: float) -> Deadline:
        deadline = Deadline(seconds, self.run.stop, self.run.overall)
        self.deadlines.append(deadline)
        return deadline

    def begin(self) -> None:
        """The clock starts now."""
        self.deadlines.clear()
        self.late, self.began = False, time.monotonic()
        self.deadline = self.new_deadline(self.seconds)

    @property
    def timed_out(self) -> bool:
        """Whether it has waited until a deadline since it began."""
        return self.late or any(deadline.reached for deadline in self.deadlines)

    @property
    def target(self) -> Target:
        return Target()

    def finding(
        self,
        verdict: Verdict,
        observed: str,
        advice: str = "",
        *,
        target: Target | None = None,
        expected: str = "",
        tasks: tuple[str, ...] = (),
        case: str = "",
    ) -> Finding:
        """One finding of this probe. Texts are cleaned of secrets; a pass has no advice."""
        evidence = tuple(self.transcript.lines)
        self.transcript.lines.clear()
        return Finding(
            id=self.entry.id,
            target=target or self.target,
            verdict=verdict,
            title=_(self.entry.title),
            expected=expected or _(self.entry.expected),
            observed=self.transcript.clean(observed),
            advice="" if verdict is Verdict.PASS else self.transcript.clean(advice),
            evidence=evidence,
            refs=self.entry.refs,
            tasks=tuple(self.transcript.clean(task) for task in tasks),
            case=case,
        )

    def passed(self, observed: str, *, case: str = "") -> Finding:
        return self.finding(Verdict.PASS, observed, case=case)

    def warn(self, observed: str, advice: str, *, case: str = "") -> Finding:
        return self.finding(Verdict.WARN, observed, advice, case=case)

    def failed(self, observed: str, advice: str, *, case: str = "") -> Finding:
        return self.finding(Verdict.FAIL, observed, advice, case=case)

    def for_others(self, verdict: Verdict, observed: str, *tasks: str, case: str = "") -> Finding:
        """What somebody else has to mend; a skip where nothing was looked at."""
        advice = "" if verdict is Verdict.SKIP else "; ".join(tasks)
        return self.finding(verdict, observed, advice, tasks=tasks, case=case)

    def error(self, observed: str, advice: str = "") -> Finding:
        return self.finding(Verdict.ERROR, observed, advice)

    def skip(self, observed: str, *, case: str = "") -> Finding:
        return self.finding(Verdict.SKIP, observed, case=case)

    def could_not_test(self, error: ProbeError) -> Finding:
        """An error, for what the probe could not find out; that others' server takes no passwords is no fault of it."""
        if isinstance(error, NoPasswords) and not getattr(self, "host", self.run.inventory.hosts[0]).managed:
            return self.skip(str(error))
        self.late = self.late or isinstance(error, QueryTimeout)
        kinds = (kind.__name__ for kind in type(error).__mro__)
        return self.error(str(error), next((_(FOR_ERRORS[kind]) for kind in kinds if kind in FOR_ERRORS), ""))

    # Names.

    def follow(self, name: str, kind: str) -> Answer:
        """The records behind CNAMEs, as whoever asks a resolver gets them. Raises NoAnswer."""
        for _number in range(_ALIASES):
            answer = self.run.resolver.ask(name, kind)
            self.transcript.add("-", str(answer))
            if answer.values or not answer.alias:
                break
            name = answer.alias
        return answer

    # Connections. A probe holds at most one at a time, so the limit per server cannot lock itself up.

    def dial(self, address: str, port: Port, deadline: Deadline | None = None) -> Connection:
        """A bare connection."""
        number = self.run.port_map.get((address, port.number), port.number)
        deadline = deadline or self.deadline
        host = next((name for name, known in self.run.addresses.items() if address in known), address)
        peer = self.run.peer(host, port.number)
        try:
            return Connection.connect(
                address, number, deadline, self.transcript, self.run.timing.connect, peer, self.run.way
            )
        except (Refused, Unreachable):
            self.waits_for = f"{reachability().entry.id} {host}:{port.number}"
            raise

    def open(
        self,
        host: Host,
        address: str,
        port: Port,
        *,
        secure: bool = True,
        secret: bool = False,
        deadline: Deadline | None = None,
    ) -> Client:
        """A session past its greeting, over TLS when `secure` (an implicit TLS port always is).

        `secret`: a real password will be sent, so the certificate must be trusted first. Raises UntrustedCertificate
        when not.
        """
        if not secret:
            return self._session(host, address, port, tls.looking_context(), secure=secure, deadline=deadline)
        try:
            tls_context = self.run.verifying_context(host.tls.ca_file)
            return self._session(host, address, port, tls_context, deadline=deadline)
        except ssl.SSLCertVerificationError as error:
            reason = tls.why_untrusted(error)
        if host.tls.mode is TlsMode.SELF_SIGNED or self.run.bar.pins:
            return self._pinned_session(host, address, port, deadline, reason)
        raise UntrustedCertificate(
            _("the password was not sent, the certificate is not trusted: {reason}").format(reason=reason)
        )

    def _session(
        self,
        host: Host,
        address: str,
        port: Port,
        tls_context: ssl.SSLContext,
        *,
        secure: bool = True,
        deadline: Deadline | None = None,
    ) -> Client:
        connection = self.dial(address, port, deadline)
        try:
            begun = open_session(connection, port, tls_context, host.fqdn, secure)
            return other_software.noted(begun, host, self.run.software)
        except BaseException:
            connection.close()
            raise

    def _pinned_session(
        self, host: Host, address: str, port: Port, deadline: Deadline | None, reason: str
    ) -> Client:
        """Where the inventory declares self-signed certificates, or the profile takes any: whatever is served, the same
        on every port for the whole run. Nothing better can be known from outside."""
        client = self._session(host, address, port, tls.looking_context(), deadline=deadline)
        try:
            leaf = tls.Leaf.parse(client.connection.certificate)
            if not (leaf.self_signed or self.run.bar.pins):
                raise UntrustedCertificate(
                    _("the password was not sent, the certificate is not trusted: {reason}").format(
                        reason=reason
                    )
                )
            with self.run.lock:
                pin = self.run.pins.setdefault(host.name, leaf.der)
            if pin != leaf.der:
                raise UntrustedCertificate(
                    _(
                        "the password was not sent: another self-signed certificate is served here than on other ports"
                    )
                )
        except BaseException:
            client.connection.close()
            raise
        return client

    def served(
        self, host: Host, address: str, port: Port, tls_context: ssl.SSLContext, name: str | None = ""
    ) -> bytes:
        """The leaf certificate that is served there, in DER, to who asks for `name` (the host's own if not given;
        None asks for none). Raises ssl.SSLCertVerificationError as the context says.
        """
        with self.dial(address, port) as connection:
            open_session(connection, port, tls_context, host.fqdn if name == "" else name, True)
            return connection.certificate


@dataclass
class HostContext(Context):
    host: Host = field(kw_only=True)

    @property
    def target(self) -> Target:
        return Target(host=self.host.name)


@dataclass
class DomainContext(Context):
    """`name` is the domain, or one of its aliases."""

    domain: Domain = field(kw_only=True)
    name: str = field(kw_only=True)

    @property
    def target(self) -> Target:
        return Target(domain=self.name)


@dataclass
class PortContext(Context):
    """A port of one address; `domain` and `account` are set where the probe's scope has them."""

    host: Host = field(kw_only=True)
    address: str = field(kw_only=True)
    port: Port = field(kw_only=True)
    domain: Domain | None = field(kw_only=True, default=None)
    account: Account | None = field(kw_only=True, default=None)

    @property
    def target(self) -> Target:
        return Target(
            host=self.host.name,
            address=self.address,
            port=self.port.number,
            domain=self.domain.name if self.domain else "",
            account=self.account.address if self.account else "",
        )

    def of_host(self, finding: Finding) -> Iterator[Finding]:
        """One finding for all addresses of the host, for what does not hang on the address: whoever comes first."""
        with self.run.lock:
            self.told = (self.entry.id, self.host.name) in self.run.told
            self.run.told.add((self.entry.id, self.host.name))
        if not self.told:
            yield replace(finding, target=replace(finding.target, address=""))

    def connect(self) -> Connection:
        return self.dial(self.address, self.port)

    def smtp(self, *, secure: bool = True, secret: bool = False) -> Smtp:
        client = self.open(self.host, self.address, self.port, secure=secure, secret=secret)
        assert isinstance(client, Smtp)
        return client

    def imap(self, *, secure: bool = True, secret: bool = False) -> Imap:
        client = self.open(self.host, self.address, self.port, secure=secure, secret=secret)
        assert isinstance(client, Imap)
        return client

    def pop3(self, *, secure: bool = True, secret: bool = False) -> Pop3:
        client = self.open(self.host, self.address, self.port, secure=secure, secret=secret)
        assert isinstance(client, Pop3)
        return client


def port_numbered(number: int) -> Port:
    """The row of the table of ports."""
    return next(port for port in PROBED if port.number == number)
