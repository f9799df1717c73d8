"""How a history looks: a table per host, the oldest run first, and what a rollback would return to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.table import Table
from rich.text import Text

from mailprov.model.events import PastRun


def render(runs: Iterable[PastRun]) -> Iterator[Table | Text]:
    """One table, and under it one sentence per host that has something to roll back. A run is named by the end of its
    id here, as `rollback --to` takes it.
    """
    told = list(runs)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("host", "run", "when", "what", "by", "changes", "zones", "how it ended"):
        table.add_column(name, justify="right" if name == "changes" else "left", overflow="fold")
    names = {run.run: run.began for run in told}
    for run in told:
        what = (
            f"rollback of {names.get(run.undoes, run.undoes)}"
            if run.undoes
            else _WORDS.get(run.kind, run.kind)
        )
        if run.to:
            what = f"rollback to {names.get(run.to, run.to)}"
        if run.address:
            what = f"purge of {run.address}"
        good = run.status.startswith("ok")
        table.add_row(
            run.subject,
            run.run.rpartition("-")[2],
            run.began,
            what,
            run.owner,
            str(run.changed),
            ", ".join(run.zones),
            Text(run.status, style="green" if good else "yellow"),
        )
    yield table
    for run in told:
        if run.next:
            text = f"{run.subject}: a rollback returns to the state before the {run.kind} of {run.began}"
            yield Text(text, style="dim")


_WORDS = {"zones": "records only"}
