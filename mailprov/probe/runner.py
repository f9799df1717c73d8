"""What is probed when: targets from the inventory, independent probes at once in threads, wrong passwords
last.

Public: verify. Raises nothing but bugs outside of probes: whatever happens inside a probe becomes a finding
with the verdict error.
"""

from __future__ import annotations

import dataclasses
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import dns.resolver

from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Domain, Host, Inventory
from mailprov.model.ports import PORTS, SIEVE_PORT

# These modules fill the table of probes.
from mailprov.probe import (  # noqa: F401
    capabilities,
    certificates,
    greetings,
    login,
    loop,
    loop_mailbox,
    managesieve,
    published,
    relay,
    results,
    sni,
    stranger,
)
from mailprov.probe.authority import Authority
from mailprov.probe.case import Case, DomainCase, HostCase, PortCase, Run, Timing, port_numbered
from mailprov.probe.loop_case import LoopCase
from mailprov.probe.pairs import LoopPlan, plan_loops
from mailprov.probe.stream import Deadline, Trouble
from mailprov.probe.table import ALL_PORTS, PROBED, Phase, Probe, Scope, in_order
from mailprov.probe.targets import find_addresses, has_route, subjects

_THREADS = 48
# Connections at once to one address: polite to anvil and to small machines.
_PER_ADDRESS = 6
_LOOPS_AT_ONCE = 8


@dataclasses.dataclass
class _Job:
    """A piece of work for one thread: `limits` are held while it runs, and waiting for them costs it no
    time.
    """

    run: Callable[[], Iterator[Finding]]
    limits: tuple[threading.Semaphore, ...] = ()


