"""How a plan looks: a legend of the signs in use, aligned changes, diffs of what changes, counts last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.markup import escape
from rich.text import Text

from mailprov.model.events import Action, Change, Planned
from mailprov.plan.changes import counts

SIGNS = {
    Action.CREATE: ("+", "green", "create"),
    Action.UPDATE: ("~", "yellow", "change"),
    Action.DELETE: ("-", "red", "remove"),
    Action.RUN: (">", "cyan", "reload or restart"),
}
_DIFF_STYLE = {"+": "green", "-": "red", "@": "cyan"}


def legend(changes: Iterable[Change]) -> Text:
    """The signs that occur, in a fixed order."""
    used = {change.action for change in changes}
    text = Text("  ")
    for action, (sign, style, word) in SIGNS.items():
        if action in used:
            text.append(sign, style=f"bold {style}").append(f" {word}   ")
    text.rstrip()
    return text


def change_line(change: Change, name_width: int = 0) -> Text:
    sign, style, _ = SIGNS[change.action]
    text = Text("  ").append(sign, style=f"bold {style}").append(f" {change.kind:<11} ", style="dim")
    text.append(change.name if not change.detail else change.name.ljust(name_width))
    if change.detail:
        text.append("  ").append(change.detail, style="dim")
    return text


def subject_block(planned: Planned, *, full: bool) -> Iterator[Text]:
    """The changes of one host or zone. Diffs of new files are long and say little: only with `full` (--verbose)."""
    yield Text(planned.subject, style="bold")
    width = min(max((len(change.name) for change in planned.changes), default=0), 48)
    for change in planned.changes:
        yield change_line(change, width)
        if change.diff and (full or change.action is not Action.CREATE):
            yield from _diff(change.diff)


def _diff(diff: str) -> Iterator[Text]:
    for line in diff.splitlines():
        if line.startswith(("--- ", "+++ ")):
            continue
        yield Text("        " + line, style=_DIFF_STYLE.get(line[:1], "dim"))


def counts_line(changes: Iterable[Change]) -> str:
    total = counts(changes)
    parts = f"{total['create']} to add, {total['update']} to change, {total['delete']} to remove"
    return f"[bold]Plan:[/bold] {escape(parts)}."


def no_changes(plans: Iterable[Planned]) -> Iterator[str]:
    """The plain sentence, and what was compared, so that "no changes" can be believed."""
    yield "[bold green]No changes.[/bold green] Everything is as the inventory says. Compared:"
    for planned in plans:
        yield f"  {escape(planned.subject)}: {escape(planned.compared)}"
