"""Verification alone, or as the last step of apply: probes at once, findings into the stream, one exit code."""

from __future__ import annotations

import datetime
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from mailprov import __version__
from mailprov.errors import bug
from mailprov.i18n import _
from mailprov.model.answers import Found
from mailprov.model.dkim import PublicKeys
from mailprov.model.events import Emit, Notice, Progress, RunEnded, RunStarted
from mailprov.model.findings import USUAL_ACCOUNTS, Finding, Verdict
from mailprov.model.inventory import Host, Inventory, Profile
from mailprov.run.accepting import Acceptance
from mailprov.run.event_queue import EventQueue
from mailprov.run.exit_code import worst
from mailprov.run.hosts import Start
from mailprov.run.ident import run_id
from mailprov.run.select import Selection

if TYPE_CHECKING:
    from mailprov.probe import Leftovers
    from mailprov.probe.clients.ways import Way
    from mailprov.run.relay import Relay

_TAKES, _ENDS = 15.0, 2.0  # seconds after Ctrl-C, with something to take back and without


def exit_code(findings: Collection[Finding], *, fail_on_warn: bool = False) -> int:
    """0 all proved, 1 something is wrong, 3 could not tell (also: nothing ran), 4 warnings with --fail-on warn."""
    verdicts = Counter(finding.verdict for finding in findings)
    if verdicts[Verdict.FAIL]:
        return 1
    if verdicts[Verdict.ERROR] or not verdicts[Verdict.PASS]:
        return 3
    return 4 if fail_on_warn and verdicts[Verdict.WARN] else 0


def summary(findings: Collection[Finding], profile: Profile = Profile.DEFAULT) -> str:
    verdicts = Counter(finding.verdict for finding in findings)
    if not findings:
        return _("no probe ran")
    counts = ", ".join(f"{verdicts[v]} {v.value}" for v in Verdict if verdicts[v])
    if profile is Profile.DEFAULT:
        return counts
    return _("{counts}, by the profile {name}").format(counts=counts, name=profile.value)


def verify(
    inventory: Inventory,
    selection: Selection,
    *,
    probe_ids: Collection[str] = (),
    fail_on_warn: bool = False,
    accounts: int | None = USUAL_ACCOUNTS,
    partner: str = "",
    start: Start | None = None,
    direct: Callable[[Host], bool] = lambda host: True,
    report: Emit,
    skip_ids: Collection[str] = (),
    selectors: tuple[str, ...] | None = None,
    intrusive: bool = False,
    via: Host | None = None,
) -> int:
    """Probe what is selected; `probe_ids` and `skip_ids` are for `probe.selects`. `accounts` of each domain log in,
    None: all. `partner` is the domain that all others exchange mail with, if not each the next one that works.
    `start` reaches hosts over SSH: to ask whether mail that was sent has left their queues, and those whose ports do
    not answer, whether their fail2ban holds us, and whether their networks have us. `direct`: no jump host is between
    here and there.
    `selectors`, `intrusive`: see `probe.verify`. `via`: the host that is looked from, reached by `start`. Raises
    MailprovError where it cannot be.
    """
    with ExitStack() as stack:
        way = None
        if via is not None and start is not None:
            from mailprov.run.relay import opened

            way = stack.enter_context(opened(inventory, via, start))
        return _verify(
            inventory,
            selection,
            way=way,
            fail_on_warn=fail_on_warn,
            report=report,
            probe_ids=probe_ids,
            accounts=accounts,
            partner=partner,
            start=start,
            direct=direct,
            skip_ids=skip_ids,
            selectors=selectors,
            intrusive=intrusive,
        )


def _verify(
    inventory: Inventory, selection: Selection, *, way: Relay | None, report: Emit, **more: Any
) -> int:
    events = EventQueue(report)
    began = time.monotonic()
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    via = way.name if way is not None else ""
    events.emit(RunStarted("verify", inventory.source, __version__, started, inventory.profile.value, via))
    if via:
        form = _("looking from {host}, through its agent; {host} itself is looked at from here")
        events.emit(Notice("", form.format(host=via)))
    findings: list[Finding] = []
    try:
        code = probe_into(events, inventory, selection, ident=run_id(), findings=findings, way=way, **more)
    except KeyboardInterrupt:
        events.wake(RunEnded(130, _("interrupted"), time.monotonic() - began))
        return 130
    if way is not None and (broken := way.broken) is not None:
        events.emit(Notice("", str(broken)))
    events.wake(RunEnded(code, summary(findings, inventory.profile), time.monotonic() - began))
    return code


