"""How a history looks: a table per host, the oldest run first, and what a rollback would return to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.table import Table
from rich.text import Text

from mailprov.i18n import N_, _, ngettext
from mailprov.model.answers import PastRun
from mailprov.model.sentences import shown


def render(runs: Iterable[PastRun]) -> Iterator[Table | Text]:
    """One table, and under it one sentence per host that has something to roll back. A run is named by the end of its
    id here, as `rollback --to` takes it. Of messages that were deleted from the queue it says where they are.
    """
    told = list(runs)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _HEADINGS:
        table.add_column(_(name), justify="right" if name == "changes" else "left", overflow="fold")
    for run in told:
        what = (
            _("rollback of {name}").format(name=_name(run.undoes))
            if run.undoes
            else _(_WORDS.get(run.kind, run.kind))
        )
        if run.to:
            what = _("rollback to {name}").format(name=_name(run.to))
        if run.address:
            what = _("purge of {address}").format(address=run.address)
        if run.action:
            what = _messages(run)
        good = run.status.startswith("ok")
        table.add_row(
            run.subject,
            _name(run.run),
            run.began.removesuffix(" UTC"),
            what,
            run.owner.partition(" (pid ")[0],
            str(run.changed),
            ", ".join(run.zones),
            Text(shown(run.status), style="green" if good else "yellow"),
        )
    yield table
    for run in told:
        if run.next:
            text = _("{subject}: a rollback returns to the state before the {kind} of {began}").format(
                subject=run.subject, kind=run.kind, began=run.began
            )
            yield Text(text, style="dim")
    if any(run.action == "delete" for run in told):
        text = _(
            "No rollback brings a deleted message back; the host keeps a copy: /var/lib/mailprov/runs/*/ID.eml"
        )
        yield Text(text, style="dim")


_DONE = {
    "flush": N_("try again: {messages}"),
    "hold": N_("hold: {messages}"),
    "release": N_("release: {messages}"),
    "delete": N_("delete from the queue: {messages}"),
}


def _messages(run: PastRun) -> str:
    """What was done to messages of the queue; up to two are named."""
    if not run.ids:
        return _("try the queue again")
    count = ngettext("{count} message", "{count} messages", len(run.ids)).format(count=len(run.ids))
    return _(_DONE.get(run.action, run.action)).format(
        messages=", ".join(run.ids) if len(run.ids) < 3 else count
    )


def _name(run: str) -> str:
    """The end of its id, which is enough to tell the runs of a host apart."""
    return run.rpartition("-")[2]


_WORDS = {"zones": N_("records only")}
_HEADINGS = (
    N_("host"),
    N_("run"),
    N_("when (UTC)"),
    N_("what"),
    N_("by"),
    N_("changes"),
    N_("zones"),
    N_("how it ended"),
)
