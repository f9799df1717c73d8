"""What is to be probed: each probe of the table at each target of the inventory, as jobs for threads.

    Job      a piece of work and the limits that are held while it runs
    Jobs     .looks(…)                                   everything without wrong passwords, but for mail on its way
             .in_clear(…), .wrong_passwords(…)           wrong passwords, in this order and last; of
                                                         hosts that mailprov built, the latter beside the rest
             .partner(…), .delivery(…), .addresses(…)    mail on its way, and before it whether a domain can take part
             .find_absent(…)                             what a server need not offer, looked for before

Raises nothing but bugs outside of probes: whatever happens inside a probe becomes a finding with the verdict error.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection, Iterator
from functools import partial

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Domain, Host
from mailprov.model.ports import PORTS, Port
from mailprov.model.values import dataclass
from mailprov.probe import bans as held
from mailprov.probe import optional_ports
from mailprov.probe.addresses import AddressContext
from mailprov.probe.context import Context, DomainContext, HostContext, PortContext, Run
from mailprov.probe.deliveries import DeliveryContext, DeliveryPlan, Partner, PartnerContext
from mailprov.probe.expected_mail import KINDS
from mailprov.probe.guarding import guarded, guarded_together
from mailprov.probe.left_out import left_out
from mailprov.probe.letter_jobs import look_at_letters
from mailprov.probe.registry import PROBED, Phase, Probe, Scope, reachability
from mailprov.probe.selection import selects
from mailprov.probe.targets import has_route, subjects

# Connections at once to one address: polite to anvil and to small machines.
_PER_ADDRESS = 6
# To one port of a server that others built, whose limit nobody has told: Courier, as packaged, drops the fifth one.
_PER_PORT_OF_OTHERS = 2
_DELIVERIES_AT_ONCE = 8
_OF_A_PORT = (Scope.PORT, Scope.PORT_DOMAIN, Scope.PORT_ACCOUNT, Scope.PORT_ACCOUNTS)


@dataclass
class Job:
    """A piece of work for one thread: `limits` are held while it runs, and waiting for them costs it no
    time.
    """

    run: Callable[[], Iterator[Finding]]
    limits: tuple[threading.Semaphore, ...] = ()
    first: bool = False  # others wait for it, or it takes long
    beside: Callable[[], None] = lambda: None  # called before the others, where it runs beside them


class Jobs:
    def __init__(
        self,
        run: Run,
        probes: list[Probe],
        probe_ids: Collection[str],
        port_numbers: Collection[int],
        skip_ids: Collection[str] = (),
    ) -> None:
        self._run = run
        self._probes = probes
        self._probe_ids = probe_ids
        self._skip_ids = skip_ids
        self._ports = [port for port in PROBED if port.number in port_numbers]
        self._limits: dict[tuple[str, int], threading.Semaphore] = {}
        self._deliveries = threading.Semaphore(_DELIVERIES_AT_ONCE)
        # What wrong passwords wait for.
        self._controls = {probe.after for probe in probes if probe.phase is Phase.WRONG_PASSWORDS}

    def wanted(self, name: str) -> bool:
        if any(selects(word, name) for word in self._skip_ids):
            return False
        return not self._probe_ids or any(selects(word, name) for word in self._probe_ids)

    def _agreed(self, probe: Probe) -> bool:
        return self._run.intrusive or not probe.entry.intrusive

    def not_agreed(self) -> Iterator[Finding]:
        """Of probes that somebody asked for by name and did not agree to: that they need that."""
        for probe in self._probes:
            if self._probe_ids and self.wanted(probe.entry.id) and not self._agreed(probe):
                yield Context(self._run, probe.entry, 1.0).skip(
                    _("it runs only with --intrusive, as it costs the server or others something")
                )

    def _limits_of(self, host: Host, address: str, port: int) -> tuple[threading.Semaphore, ...]:
        """Taken in this order: who waits for the port keeps nobody from others."""
        whole = self._limits.setdefault((address, 0), threading.Semaphore(_PER_ADDRESS))
        if host.managed:
            return (whole,)
        return (
            self._limits.setdefault((address, port), threading.Semaphore(_PER_PORT_OF_OTHERS)),
            whole,
        )

    def _seconds(self, probe: Probe) -> float:
        return probe.seconds(self._run.timing)

    def looks(self, hosts: list[Host], domains: list[Domain]) -> Iterator[Job]:
        """Hosts take turns, so that none of them fills all the threads."""
        jobs = [
            list(self._port_jobs(host, domains, Phase.LOOK, self._run.addresses[host.name])) for host in hosts
        ]
        for queue in jobs:
            queue.sort(key=lambda job: not job.first)
        for turn in range(max(map(len, jobs), default=0)):
            yield from (queue[turn] for queue in jobs if turn < len(queue))
        for probe in self._selected(Scope.PORT_ACCOUNTS, Phase.LOOK):
            if not {port.number for port in self._ports}.isdisjoint(probe.entry.ports):
                yield from (Job(partial(left_out, self._run, probe, domain)) for domain in domains)
        for probe in self._selected(Scope.HOST, Phase.LOOK):
            for host in hosts:
                context = HostContext(self._run, probe.entry, self._seconds(probe), host=host)
                if probe.applies(context):
                    yield Job(partial(guarded, probe, context))
        described = self._run.described
        scopes = (Scope.DOMAIN, Scope.ZONE) if described else (Scope.ZONE, Scope.FOREIGN)
        for probe in [each for scope in scopes for each in self._selected(scope, Phase.LOOK)]:
            for domain in domains:
                for name in (domain.name, *domain.domain_aliases):
                    domain_context = DomainContext(
                        self._run, probe.entry, self._seconds(probe), domain=domain, name=name
                    )
                    if probe.applies(domain_context):
                        yield Job(partial(guarded, probe, domain_context))

    def in_clear(self, hosts: list[Host], domains: list[Domain]) -> Iterator[Job]:
        """Passwords of nobody, without TLS: a right server does not look at them."""
        for host in hosts:
            yield from self._port_jobs(host, domains, Phase.WRONG_PASSWORDS, self._run.addresses[host.name])

    def wrong_passwords(self, hosts: list[Host], domains: list[Domain]) -> Iterator[Job]:
        """One job for each host and address family. The two families come from two addresses of ours, and Dovecot
        counts what each of them does wrong by itself.
        """
        for host in hosts:
            here = [domain for domain in domains if host.name in domain.hosts]
            addresses = [
                each
                for each in self._run.addresses[host.name]
                if (host.name, each) not in self._run.held and (":" not in each or has_route(self._run, each))
            ]
            for family in ([a for a in addresses if ":" not in a], [a for a in addresses if ":" in a]):
                for probe in self._selected(Scope.PORTS, Phase.WRONG_PASSWORDS):
                    contexts = [
                        context
                        for address in family
                        for port in self._ports
                        if port.number in probe.entry.ports
                        and host.offers(port)
                        and not self._run.absent.get((address, port.number))
                        for context in self._port_cases(probe, host, address, port, here)
                    ]
                    if contexts:
                        key, run = contexts[0].target, partial(guarded_together, probe, contexts)
                        turns = self._run.turns
                        if probe.after:
                            yield Job(turns.opening(key, run), beside=partial(turns.begins, key))
                        else:
                            yield Job(run)

    def _selected(self, scope: Scope, phase: Phase) -> Iterator[Probe]:
        for probe in self._probes:
            asked = self._probe_ids or not probe.by_name or probe.entry.id in self._run.bar.also
            here = probe.scope is scope and probe.phase is phase and asked
            if here and self.wanted(probe.entry.id) and self._agreed(probe):
                yield probe

    def _port_jobs(
        self, host: Host, domains: list[Domain], phase: Phase, addresses: Collection[str]
    ) -> Iterator[Job]:
        here = [domain for domain in domains if host.name in domain.hosts]
        for address in addresses:
            if (host.name, address) in self._run.held:
                continue  # told before, once
            if ":" in address and not has_route(self._run, address):
                text = _(
                    "{address} was not looked at on any port: this machine has no IPv6 route to it"
                ).format(address=address)
                yield from self._passed_over(host, address, 0, phase, text)
                continue
            for port in self._ports:
                if seen := self._run.absent.get((address, port.number)):
                    text = _("{service} is not offered here: {reason}").format(
                        service=port.service, reason=seen
                    )
                    advice = _(_MISSED) if host.name in self._run.provisioned else ""
                    yield from self._passed_over(host, address, port.number, phase, text, advice)
                    continue
                for scope in _OF_A_PORT if host.offers(port) else (Scope.PORT_OFF,):
                    for probe in self._selected(scope, phase):
                        if port.number not in probe.entry.ports:
                            continue
                        for context in self._port_cases(probe, host, address, port, here):
                            yield self._port_job(probe, context)

    def _port_cases(
        self, probe: Probe, host: Host, address: str, port: Port, here: list[Domain]
    ) -> Iterator[PortContext]:
        for domain, account in subjects(self._run, probe.scope, here):
            context = PortContext(
                self._run,
                probe.entry,
                self._seconds(probe),
                host=host,
                address=address,
                port=port,
                domain=domain,
                account=account,
            )
            if probe.applies(context):
                yield context

    def _port_job(self, probe: Probe, context: PortContext) -> Job:
        limits = list(self._limits_of(context.host, context.address, context.port.number))
        if context.account is not None:
            limits.insert(0, self._run.user_slot(context.host.name, context.account.address))

        run: Callable[[], Iterator[Finding]] = partial(guarded, probe, context)
        if controls := probe.entry.id in self._controls:
            run = self._run.turns.controlling(context.host.name, run)
        return Job(run, tuple(limits), probe.long or controls)

    def _passed_over(
        self, host: Host, address: str, number: int, phase: Phase, text: str, advice: str = ""
    ) -> Iterator[Job]:
        """One skip with its reason instead of dozens: no IPv6 here, or a port that need not be there. With advice it is
        a warning.
        """
        probe = reachability()
        if phase is not probe.phase or not self.wanted(probe.entry.id):
            return
        port = dataclasses.replace(PORTS[0], number=number)
        context = PortContext(self._run, probe.entry, 1.0, host=host, address=address, port=port)

        def work() -> Iterator[Finding]:
            yield context.warn(text, advice) if advice else context.skip(text)

        yield Job(work)

    def find_absent(self, hosts: list[Host]) -> None:
        numbers = {
            number for probe in self._probes if self.wanted(probe.entry.id) for number in probe.entry.ports
        }
        self._run.absent.update(
            optional_ports.find(self._run, hosts, [each for each in self._ports if each.number in numbers])
        )

    def inapplicable(self) -> Iterator[Finding]:
        """Why nothing ran, where nothing did."""
        for probe in self._probes:
            foreign = (Scope.FOREIGN,) if self._run.described else ()
            if not self.wanted(probe.entry.id) or probe.scope in foreign or not self._agreed(probe):
                continue
            ports = probe.entry.ports
            absent = [
                seen
                for (__, number), seen in self._run.absent.items()
                if ports and {number}.issuperset(ports)
            ]
            why = _("not offered here: {reason}").format(reason=absent[0]) if absent else _(probe.unless)
            yield Context(self._run, probe.entry, 1.0).skip(
                why or _("nothing of what it looks at was selected")
            )

    def find_held(self, hosts: list[Host], ask: held.Ask | None) -> Iterator[Finding]:
        """One finding for each host whose fail2ban holds us: nothing looks at the addresses that are shut. What is not
        held comes first among a host's addresses: the probes of delivery take that.
        """
        entry = reachability().entry
        port = dataclasses.replace(PORTS[0], number=0)
        for found in held.find(self._run, hosts, self._ports, ask):
            name = found.host.name
            self._run.held.update((name, address) for address in found.addresses)
            by_turn = sorted(self._run.addresses[name], key=lambda each: each in found.addresses)
            self._run.addresses[name] = tuple(by_turn)
            # Of several addresses none is meant before the others.
            address = found.addresses[0] if len(found.addresses) == 1 else ""
            context = PortContext(self._run, entry, 1.0, host=found.host, address=address, port=port)
            yield context.error(found.observed, found.advice)

    def is_held(self, domain: Domain) -> bool:
        """Whether fail2ban keeps us from the host that mail of this domain would go to and from."""
        first = domain.hosts[0]
        addresses = self._run.addresses.get(first, ())
        return bool(addresses) and all((first, each) in self._run.held for each in addresses)

    @property
    def delivers(self) -> bool:
        """Whether any probe of delivery is wanted."""
        scopes = (Scope.PARTNER, Scope.DELIVERY, Scope.ADDRESSES, Scope.LETTERS)
        return any(probe.scope in scopes and self.wanted(probe.entry.id) for probe in self._probes)

    @property
    def asks_queues(self) -> bool:
        """Whether hosts are sure to be asked what is left in their queues."""
        scopes = (Scope.DELIVERY, Scope.ADDRESSES)
        return any(
            (probe.scope in scopes or probe.long) and self.wanted(probe.entry.id) for probe in self._probes
        )

    def partner(self, partner: Partner, *, told: bool) -> Job:
        """Whether this domain can take part; what keeps it from it is told also where only other probes of delivery are
        wanted. Where not `told` nothing is: it was not selected.
        """

        def work() -> Iterator[Finding]:
            for probe in self._probes:
                if probe.scope is Scope.PARTNER:
                    context = PartnerContext(self._run, probe.entry, self._seconds(probe), partner=partner)
                    for finding in guarded(probe, context):
                        if told and (self.wanted(probe.entry.id) or finding.verdict is not Verdict.PASS):
                            yield finding

        return Job(work, (self._deliveries,))

    def delivery(self, plan: DeliveryPlan) -> Job:
        """All probes of one message in order; when any is wanted all run, as they build on each
        other.
        """

        def work() -> Iterator[Finding]:
            probes = [probe for probe in self._probes if probe.scope is Scope.DELIVERY]
            if not any(self.wanted(probe.entry.id) for probe in probes):
                return
            self._run.filling.wait([plan.recipient.address], self._run.stop)
            context = DeliveryContext(self._run, probes[0].entry, plan=plan)
            for probe in probes:
                context.entry = probe.entry
                context.seconds = self._seconds(probe)
                context.transcript.lines.clear()
                for finding in guarded(probe, context):
                    wrong = finding.verdict in (Verdict.FAIL, Verdict.ERROR)
                    if wrong and not (context.fetched or context.waits_for):
                        context.waits_for = f"{finding.id} {finding.target}"  # what follows needs the message
                    if self.wanted(probe.entry.id):
                        yield finding

        return Job(work, (self._deliveries,))

    def addresses(self, partner: Partner) -> Job:
        """A message to each kind of address of a domain that can send. The probes share what was sent; a kind that no
        wanted probe looks at is not sent.
        """

        def work() -> Iterator[Finding]:
            probes = list(self._selected(Scope.ADDRESSES, Phase.LOOK))
            if not (probes and partner.sender and partner.ports):
                return
            kinds = tuple(dict.fromkeys(KINDS[probe.entry.id] for probe in probes))
            context = AddressContext(self._run, probes[0].entry, partner=partner, kinds=kinds)
            for probe in probes:
                context.entry = probe.entry
                if not context.cases(KINDS[probe.entry.id]):
                    if lacking := context.lacking(KINDS[probe.entry.id]):
                        yield context.skip(lacking)
                    continue
                context.seconds = self._seconds(probe)
                context.transcript.lines.clear()
                yield from guarded(probe, context)

        return Job(work, (self._deliveries,))

    def letters(self, partner: Partner) -> Job:
        """A few messages to one account of the domain."""
        probes = list(self._selected(Scope.LETTERS, Phase.LOOK))
        return Job(partial(look_at_letters, self._run, probes, partner), (self._deliveries,))


_MISSED = N_(
    "see the status and the log of dovecot on the host, as mailprov sets ManageSieve up there; if local settings turn "
    "it off, nothing need be done"
)