def _take_back(events: EventQueue, done: threading.Event, sent: list[Leftovers]) -> None:
    """After Ctrl-C: what was sent is taken out of the mailboxes again, and what is not is told. Ctrl-C once more ends
    it at once.
    """
    left = sent[0] if sent else None
    if left:
        text = _("taking out again what was sent, {seconds:g} s at most (Ctrl-C again leaves at once)")
        events.emit(Notice("", text.format(seconds=_TAKES)))
    try:
        events.pump(done.is_set, deadline=time.monotonic() + (_TAKES if left else _ENDS))
    except KeyboardInterrupt:
        pass
    if left is not None:
        left.leave()
        for text in left.told():
            events.emit(Notice("", text))


def probe_into(
    events: EventQueue,
    inventory: Inventory,
    selection: Selection,
    *,
    probe_ids: Collection[str] = (),
    fail_on_warn: bool = False,
    accounts: int | None = USUAL_ACCOUNTS,
    partner: str = "",
    ident: str,
    findings: list[Finding] | None = None,
    provisioned: Collection[str] = (),
    start: Start | None = None,
    direct: Callable[[Host], bool] = lambda host: True,
    skip_ids: Collection[str] = (),
    signing: PublicKeys | None = None,
    selectors: tuple[str, ...] | None = None,
    intrusive: bool = False,
    way: Way | None = None,
) -> int:
    """Run the probes in a thread, deliver their findings from this one. KeyboardInterrupt stops them and goes on up.
    `provisioned`, `ident`, the run's name, `signing`, `selectors`, `intrusive` and `way`: see `probe.verify`.
    """
    if any(domain.two_sided for domain in inventory.domains):
        from mailprov.run.moves import seen

        inventory = seen(inventory)
    found: list[Finding] = [] if findings is None else findings
    stop = threading.Event()
    done = events.milestone()
    crash: list[str] = []
    sent: list[Leftovers] = []

    acceptance = Acceptance(inventory)

    def take(finding: Finding) -> None:
        finding = acceptance.judged(finding)
        found.append(finding)
        events.emit(Found(finding))

    def work() -> None:
        ending = ExitStack()
        try:
            from mailprov import probe  # slow to load, and an apply that changes nothing probes nothing

            sent.append(probe.Leftovers())

            def bans(hosts: Collection[Host]) -> dict[str, probe.Bans]:
                from mailprov.run.bans import ask

                if start is None:
                    return {}
                events.emit(
                    Progress(
                        "verify",
                        _("asking fail2ban on {hosts}").format(hosts=", ".join(h.name for h in hosts)),
                    )
                )
                told = ask(hosts, command="verify", start=start)
                return {name: probe.Bans(told.peers[name], held) for name, held in told.bans.items()}

            watchers = None
            if start is not None:
                from mailprov.run.queue_gone import Watchers

                watchers = Watchers(command="verify", start=start, stop=stop)
                ending.callback(watchers.end)

            def trusted(host: Host, addresses: Collection[str]) -> probe.TrustTold:
                from mailprov.run.trusted import ask

                return ask(host, addresses, command="verify", start=start, direct=direct, way=way)

            probe.verify(
                inventory,
                emit=take,
                trusted=trusted,
                way=way,
                probe_ids=probe_ids,
                hosts=() if selection.whole else [host.name for host in selection.looked_at],
                domains=() if selection.whole else selection.domains,
                stop=stop,
                provisioned=provisioned,
                accounts=accounts,
                partner=partner,
                ident=ident,
                bans=bans,
                queues=watchers.ask if watchers else None,
                watch=watchers.begin if watchers else None,
                skip_ids=skip_ids,
                signing=signing,
                selectors=selectors,
                intrusive=intrusive,
                profile=inventory.profile,
                leftovers=sent[0],
            )
        except Exception as error:
            crash.append(str(bug("verify", error)))
        finally:
            ending.close()
            done.set()

    events.emit(Progress("verify", _("probing from outside")))
    threading.Thread(target=work, name="verify", daemon=True).start()
    try:
        events.pump(done.is_set)
    except KeyboardInterrupt:
        stop.set()
        _take_back(events, done, sent)
        raise
    for text in sent[0].told() if sent else ():
        events.emit(Notice("", text))
    for text in acceptance.told(selection.whole and not probe_ids and not skip_ids):
        events.emit(Notice("", text))
    for text in crash:
        events.emit(Notice("", text))
    code = exit_code(found, fail_on_warn=fail_on_warn)
    return worst(code, 3) if crash else code
