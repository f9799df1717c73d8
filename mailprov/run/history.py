"""History: what was applied when, by whom, and how it ended, as each host remembers it. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mailprov.i18n import ngettext
from mailprov.model.answers import PastRun
from mailprov.model.events import Emit
from mailprov.model.inventory import Inventory
from mailprov.run import undo_file
from mailprov.run.hosts import Start
from mailprov.run.listing import listing
from mailprov.run.select import Selection


def history(inventory: Inventory, selection: Selection, *, start: Start, report: Emit) -> int:
    """Emits a PastRun for each run of undo files, then of each host, in the inventory's order, the oldest first."""
    number = len(selection.hosts)
    hosts = ngettext("{count} host", "{count} hosts", number).format(count=number)

    def events(host: str, told: Mapping[str, Any]) -> Iterator[PastRun]:
        return (_event(host, run) for run in told.get("runs", ()))

    def summary(count: int, whole: bool) -> str:
        runs = ngettext("{count} run", "{count} runs", count).format(count=count)
        return f"{hosts}, {runs}" if whole else runs

    kept = undo_file.kept(inventory) if selection.whole else []
    files = [_event(undo_file.label(inventory), {**run, "next": run is kept[-1]}) for run in kept]
    return listing(
        "history",
        inventory,
        selection,
        lambda host: {"mode": "history"},
        events,
        summary,
        start=start,
        report=report,
        also=files,
    )


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
        run.get("action", ""),
        tuple(run.get("ids", ())),
    )
