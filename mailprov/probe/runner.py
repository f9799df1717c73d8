"""A run of the probes: independent ones at once in threads, wrong passwords last.

Public: verify. Raises nothing but bugs outside of probes: whatever happens inside a probe becomes a finding
with the verdict error.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import dns.resolver

from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Host, Inventory

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
    zone_servers,
)
from mailprov.probe.authority import Authority
from mailprov.probe.case import PortCase, Run, Timing, port_numbered
from mailprov.probe.jobs import Job, Jobs
from mailprov.probe.pairs import plan_loops
from mailprov.probe.stream import Deadline
from mailprov.probe.table import ALL_PORTS, PROBED, in_order
from mailprov.probe.targets import find_addresses

_THREADS = 48


class _Runner:
    """Runs jobs in threads and hands on their findings, one at a time."""

    def __init__(self, run: Run, emit: Callable[[Finding], None]) -> None:
        self._run = run
        self._emit = emit
        self._lock = threading.Lock()
        self.findings: list[Finding] = []

    def report(self, findings: Iterator[Finding]) -> None:
        for finding in findings:
            with self._lock:
                self.findings.append(finding)
                self._emit(finding)

    def work_off(self, jobs: list[Job]) -> None:
        """Run all jobs, in threads. KeyboardInterrupt sets the stop flag, waits for the threads, and goes on
        up.
        """

        def work(job: Job) -> None:
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
    provisioned: Collection[str] = (),
) -> list[Finding]:
    """Probe what the inventory declares, from here, and say what it shows.

    `emit` gets each finding at once, never from two threads at a time. `only` are prefixes of probe ids,
    `hosts` and `domains` narrow the targets (names in the inventory); empty means all. `resolver` replaces
    the system's. Setting `stop` ends the run soon: what was not tested by then becomes an error. `timing`
    holds the limits in seconds; `port_map` leads to other ports than the standard ones, as (address, port) →
    port; `port_numbers` are the ports to look at. `provisioned` are hosts that have just been brought to the desired
    state: what other servers may leave out is missed there.

    Returns all findings in a stable order. Having none is for the caller to judge. Sends mail only to
    declared accounts.
    """
    timing = timing or Timing()
    stop = stop or threading.Event()
    authority = Authority(inventory.dns, resolver, timing.dns)
    overall = Deadline(timing.overall + 10 * len(inventory.hosts), stop)
    run = Run(inventory, authority, timing, secrets.token_hex(6), stop, overall, port_map=port_map or {})
    run.provisioned = frozenset(provisioned)
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
    runner = _Runner(run, emit)
    jobs = Jobs(run, in_order(), only, port_numbers)
    for host in looked_at:
        if not run.addresses[host.name]:
            runner.report(iter([_nowhere(run, host)]))
    jobs.find_absent(looked_at)
    runner.work_off(list(jobs.looks(looked_at, served, plan_loops(inventory, hosts, domains))))
    runner.work_off(list(jobs.wrong_passwords(looked_at, served)))
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
