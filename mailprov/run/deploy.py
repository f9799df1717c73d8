"""Plan and apply: all hosts and zones are planned at once, one decision is taken, then hosts, zones, verification.

Order and safety
- Every session stays open between plan and apply: what was shown is what is done, and nothing is connected twice.
- If the zones cannot be planned, nothing is applied anywhere: a host without its records is half a mail service. Of
  several DNS providers one that fails stops its own zones only.
- Certificates of an authority (ACME) come last, in the same sessions: it looks for the host in DNS before it issues.
- One host's failure stops no other; a zone is published only when the hosts it points at are ready to take mail.
- What a zone was before is kept on its hosts before it is published (see dns/undo.py), so that it can be rolled back.

A Deployment also carries a rollback: only what is planned, on hosts and in zones, is another thing then.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from mailprov import __version__, desired, dns
from mailprov.errors import MailprovError, NotBelieved
from mailprov.i18n import _
from mailprov.model.events import Change, Emit, Ended, Event, Notice, Planned, RunEnded, RunStarted
from mailprov.model.inventory import Host, Inventory
from mailprov.model.tls_keys import HostKeys
from mailprov.plan.advisories import advisories
from mailprov.plan.changes import counted, counts, done
from mailprov.run import tls_keys
from mailprov.run.bans import propose
from mailprov.run.desired_mode import DesiredMode
from mailprov.run.event_queue import EventQueue
from mailprov.run.exit_code import worst
from mailprov.run.gate import Gate
from mailprov.run.hosts import HostSession, Mode, Start
from mailprov.run.ident import run_id
from mailprov.run.interrupting import interrupted
from mailprov.run.options import Options
from mailprov.run.select import Selection
from mailprov.run.unfinished import unfinished
from mailprov.run.zones import Policies, ZoneWork, keeps_key, plan_zones, settled

_STARTING = 0.2  # seconds; a host that is logged in to already takes much less

__all__ = ["Deployment", "Options", "apply", "plan", "toward_desired"]


def plan(inventory: Inventory, selection: Selection, options: Options, *, start: Start, report: Emit) -> int:
    """Say what would change; touch nothing. 4 instead of 0 when `exit_code_for_changes` and there is something."""
    return toward_desired(inventory, selection, options, "plan", start, report).run()


def apply(inventory: Inventory, selection: Selection, options: Options, *, start: Start, report: Emit) -> int:
    """Plan, ask, do it, verify."""
    return toward_desired(inventory, selection, options, "apply", start, report).run()


def toward_desired(
    inventory: Inventory, selection: Selection, options: Options, goal: str, start: Start, report: Emit
) -> Deployment:
    """A run toward the desired state that only plans (mode plan) or applies."""
    ident = run_id()
    job = options.job(goal, ident)
    inventory = settled(inventory, report)

    def mode(host: Host, deployment: Deployment) -> Mode:
        made = DesiredMode(inventory, host, job, lambda: deployment.zones.images(host.name), options.rotation)
        made.settled = deployment.policies.settled
        planned = selection.in_dns and inventory.dns.at(host.fqdn).provider.publishes
        if not planned and not options.switching:
            made.permit = partial(keeps_key, inventory, host)
        return made

    def zones(deployment: Deployment) -> list[dns.ZonePlan]:
        policies = deployment.policies.read()
        return plan_zones(
            keys=deployment.public_keys(),
            inventory=policies.inventory([one.mode for one in deployment.sessions]),
            moves_on=options.moves,
            take_over=options.take_over,
            served=deployment.served(),
            covers=selection.covers_zone,
            tls=deployment.planned_tls(),
            switching=options.switching,
        )

    return Deployment(
        inventory,
        selection,
        options,
        applies=goal == "apply",
        ident=ident,
        mode=mode,
        zones=zones,
        start=start,
        report=report,
    )


class Deployment:
    """One run. `mode` says what each host's conversation is about, `zones` makes the plans of the zones: both are given
    the run itself, whose sessions and zones they may look at once it is going (`run`), and not before.
    """

    def __init__(
        self,
        inventory: Inventory,
        selection: Selection,
        options: Options,
        *,
        applies: bool,
        ident: str,
        mode: Callable[[Host, Deployment], Mode],
        zones: Callable[[Deployment], list[dns.ZonePlan]],
        start: Start,
        report: Emit,
    ) -> None:
        self.inventory = inventory
        self.selection = selection
        self.options = options
        self.applies = applies
        self.ident = ident
        self.start = start
        self.events = EventQueue(report)
        milestone = self.events.milestone
        self.began = time.monotonic()
        self.gate = Gate()
        self.declined = False  # somebody was asked and said no
        self.in_force = False  # a saved plan, all of which is done already
        self.published = Gate()
        self._work: Callable[[Emit], ZoneWork] = lambda emit: ZoneWork(
            inventory, selection, plan=lambda: zones(self), emit=emit, ident=ident, milestone=milestone
        )
        self.zones = self._work(self.events.emit)
        self.lies: list[MailprovError] = []  # of hosts that were only asked for their keys
        self._tls: dict[str, HostKeys] = {}  # of these
        self._planned_tls: dict[str, HostKeys] = {}  # as the zones were planned
        self.policies = Policies(inventory)
        self.sessions = [
            HostSession(
                host,
                mode(host, self),
                command=options.command,
                emit=self.events.emit,
                gate=self.gate,
                start=start,
                published=self.published,
                milestone=milestone,
            )
            for host in (selection.hosts if selection.on_hosts else ())
        ]

    def run(self) -> int:
        started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        self.events.emit(RunStarted(self.options.command, self.inventory.source, __version__, started))
        if not self.options.command.startswith(("rollback", "queue")):
            for sentence in advisories(
                self.inventory, None if self.selection.whole else self.selection.domains
            ):
                self.events.emit(Notice("", sentence))
        try:
            self._plan()
            if not self.applies:
                return self._finish(self._planned_code())
            if self.options.saved is not None and (moved := self._moved(self.options.saved)):
                return self._refuse(moved)
            if not self._changes():
                self.gate.decide(False)
                self._wait_for_hosts()
                return self._finish(
                    worst(self.options.idle_code, self._verified(self._failures(), changed=False))
                )
            if not self._decide():
                # As terraform and apt end where somebody says no: what was asked for is not done, and a script that
                # goes on with the next step must not take it for done.
                left = 4 if self.options.preview else 1 if self.declined else 0
                return self._finish(worst(left, self._failures()))
            self._wait_for_hosts()
            self._publish()
            self.published.decide(True)
            self._wait_for_hosts()
            self._follow()
            return self._finish(self._verified(self._failures(), changed=True))
        except KeyboardInterrupt:
            gates, on_interrupt = (self.gate, self.published), self.options.on_interrupt
            return interrupted(self.events, self.sessions, gates, on_interrupt, self.began)

    @property
    def changed(self) -> bool:
        """Whether there was something to do."""
        return bool(self._changes())

    def public_keys(self) -> dict[str, dict[str, str]]:
        """The DKIM keys of all hosts that have told theirs, once all have been asked: for planning the zones."""
        if not self.selection.on_hosts:
            if not self.inventory.dns.publishes:
                return {}
            from mailprov.run.dkim_keys import for_zones

            more: dict[str, Any] = {"command": self.options.command, "start": self.start}
            told = for_zones(self.inventory, self.selection.hosts, report=self.events.emit, **more)
            self.lies, self._tls = told.errors, told.tls
            return told.public
        for session in self.sessions:
            session.planned.wait()
        keys = {session.host.name: session.outcome.keys for session in self.sessions}
        return {host: known for host, known in keys.items() if known is not None}

    def tls_keys(self) -> dict[str, HostKeys]:
        """The keys of certificates, likewise; to be called after `public_keys`."""
        keys = {one.host.name: tls_keys.of(one.host, one.outcome.tls) for one in self.sessions}
        asked = {host: known for host, known in keys.items() if known is not None}
        return {**self._tls, **asked, **self.options.tls}

    def planned_tls(self) -> dict[str, HostKeys]:
        """`tls_keys`, by which the zones are planned now."""
        self._planned_tls = self.tls_keys()
        return self._planned_tls

    def served(self) -> dict[str, set[str]]:
        """Domains that hosts of this run have served until now, each with the names in DNS of these hosts. To be called
        after `public_keys`. Hosts that this run does not change say nothing here: they go on with what they serve.
        """
        found: dict[str, set[str]] = {}
        for session in self.sessions:
            mode = session.mode
            for domain in mode.served if isinstance(mode, DesiredMode) else ():
                found.setdefault(domain, set()).add(session.host.fqdn)
        return found

    def _plan(self) -> None:
        for session in self.sessions:
            session.launch()
        self.zones.launch_plan()
        modes = [session.mode for session in self.sessions if isinstance(session.mode, DesiredMode)]
        # Threads of one Python share its time, and the sooner an agent runs, the more of its time is used here.
        deadline = time.monotonic() + _STARTING
        for session in self.sessions:
            session.started.wait(max(0.0, deadline - time.monotonic()))
        with suppress(Exception):  # what is wrong is met again, and told, where it is needed
            # Meanwhile: it takes some tenths of a second until a host's facts are here.
            desired.prepare([mode.host for mode in modes])
            for mode in modes:
                mode.prepare()
        self.events.pump(
            lambda: self.zones.planned.is_set() and all(s.planned.is_set() for s in self.sessions)
        )
        if self.options.direct is not None:
            for sentence in propose(self.sessions, self.options.direct):
                self.events.emit(Notice("", sentence))

    def _moved(self, saved: Mapping[str, str]) -> list[str]:
        """What is not as in the saved plan, unless all of that is in force already."""
        from mailprov.run import as_saved

        # Of all that could be asked: also of a host that stops at its own plan, which has not moved by that.
        told = {one.host.name: one.outcome.changes for one in self.sessions if one.outcome.planned}
        moved, self.in_force = as_saved.compared(saved, {**told, **self.zones.by_subject})
        return moved

    def _refuse(self, moved: list[str]) -> int:
        self.gate.decide(False)
        self._wait_for_hosts()
        what = _(
            "nothing was changed: different since the plan was saved: {names}; look at a new plan (plan --out), "
            "then apply that"
        )
        self.events.emit(Notice("", what.format(names=", ".join(sorted(moved)))))
        return self._finish(worst(1, self._failures()))

    def _decide(self) -> bool:
        """True when it was go. The zones' failure, or a no, sends every waiting host home untouched."""
        obstacle = self._obstacle()
        go = not obstacle
        if obstacle:
            self.events.emit(Notice("", _("nothing was changed: {reason}").format(reason=obstacle)))
        elif self.options.preview:
            go = False
        elif self.options.confirm is not None:
            self.events.wake()
            go = self.options.confirm(counts(self._changes()))
            self.declined = not go
        self.gate.decide(go)
        if not go:
            self._wait_for_hosts()
        return go

    def _obstacle(self) -> str:
        """Why nothing may be done at all, in spite of a plan; empty when there is no such reason."""
        if self.options.together:
            unplanned = [
                s.host.name
                for s in self.sessions
                # Who is not believed is left out, as if there were no such host (see rollback.py).
                if s.ended.is_set() and s.outcome.error and not isinstance(s.outcome.error, NotBelieved)
            ]
            if unplanned:
                what = _("rollback is all-or-nothing, and {hosts} cannot take part (--host leaves it out)")
                return what.format(hosts=", ".join(unplanned))
            if self.zones.error is not None:
                return _("the zones could not be planned")
        elif self.zones.error is not None:
            return _("the zones could not be planned (--only hosts leaves them out)")
        return ""

    def _wait_for_hosts(self) -> None:
        """Until all have ended; before the zones are published, or are only waiting for that."""
        self.events.pump(
            lambda: all(
                session.ended.is_set() or (session.ready.is_set() and not self.published.decided)
                for session in self.sessions
            )
        )

    def _publish(self) -> None:
        keeping = {session.host.name for session in self.sessions if session.outcome.confirmed}
        not_ready = {s.host.name for s in self.sessions if s.outcome.status != "ok" and not s.ready.is_set()}
        self._write(self.zones, keeping, not_ready | {error.where for error in self.lies})

    def _write(self, zones: ZoneWork, keeping: set[str], not_ready: set[str]) -> None:
        from mailprov.run.zone_backup import back_up

        more: dict[str, Any] = {"ident": self.ident, "command": self.options.command, "start": self.start}
        back_up(zones, keeping, events=self.events, **more)
        zones.launch_publish(not_ready)
        self.events.pump(zones.done.is_set)

    def _follow(self) -> None:
        """Records of keys and policies that came into service in this run: senders must not meet them before."""
        if not any(one.outcome.tls.ended for one in self.sessions) or self.zones.error is not None:
            return
        if self.selection.in_dns and (self.policies.wait() or self.tls_keys() != self._planned_tls):
            late = self._work(self._later)
            late.launch_plan()
            self.events.pump(late.planned.is_set)
            # The hosts keep what the zones were before under the same run: a rollback undoes both together.
            self._write(late, set(), {s.host.name for s in self.sessions if s.outcome.status != "ok"})
            self.zones.add(late)

    def _later(self, event: Event) -> None:
        """What a second look at the zones has to say beside what the first one said."""
        known = isinstance(event, Ended) and event.subject in self.zones.unplanned
        if not known and not isinstance(event, Planned | Notice):
            self.events.emit(event)

    def _verified(self, code: int, *, changed: bool) -> int:
        """The exit code with verification's part in it; verification is only worth its time where hosts are well."""
        if code or not (changed if self.options.verify is None else self.options.verify):
            return code
        from mailprov.run.verify_scope import probe_after

        made = () if self.options.command == "rollback" else self.sessions
        provisioned = [session.host.name for session in made if session.outcome.status == "ok"]
        more: dict[str, Any] = {"ident": self.ident, "provisioned": provisioned, "start": self.start}
        changes = self._changes() if changed and self.options.verify_scope == "changed" else ()
        return worst(code, probe_after(changes, self.events, self.inventory, self.selection, **more))

    def _changes(self) -> list[Change]:
        """What there is to decide on. A host that stopped at its own plan, on an edit by hand, is out of it."""
        able = [session.outcome for session in self.sessions if session.outcome.status != "failed"]
        return [change for outcome in able for change in outcome.changes] + list(self.zones.changes)

    def _failures(self) -> int:
        codes = [
            s.outcome.error.exit_code if s.outcome.error else 0
            for s in self.sessions
            if s.outcome.status != "ok"
        ]
        codes += [error.exit_code for error in self.lies]
        codes += [error.exit_code for error in (self.zones.error, *self.zones.unplanned.values()) if error]
        if self.zones.skipped or self.zones.left:
            codes.append(1)
        return worst(*codes)

    def _planned_code(self) -> int:
        return self._failures() or (4 if self._changes() and self.options.exit_code_for_changes else 0)

    def _finish(self, code: int) -> int:
        changed = sum(s.outcome.changed for s in self.sessions) + self.zones.changed
        if not self.applies:
            summary = counted(self._changes())
        elif self.in_force:
            summary = _("this plan is already in force, so nothing was changed")
        else:
            effects = sum(s.outcome.effects for s in self.sessions)
            summary = done(changed, effects, rolled_back=self.options.command == "rollback")
        if self.declined:
            summary = _("nothing was changed")
        if self.options.preview and self._changes():
            form = _("{counts}; nothing was changed: {reason}")
            summary = form.format(counts=counted(self._changes()), reason=self.options.preview)
        bad = [s.host.name for s in self.sessions if s.outcome.status not in ("ok", "skipped", "interrupted")]
        # Of all hosts a rollback is the last run now, and another one would undo it.
        again = self.applies and self.options.together and changed > 0
        line = "; ".join([summary, *unfinished(bad, self.zones, applies=self.applies, again=again)])
        self.policies.tell(self.events.emit)
        self.events.wake(RunEnded(code, line, time.monotonic() - self.began, self.declined))
        return code
