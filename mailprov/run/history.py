"""History: what was applied when, by whom, and how it ended, as each host remembers it. Nothing is written."""

from __future__ import annotations

import datetime
import time
from typing import Any

from mailprov import __version__
from mailprov.model.events import Emit, PastRun, RunEnded, RunStarted
from mailprov.model.inventory import Host, Inventory
from mailprov.run.event_queue import EventQueue
from mailprov.run.gate import Gate
from mailprov.run.hosts import HostSession, Start, asked_alone
from mailprov.run.select import Selection
from mailprov.run.verify import worst


class HistoryMode:
    """Mode history: the agent tells its runs and ends."""

    def __init__(self) -> None:
        self.job = {"mode": "history"}
        self.runs: list[dict[str, Any]] = []

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        self.runs = message["runs"]
        return None

    def go(self) -> dict[str, Any]:
        return {}


def history(inventory: Inventory, selection: Selection, *, start: Start, report: Emit) -> int:
    """Emits a PastRun for each run of each host, in the inventory's order, the oldest first."""
    events = EventQueue(report)
    began = time.monotonic()
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    events.emit(RunStarted("history", inventory.source, __version__, started))
    modes = {host.name: HistoryMode() for host in selection.hosts}

    def session(host: Host) -> HostSession:
        return HostSession(
            host, modes[host.name], command="history", emit=events.emit, gate=Gate(), start=start
        )

    sessions = [session(host) for host in selection.hosts]
    try:
        for one in sessions:
            one.launch()
        events.pump(lambda: all(one.ended.is_set() for one in sessions))
    except KeyboardInterrupt:
        events.wake(RunEnded(130, "interrupted", time.monotonic() - began))
        return 130
    count = 0
    for one in sessions:
        for run in modes[one.host.name].runs:
            count += 1
            events.emit(_event(one.host.name, run))
    code = worst(*(one.outcome.error.exit_code for one in sessions if one.outcome.error is not None))
    summary = f"{count} run{'' if count == 1 else 's'}{asked_alone(sessions)}"
    if all(one.outcome.error is None for one in sessions):
        summary = f"{len(sessions)} host{'' if len(sessions) == 1 else 's'}, {summary}"
    events.wake(RunEnded(code, summary, time.monotonic() - began))
    return code


def _event(host: str, run: dict[str, Any]) -> PastRun:
    return PastRun(
        host,
        run["run"],
        run["kind"],
        run["owner"],
        run["began"],
        run["ended"],
        run["status"],
        run["changed"],
        tuple(run["zones"]),
        run["undoes"],
        run["next"],
        run.get("address", ""),
        run.get("to", ""),
    )
