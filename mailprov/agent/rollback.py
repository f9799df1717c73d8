"""Puts back what a run changed. before.py says what that is.

    Undoing(tree, link, plan, again).work(begin, zones)
    settle(units, say)                  the services' part alone; doing it once more does no harm

It is a run of its own: journal and copies, files, the daemons' checks, commit point, services, ports, reading again;
killed or failing before its commit point it is undone like any other.

Raises Stop and Cancelled.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Dict, List, Sequence

from mailprov.agent import files, journal, services
from mailprov.agent.apply import put_back
from mailprov.agent.before import Plan
from mailprov.agent.changes import Change
from mailprov.agent.conversation import Link
from mailprov.agent.journal import Journal
from mailprov.agent.trouble import Stop


class Undoing:
    """One rollback. `done` counts the changes that were made."""

    def __init__(self, tree: files.Tree, link: Link, plan: Plan, again: Callable[[], Plan]) -> None:
        self.tree, self.link, self.plan, self.again = tree, link, plan, again
        self.done = 0
        self._clock = time.monotonic()

    def say(self, text: str) -> None:
        self.link.say("progress", text=text)

    def work(self, begin: Dict[str, Any], zones: List[Dict[str, Any]]) -> None:
        """Raises Stop or Cancelled; then all is as it was before, unless the commit point was behind."""
        record = journal.begin(self.tree, **begin)
        if zones:
            record.note({"r": "zones", "zones": zones})
        self.link.log_to(record.directory + "/events")
        try:
            self._before_commit(record)
            self.link.check()
            record.commit()
        except BaseException as error:
            put_back(self, record, error)
            raise
        try:
            self._after_commit()
        except Stop:
            record.close("failed after the commit point", self.done)
            raise
        record.close("ok", self.done)

    def _before_commit(self, record: Journal) -> None:
        plan = self.plan
        self.link.check()
        record.remember([item.record["path"] for item in plan.items])
        record.note({"r": "services", "was": plan.before}, {"r": "units", "do": plan.units})
        touched = set()
        for item in plan.items:
            self.link.check()
            item.source.restore(item.record)
            touched.add(os.path.dirname(self.tree.at(item.record["path"])))
            self._applied(item.changes)
        for directory in sorted(touched):
            files.sync_directory(directory)
        for unit in plan.units:
            self.link.check()
            if unit["verb"] and unit["spec"]["checks"]:
                self.say(f"checking the configuration of {unit['spec']['unit']}")
                services.check(unit["spec"])

    def _after_commit(self) -> None:
        if any(item.record["path"].startswith("/etc/systemd/") for item in self.plan.items):
            services.reload_systemd()
        settle(self.plan.units, self.say)
        self._applied(self.plan.unit_changes)
        left = self.again()
        if left.changes:
            names = ", ".join(f"{one['kind']} {one['name']}" for one in left.changes[:5])
            raise Stop(
                f"after everything was put back the host still differs: {names}",
                "something else on the host changes it; look at the plan",
                [f"{one['name']}: {one['detail']}" for one in left.changes],
            )

    def _applied(self, changes: List[Change]) -> None:
        for one in changes:
            now = time.monotonic()
            self.link.say("applied", change=one, seconds=round(now - self._clock, 3))
            self._clock = now
            self.done += 1


def settle(units: Sequence[Dict[str, Any]], say: Callable[[str], None]) -> None:
    """Stop and disable what did not run, in reverse order; start, restart or reload the others. All are tried."""
    failures: List[Stop] = []
    for unit in [
        *reversed([one for one in units if not one["verb"]]),
        *(one for one in units if one["verb"]),
    ]:
        name = unit["spec"]["unit"]
        try:
            if unit["stop"] is not None:
                say(f"stopping {name}")
                services.stop(name, unit["stop"])
            if unit["disable"]:
                services.disable(name)
            if unit["enable"]:
                services.enable(name)
            if unit["verb"]:
                say(f"{unit['verb']}ing {name}")
                services.act(unit["spec"], unit["verb"])
        except Stop as stop:
            failures.append(stop)
    if failures:
        first = failures[0]
        first.what = "; ".join(stop.what for stop in failures)
        first.output = [line for stop in failures for line in stop.output]
        raise first
