"""A run of the probes: independent ones at once in threads, mail on its way beside them, and wrong passwords beside
them or last.

Public: verify. Raises nothing but bugs outside of probes: whatever happens inside a probe becomes a finding
with the verdict error.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import dns.resolver

from mailprov.i18n import _
from mailprov.model.dkim import PublicKeys
from mailprov.model.findings import USUAL_ACCOUNTS, Finding, Verdict
from mailprov.model.inventory import Domain, Host, Inventory, Profile
from mailprov.probe import profiles, vantage, web_bans
from mailprov.probe.accounts import with_test_passwords
from mailprov.probe.bans import Ask
from mailprov.probe.checks import probes
from mailprov.probe.cleaning import remove
from mailprov.probe.clients.connection import Deadline
from mailprov.probe.clients.resolver import Resolver, first_at
from mailprov.probe.clients.ways import HERE, Way
from mailprov.probe.context import PortContext, Run, port_numbered
from mailprov.probe.deliveries import Partner, candidates, plan_deliveries
from mailprov.probe.exact_changes import with_remedies
from mailprov.probe.jobs import Job, Jobs
from mailprov.probe.leftovers import Leftovers
from mailprov.probe.mailbox_jobs import on_mailboxes
from mailprov.probe.queues import Ask as AskQueue
from mailprov.probe.queues import Queues
from mailprov.probe.reach import targets
from mailprov.probe.registry import ALL_PORTS, PROBED, reachability
from mailprov.probe.targets import find_addresses
from mailprov.probe.timing import Timing
from mailprov.probe.vantage import Ask as AskTrusted
from mailprov.probe.vantage import Vantage, Vantages, judged

_THREADS = 48
_BESIDE = 24  # jobs of wrong passwords beside the rest, each in a thread of its own: they wait for each other


class _Runner:
    """Runs jobs in threads and hands on their findings, one at a time."""

    def __init__(self, run: Run, emit: Callable[[Finding], None], profile: Profile) -> None:
        self._run = run
        self._profile = profile
        self._emit = emit
        self._lock = threading.Lock()
        self.findings: list[Finding] = []

    def report(self, findings: Iterable[Finding]) -> list[Finding]:
        """Those that hang on what a host trusts are given back: it may still have to tell."""
        later = []
        for finding in findings:
            if self._run.vantages.judges(finding):
                later.append(finding)
            else:
                self._tell(finding)
        return later

    def _tell(self, found: Finding) -> None:
        finding = with_remedies(profiles.judged(found, self._profile), self._run.inventory)
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
                later = self.report(job.run())
            for finding in later:
                self._tell(judged(self._run.vantages, finding))

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
    probe_ids: Collection[str] = (),
    hosts: Collection[str] = (),
    domains: Collection[str] = (),
    resolver: dns.resolver.Resolver | None = None,
    stop: threading.Event | None = None,
    timing: Timing | None = None,
    port_map: dict[tuple[str, int], int] | None = None,
    port_numbers: Collection[int] = ALL_PORTS,
    provisioned: Collection[str] = (),
    ident: str = "",
    accounts: int | None = USUAL_ACCOUNTS,
    partner: str = "",
    bans: Ask | None = None,
    queues: AskQueue | None = None,
    watch: Callable[[Collection[Host]], None] | None = None,
    skip_ids: Collection[str] = (),
    signing: PublicKeys | None = None,
    selectors: tuple[str, ...] | None = None,
    name_server_port: int = 0,
    intrusive: bool = False,
    trusted: AskTrusted | None = None,
    profile: Profile = Profile.DEFAULT,
    leftovers: Leftovers | None = None,
    way: Way | None = None,
) -> list[Finding]:
    """Probe what the inventory declares, from here, and say what it shows.

    `emit` gets each finding at once, never from two threads at a time. `probe_ids` are words as `selects` takes
    them, `hosts` and `domains` narrow the targets (names in the inventory); empty means all. `resolver` replaces
    the system's. Setting `stop` ends the run soon: what was not tested by then becomes an error. `timing` holds the
    limits in seconds; `port_map` leads to other ports than the standard ones, as (address, port) → port;
    `port_numbers` are the ports to look at. `provisioned` are hosts that have just been brought to the desired
    state: what other servers may leave out is missed there. `accounts` of each domain log in (None: all), chosen by
    `ident`, the name of the run. `partner` is the domain that all others exchange mail with. `bans` asks hosts whom
    their fail2ban holds, where no port of a kind answers; `queues` asks one whether mail has left its queue,
    and `watch` is told early which hosts that will be. `skip_ids` are left out, as
    `probe_ids` are taken. `signing` are the DKIM keys that hosts say they sign with.
    `selectors`: the inventory is made up, of domains that it does not describe, and these are the selectors to look
    at there. `name_server_port`: where name servers that are looked up take questions, if not at the usual one.
    `intrusive`: probes that cost others something run, too, and mail goes to addresses outside of the inventory.
    `trusted` asks a host which of its networks have us; without it nobody is asked, and every finding counts as it is.
    `profile`: by which bar findings are judged.
    `leftovers`: what was sent and could not be removed, for whoever tells it; they are removed at the end, also where
    the run was stopped.
    `way`: from which machine is looked, if not from this one.

    Returns all findings in a stable order. Having none is for the caller to judge. Without
    `intrusive` sends mail only to declared accounts.
    """
    timing, way = timing or Timing(), way or HERE
    stop = stop or threading.Event()
    authoritative = Resolver(first_at(inventory.dns), resolver, timing.dns, way)
    if name_server_port:
        authoritative.name_server_port = name_server_port
    logins = sum(len(domain.accounts[:accounts]) for domain in inventory.domains)
    overall = Deadline(timing.overall + 10 * len(inventory.hosts) + logins, stop)
    inventory = with_test_passwords(inventory)
    run = Run(inventory, authoritative, timing, secrets.token_hex(6), stop, overall, port_map=port_map or {})
    run.provisioned, run.way = frozenset(provisioned), way
    run.queues = Queues(queues, timing.delivery, stop)
    run.leftovers = Leftovers() if leftovers is None else leftovers
    run.ident, run.accounts = ident or run.nonce, accounts
    served = [item for item in inventory.domains if not domains or item.name in domains]
    looked_at = [
        host
        for host in inventory.hosts
        if (not hosts or host.name in hosts)
        and (not domains or any(host.name in item.hosts for item in served))
    ]
    if hosts:
        served = [item for item in served if set(item.hosts) & set(hosts)]
    jobs = Jobs(run, probes(), probe_ids, port_numbers, skip_ids)
    if watch is not None and jobs.asks_queues:
        watch([host for host in looked_at if host.managed])
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda host: (host.name, find_addresses(run, host)), inventory.hosts)
        run.addresses.update(found)
    way.declare(*targets(run))
    outside = [each.entry.id for each in probes() if each.entry.vantage is Vantage.OUTSIDE]
    run.vantages = Vantages(trusted, outside)
    runner = _Runner(run, emit, profile)
    run.bar = profiles.RULES[profile].bar
    run.signing, run.selectors, run.intrusive = signing, selectors, intrusive
    if any(map(jobs.wanted, (*outside, vantage.PROBE))):
        run.vantages.begin(looked_at, run.addresses)
    for host in looked_at:
        if not run.addresses[host.name]:
            runner.report(iter([_nowhere(run, host)]))
    runner.report(jobs.not_agreed())
    runner.report(jobs.find_held(looked_at, bans))
    if any(jobs.wanted(each.entry.id) for each in probes() if each.entry.id.startswith(("web.", "webmail."))):
        runner.report(web_bans.find(run, looked_at, bans))
    jobs.find_absent(looked_at)
    # Mail is handed in at a domain's first host: where that is not looked at, nothing is said of it.
    names = {host.name for host in looked_at}
    senders = [item for item in served if names.intersection(item.hosts[:1])]
    looks = list(jobs.looks(looked_at, served))
    passwords = list(jobs.wrong_passwords([host for host in looked_at if host.managed], served))
    last = [
        *passwords[_BESIDE:],
        *jobs.wrong_passwords([host for host in looked_at if not host.managed], served),
    ]
    boxes = list(map(Job, on_mailboxes(run, jobs.wanted, looked_at, served)))
    for job in passwords[:_BESIDE]:
        job.beside()
    try:
        with ThreadPoolExecutor(3, thread_name_prefix="beside") as beside:
            wrong = beside.submit(runner.work_off, passwords[:_BESIDE])
            try:
                run.turns.all_begun()
                filled = beside.submit(runner.work_off, boxes)
                deliveries = beside.submit(_deliveries, runner, jobs, inventory, senders, partner)
                runner.work_off(looks)
                deliveries.result()
                filled.result()
                runner.work_off(list(jobs.in_clear(looked_at, served)))
            finally:
                run.turns.finish()
            wrong.result()
        runner.work_off(last)
    finally:
        run.leftovers.clear(partial(remove, run), waits=stop.is_set())
    if not runner.findings and not stop.is_set():
        runner.report(jobs.inapplicable())
    run.vantages.finish()
    return sorted(runner.findings, key=_order(inventory))


def _deliveries(
    runner: _Runner, jobs: Jobs, inventory: Inventory, selected: list[Domain], named: str
) -> None:
    """Mail from and to each selected domain. What is wrong with a domain that was not selected is not told: it is only
    no partner, and those are looked for one by one, where no selected one is left.
    """
    if not jobs.delivers:
        return
    known: dict[str, Partner] = {}

    def look(domains: list[Domain]) -> None:
        new = [domain for domain in domains if domain.name not in known]
        known.update({one.name: Partner(one, alone=not candidates(inventory, one)) for one in new})
        new = [domain for domain in new if not jobs.is_held(domain)]  # told before: nothing works there
        runner.work_off([jobs.partner(known[one.name], told=one in selected) for one in new])

    look([*selected, *(domain for domain in inventory.domains if domain.name == named and domain.hosts)])
    for domain in selected:
        others = candidates(inventory, domain)
        if any(other.name == named for other in others):
            continue
        for other in others:
            if any(known[each.name].works for each in others if each.name in known):
                break
            look([other])
    plans = plan_deliveries(inventory, selected, known, named)
    apart = [known[domain.name] for domain in selected if domain.name in known]
    addressed = [job(partner) for job in (jobs.addresses, jobs.letters) for partner in apart]
    runner.work_off([*addressed, *(jobs.delivery(plan) for plan in plans)])


def _nowhere(run: Run, host: Host) -> Finding:
    context = PortContext(run, reachability().entry, 1.0, host=host, address="", port=port_numbered(25))
    key = f"hosts.{host.name}.address" if run.described else "--address"
    return context.finding(
        Verdict.ERROR,
        _("neither {name} nor {address} leads to an IP address, so no port was looked at").format(
            name=host.fqdn, address=host.address
        ),
        _("publish an address for {name}, or give an IP address in {key}").format(name=host.fqdn, key=key),
    )


def _order(inventory: Inventory) -> Callable[[Finding], tuple[object, ...]]:
    hosts = {host.name: i for i, host in enumerate(inventory.hosts)}
    ports = {port.number: i for i, port in enumerate(PROBED)}
    ids = {item.entry.id: i for i, item in enumerate(probes())}

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
