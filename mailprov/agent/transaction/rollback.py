"""Puts back what a run changed. rollback_plan.py says what that is.

    Rollback(session, plan, again).work(begin, zones)
    finish_services(units, say)                  the services' part behind the commit point; once more does no harm
    restart_stopped(record, say)                 start again what a rollback has stopped that is undone itself

It is a run of its own, in the order of an apply: journal and copies, new files beside their places, the daemons'
checks, all files to their places, commit point, services, ports, reading again. Killed or failing before its commit
point it is undone like any other. Units that did not run before are stopped before the files change: Postfix stops
well only as long as it has its configuration.

Raises AgentError and Cancelled.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any, Callable, Dict, List, Sequence

from mailprov.agent import files, journal, manifest, services
from mailprov.agent.errors import AgentError
from mailprov.agent.journal import Journal
from mailprov.agent.plan import drift
from mailprov.agent.resources import obsolete_services
from mailprov.agent.session import Session
from mailprov.agent.transaction import daemons, staging
from mailprov.agent.transaction.apply import ended, put_back
from mailprov.agent.transaction.rollback_plan import Item, Plan


class Rollback:
    """One rollback."""

    def __init__(self, session: Session, plan: Plan, again: Callable[[], Plan]) -> None:
        self.session, self.plan, self.again = session, plan, again
        self.tree, self.say, self.check = session.tree, session.say, session.check

    def work(self, begin: Dict[str, Any], zones: List[Dict[str, Any]]) -> None:
        """Raises AgentError or Cancelled; then all is as it was before, unless the commit point was behind."""
        record = journal.begin(self.tree, **begin)
        if zones:
            record.note({"r": "zones", "zones": zones})
        self.session.channel.log_to(record.directory + "/events")
        try:
            self._before_commit(record)
            self.check()
            record.commit()
        except BaseException as error:
            put_back(self.session, record, error)
            restart_stopped(record, self.say)
            raise
        for item in self.plan.items:
            self.session.applied(item.changes)
        try:
            self._after_commit()
        except AgentError:
            record.close("failed after the commit point", self.session.done)
            raise
        record.close(ended(self.session), self.session.done)

    def _before_commit(self, record: Journal) -> None:
        plan = self.plan
        self.check()
        record.remember([item.record["path"] for item in plan.items])
        record.note({"r": "services", "was": plan.before}, {"r": "units", "do": plan.units})
        stage = self._staged()
        with stage.view() as prefix:
            checked = prefix is not None
            if checked:
                self._check(prefix or ())
        _halt(plan.units, self.say)
        for item in plan.items:
            if not item.changes:  # mailprov's own records, which no daemon reads
                item.source.restore(item.record)
        self.check()
        specs = [unit["spec"] for unit in plan.units]
        moves = daemons.in_order(self.tree, stage.moves, specs)
        record.note({"r": "swap", "moves": moves, "checked": checked})
        staging.swap(self.tree, moves, specs if checked else ())
        if not checked:
            self._check(())
            daemons.reload(self.tree, specs)

    def _check(self, prefix: Sequence[str]) -> None:
        """What is put back may be from before mailprov, or from before it had some of its tables: those go away."""
        gone = {item.record["path"] for item in self.plan.items if item.record["was"] is None}
        for unit in self.plan.units:
            self.check()
            spec = unit["spec"]
            if unit["verb"] and spec["checks"]:
                self.say(f"checking the configuration of {spec['unit']}")
                tables = [table for table in spec.get("tables", ()) if table[0] not in gone]
                services.check({**spec, "tables": tables}, prefix)

    def _staged(self) -> staging.Stage:
        stage = staging.Stage(self.tree)
        for item in self.plan.items:
            self.check()
            if item.changes:
                self._stage(stage, item)
        return stage

    def _stage(self, stage: staging.Stage, item: Item) -> None:
        path, was = item.record["path"], item.record["was"]
        real = self.tree.at(path)
        seen = files.look(real)
        if was is None:
            stage.drop(path, directory=seen is not None and seen.kind == "directory")
        elif was["kind"] == "link":
            stage.link(path, was["target"])
        elif was["kind"] == "directory" and seen is None:
            files.make_directory(real, was["mode"], was["uid"], was["gid"])
        elif was["kind"] == "file" and files.read(real) != item.source.content(was):
            data = item.source.content(was)
            stage.put(path, data, was["mode"], was["uid"], was["gid"], mtime_ns=was["mtime"])
        else:
            stage.own(path, was["mode"], was["uid"], was["gid"])

    def _after_commit(self) -> None:
        if any(item.record["path"].startswith("/etc/systemd/") for item in self.plan.items):
            services.reload_systemd()
        finish_services(self.plan.units, self.say)
        self._remove_sockets()
        changed = [
            i.record["path"] for i in self.plan.items if any(one["kind"] == "account" for one in i.changes)
        ]
        daemons.await_passwd_reload(self.tree, changed)
        self.session.applied(self.plan.unit_changes)
        left = self.again()
        if left.changes:
            names = ", ".join(f"{one['kind']} {one['name']}" for one in left.changes[:5])
            raise AgentError(
                f"after everything was put back the host still differs: {names}",
                "something else on the host changes it; look at the plan",
                [f"{one['name']}: {one['detail']}" for one in left.changes],
            )
        drift.keep(self.tree, manifest.load(self.tree), self.session.channel.mask)

    def _remove_sockets(self) -> None:
        """Directories that are to go are empty but for sockets of daemons that have another configuration by now."""
        listening = services.listening()
        for item in self.plan.items:
            real = self.tree.at(item.record["path"])
            if item.record["was"] is not None or not os.path.isdir(real) or os.path.islink(real):
                continue
            for one in list(os.scandir(real)):
                dead = stat.S_ISSOCK(one.stat(follow_symlinks=False).st_mode) and one.path not in listening
                if dead:
                    os.unlink(one.path)
            with contextlib.suppress(OSError):
                os.rmdir(real)


def _halt(units: Sequence[Dict[str, Any]], say: Callable[[str], None]) -> None:
    """In reverse order: what comes last relies on what comes first."""
    for unit in reversed(units):
        if unit["stop"] is not None:
            say(f"stopping {unit['spec']['unit']}")
            services.stop(unit["spec"]["unit"], unit["stop"])
            obsolete_services.undo(unit["spec"])


def finish_services(units: Sequence[Dict[str, Any]], say: Callable[[str], None]) -> None:
    """Disable what did not run (and stop it, should it have been started again meanwhile); start, restart or reload
    the others. All are tried."""
    failures: List[AgentError] = []
    states = services.states([unit["spec"]["unit"] for unit in units])
    for unit in units:
        name = unit["spec"]["unit"]
        try:
            if unit["stop"] is not None and states[name].runs:
                _halt([unit], say)
            if unit["disable"]:
                services.disable(name)
            if unit["enable"]:
                services.enable(name)
            if unit["verb"]:
                say(f"{unit['verb']}ing {name}")
                services.act(unit["spec"], unit["verb"])
        except AgentError as stop:
            failures.append(stop)
    if failures:
        first = failures[0]
        first.what = "; ".join(stop.what for stop in failures)
        first.output = [line for stop in failures for line in stop.output]
        raise first


def restart_stopped(record: Journal, say: Callable[[str], None]) -> None:
    """Its files are back already. A failure is told and no more: the next apply starts what it needs."""
    ran = [unit for unit in record.first("services").get("was", []) if unit["runs"]]
    try:
        states = services.states([unit["spec"]["unit"] for unit in ran])
        for unit in ran:
            if not states[unit["spec"]["unit"]].runs:
                say(f"starting {unit['spec']['unit']} again")
                services.act({**unit["spec"], "ports": unit["listening"]}, "start")
    except AgentError as stop:
        say(f"not started again: {stop.what}")