class _Runner:
    def __init__(
        self,
        run: Run,
        probes: list[Probe],
        emit: Callable[[Finding], None],
        only: Collection[str],
        port_numbers: Collection[int],
    ) -> None:
        self._run = run
        self._probes = probes
        self._emit = emit
        self._only = only
        self._ports = [port for port in PROBED if port.number in port_numbers]
        self._lock = threading.Lock()
        self._limits: dict[str, threading.Semaphore] = {}
        self._loops = threading.Semaphore(_LOOPS_AT_ONCE)
        self.findings: list[Finding] = []

    def report(self, findings: Iterator[Finding]) -> None:
        for finding in findings:
            with self._lock:
                self.findings.append(finding)
                self._emit(finding)

    def wanted(self, name: str) -> bool:
        return not self._only or any(name.startswith(prefix) for prefix in self._only)

    def _limit(self, address: str) -> threading.Semaphore:
        return self._limits.setdefault(address, threading.Semaphore(_PER_ADDRESS))

    def _seconds(self, probe: Probe) -> float:
        timing = self._run.timing
        if probe.entry.id == "loop.path":
            return timing.delivery + timing.probe
        return timing.wrong_password if probe.phase is Phase.WRONG_PASSWORDS else timing.probe

    def looks(self, hosts: list[Host], domains: list[Domain], plans: list[LoopPlan]) -> Iterator[_Job]:
        """Phase 1: everything without wrong passwords. Hosts take turns, so that none of them fills all the
        threads.
        """
        yield from (self._loop_job(plan) for plan in plans)
        jobs = [
            list(self._port_jobs(host, domains, Phase.LOOK, self._run.addresses[host.name])) for host in hosts
        ]
        for turn in range(max(map(len, jobs), default=0)):
            yield from (queue[turn] for queue in jobs if turn < len(queue))
        for probe in self._selected(Scope.HOST, Phase.LOOK):
            for host in hosts:
                case = HostCase(self._run, probe.entry, self._seconds(probe), host=host)
                yield _Job(lambda probe=probe, case=case: self._guarded(probe, case))  # type: ignore[misc]
        for probe in self._selected(Scope.DOMAIN, Phase.LOOK):
            for domain in domains:
                for name in (domain.name, *domain.domain_aliases):
                    domain_case = DomainCase(
                        self._run, probe.entry, self._seconds(probe), domain=domain, name=name
                    )
                    yield _Job(lambda probe=probe, case=domain_case: self._guarded(probe, case))  # type: ignore[misc]

    def wrong_passwords(self, hosts: list[Host], domains: list[Domain]) -> Iterator[_Job]:
        """Phase 2: one job for each host and address family, so that its probes run one after the other. The two
        families come from two addresses of ours, and Dovecot counts what each of them does wrong by itself.
        """
        for host in hosts:
            addresses = self._run.addresses[host.name]
            for family in ([a for a in addresses if ":" not in a], [a for a in addresses if ":" in a]):
                jobs = list(self._port_jobs(host, domains, Phase.WRONG_PASSWORDS, family))
                if jobs:
                    yield _Job(lambda jobs=jobs: (finding for job in jobs for finding in job.run()))  # type: ignore[misc]

    def _selected(self, scope: Scope, phase: Phase) -> Iterator[Probe]:
        for probe in self._probes:
            if probe.scope is scope and probe.phase is phase and self.wanted(probe.entry.id):
                yield probe

    def _port_jobs(
        self, host: Host, domains: list[Domain], phase: Phase, addresses: Collection[str]
    ) -> Iterator[_Job]:
        here = [domain for domain in domains if host.name in domain.hosts]
        for address in addresses:
            if ":" in address and not has_route(address):
                text = f"{address} was not looked at on any port: this machine has no IPv6 route to it"
                yield from self._passed_over(host, address, 0, phase, text)
                continue
            for port in self._ports:
                if seen := self._run.absent.get((address, port.number)):
                    text = f"{port.service} is not offered here: {seen}"
                    yield from self._passed_over(host, address, port.number, phase, text)
                    continue
                for scope in (Scope.PORT, Scope.PORT_DOMAIN, Scope.PORT_ACCOUNT):
                    for probe in self._selected(scope, phase):
                        if port.number not in probe.entry.ports:
                            continue
                        for domain, account in subjects(scope, here, phase):
                            case = PortCase(
                                self._run,
                                probe.entry,
                                self._seconds(probe),
                                host=host,
                                address=address,
                                port=port,
                                domain=domain,
                                account=account,
                            )
                            if probe.applies(case):
                                yield self._port_job(probe, case)

    def _port_job(self, probe: Probe, case: PortCase) -> _Job:
        limits = [self._limit(case.address)]
        if case.account is not None:
            limits.insert(0, self._run.user_slot(case.host.name, case.account.address))

        def work() -> Iterator[Finding]:
            for finding in self._guarded(probe, case):
                if probe.entry.id == "auth.ok" and case.account is not None:
                    key = (case.address, case.port.number, case.account.address)
                    with self._run.lock:
                        self._run.logins[key] = finding.verdict
                yield finding

        return _Job(work, tuple(limits))

    def _passed_over(self, host: Host, address: str, number: int, phase: Phase, text: str) -> Iterator[_Job]:
        """One skip with its reason instead of dozens: no IPv6 here, or a port that need not be there."""
        for probe in self._selected(Scope.PORT, phase):
            if probe.entry.id == "net.tcp":
                port = dataclasses.replace(PORTS[0], number=number)
                case = PortCase(self._run, probe.entry, 1.0, host=host, address=address, port=port)
                yield _Job(lambda case=case, text=text: iter([case.skip(text)]))  # type: ignore[misc]

    def find_absent(self, hosts: list[Host]) -> None:
        """Whether ManageSieve is offered, at each address, if anything of it is to be looked at."""
        probes = [probe for probe in self._probes if SIEVE_PORT.number in probe.entry.ports]
        if SIEVE_PORT not in self._ports or not any(self.wanted(probe.entry.id) for probe in probes):
            return
        addresses = [each for host in hosts for each in self._run.addresses[host.name] if has_route(each)]

        def look(address: str) -> str:
            number = self._run.port_map.get((address, SIEVE_PORT.number), SIEVE_PORT.number)
            return managesieve.unanswered(address, number, self._run.timing.connect)

        with ThreadPoolExecutor(_THREADS) as pool:
            for address, seen in zip(addresses, pool.map(look, addresses), strict=True):
                if seen:
                    self._run.absent[address, SIEVE_PORT.number] = seen

    def _loop_job(self, plan: LoopPlan) -> _Job:
        """All loop probes of one message in order; when any is wanted all run, as they build on each
        other.
        """

        def work() -> Iterator[Finding]:
            probes = [probe for probe in self._probes if probe.scope is Scope.LOOP]
            if not any(self.wanted(probe.entry.id) for probe in probes):
                return
            case = LoopCase(self._run, probes[0].entry, plan=plan)
            for probe in probes:
                case.entry = probe.entry
                case.seconds = self._seconds(probe)
                case.transcript.lines.clear()
                for finding in self._guarded(probe, case):
                    if self.wanted(probe.entry.id):
                        yield finding

        return _Job(work, (self._loops,))

    def _guarded(self, probe: Probe, case: Case) -> Iterator[Finding]:
        """The probe's findings; what it could not find out, for whatever reason, is an error."""
        started = time.monotonic()
        case.deadline = case.new_deadline(case.seconds)
        found: list[Finding] = []
        try:
            case.deadline.left()
            for finding in probe.run(case):
                found.append(finding)  # one by one: what was found before a trouble stays found
            if not found:
                found.append(case.error("the probe said nothing (a bug in mailprov)"))
        except Trouble as trouble:
            found.append(case.error(str(trouble), _ADVICE.get(type(trouble).__name__, "")))
        except Exception as error:
            found.append(case.error(f"the probe broke off: {type(error).__name__}: {error}"))
        seconds = round(time.monotonic() - started, 3)
        for finding in found:
            yield dataclasses.replace(finding, seconds=seconds)

    def work_off(self, jobs: list[_Job]) -> None:
        """Run all jobs, in threads. KeyboardInterrupt sets the stop flag, waits for the threads, and goes on
        up.
        """

        def work(job: _Job) -> None:
            with ExitStack() as held:
                for limit in job.limits:
                    held.enter_context(limit)
                self.report(job.run())

        if not jobs:
            return
        with ThreadPoolExecutor(min(_THREADS, len(jobs)), thread_name_prefix="probe") as pool:
            futures = [pool.submit(work, job) for job in jobs]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self._run.stop.set()
                raise


_ADVICE = {
    "Refused": "see net.tcp for this port",
    "NoRoute": "see net.tcp for this port",
    "Silence": "see whether the server is up and not overloaded, then run it again",
    "Dropped": "see the server's log for the reason, then run it again",
    "Untrusted": "see tls.chain and tls.name",
    "NoAnswer": "see that the name server is up and reachable from here on port 53, UDP and TCP",
}


def verify(
    inventory: Inventory,
    *,
    emit: Callable[[Finding], None],
    only: Collection[str] = (),
    hosts: Collection[str] = (),
    domains: Collection[str] = (),
    resolver: dns.resolver.Resolver | None = None,
    stop: threading.Event | None = None,
    timing: Timing | None = None,
    port_map: dict[tuple[str, int], int] | None = None,
    port_numbers: Collection[int] = ALL_PORTS,
) -> list[Finding]:
    """Probe what the inventory declares, from here, and say what it shows.

    `emit` gets each finding at once, never from two threads at a time. `only` are prefixes of probe ids,
    `hosts` and `domains` narrow the targets (names in the inventory); empty means all. `resolver` replaces
    the system's. Setting `stop` ends the run soon: what was not tested by then becomes an error. `timing`
    holds the limits in seconds; `port_map` leads to other ports than the standard ones, as (address, port) →
    port; `port_numbers` are the ports to look at.

    Returns all findings in a stable order. Having none is for the caller to judge. Sends mail only to
    declared accounts.
    """
    timing = timing or Timing()
    stop = stop or threading.Event()
    authority = Authority(inventory.dns, resolver, timing.dns)
    overall = Deadline(timing.overall + 10 * len(inventory.hosts), stop)
    run = Run(inventory, authority, timing, secrets.token_hex(6), stop, overall, port_map=port_map or {})
    served = [item for item in inventory.domains if not domains or item.name in domains]
    looked_at = [
        host
        for host in inventory.hosts
        if (not hosts or host.name in hosts)
        and (not domains or any(host.name in item.hosts for item in served))
    ]
    if hosts:
        served = [item for item in served if set(item.hosts) & set(hosts)]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda host: (host.name, find_addresses(run, host)), inventory.hosts)
        run.addresses.update(found)
    runner = _Runner(run, in_order(), emit, only, port_numbers)
    for host in looked_at:
        if not run.addresses[host.name]:
            runner.report(iter([_nowhere(run, host)]))
    runner.find_absent(looked_at)
    runner.work_off(list(runner.looks(looked_at, served, plan_loops(inventory, hosts, domains))))
    runner.work_off(list(runner.wrong_passwords(looked_at, served)))
    return sorted(runner.findings, key=_order(inventory))


def _nowhere(run: Run, host: Host) -> Finding:
    entry = next(item.entry for item in in_order() if item.entry.id == "net.tcp")
    case = PortCase(run, entry, 1.0, host=host, address="", port=port_numbered(25))
    return case.finding(
        Verdict.ERROR,
        f"neither {host.fqdn} nor {host.address} has an address, so no port was looked at",
        f"publish an address for {host.fqdn}, or give an IP address in hosts.{host.name}.address",
    )


def _order(inventory: Inventory) -> Callable[[Finding], tuple[object, ...]]:
    hosts = {host.name: i for i, host in enumerate(inventory.hosts)}
    ports = {port.number: i for i, port in enumerate(PROBED)}
    ids = {item.entry.id: i for i, item in enumerate(in_order())}

    def key(finding: Finding) -> tuple[object, ...]:
        target = finding.target
        return (
            hosts.get(target.host, len(hosts)),
            target.address,
            ids.get(finding.id, len(ids)),
            ports.get(target.port, -1),
            target.domain,
            target.account,
        )

    return key
