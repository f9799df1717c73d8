"""How a plan looks: a legend of the signs in use, aligned changes, diffs of what changes, counts last."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from mailprov.model.events import Action, Change, Planned
from mailprov.plan.changes import counts
from mailprov.report.lines import Text

SIGNS = {
    Action.CREATE: ("+", "green", "create"),
    Action.UPDATE: ("~", "yellow", "change"),
    Action.DELETE: ("-", "red", "remove"),
    Action.RUN: (">", "cyan", "reload or restart"),
}
_DRIFT = ("!", "bold magenta", "edited by hand since the last apply, which stops an apply")
_DIFF_STYLE = {"+": "green", "-": "red", "@": "cyan"}


def legend(changes: Collection[Change]) -> Text:
    """The signs that occur, in a fixed order."""
    used = {change.action for change in changes}
    shown = [(sign, f"bold {style}", word) for action, (sign, style, word) in SIGNS.items() if action in used]
    if any(change.drift for change in changes):
        shown.append(_DRIFT)
    text = Text()
    for index, (sign, style, word) in enumerate(shown):
        text.append("   " if index else "  ").append(sign, style=style).append(f" {word}")
    return text


def change_line(change: Change, name_width: int = 0) -> Text:
    sign, style, _ = SIGNS[change.action]
    text = Text().append(f"{_DRIFT[0]} " if change.drift else "  ", style=_DRIFT[1])
    text.append(sign, style=f"bold {style}").append(f" {change.kind:<11} ", style="dim")
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
        if change.edit:
            yield Text("      the edit:", style=_DRIFT[1])
            yield from _diff(change.edit)
        if _undoes(change.diff, change.edit) and not full:
            yield Text("      --accept-drift would undo it", style="dim")
        elif change.diff and (full or change.action is not Action.CREATE):
            if change.edit:
                yield Text("      --accept-drift would do:", style="dim")
            yield from _diff(change.diff)


def _undoes(diff: str, edit: str) -> bool:
    """Whether a diff is another one backwards: to show it once is enough."""
    return bool(edit) and _lines(diff, "-") == _lines(edit, "+") and _lines(diff, "+") == _lines(edit, "-")


def _lines(diff: str, sign: str) -> list[str]:
    return [line[1:] for line in diff.splitlines() if line[:1] == sign and line[:4] != sign * 3 + " "]


def _diff(diff: str) -> Iterator[Text]:
    for line in diff.splitlines():
        if line.startswith(("--- ", "+++ ")):
            continue
        yield Text("        " + line, style=_DIFF_STYLE.get(line[:1], "dim"))


def counts_line(changes: Collection[Change]) -> Text:
    total = counts(changes)
    parts = f"{total['create']} to add, {total['update']} to change, {total['delete']} to remove"
    if not any(total.values()) and (effects := len(changes)):
        parts += f"; {effects} service{'' if effects == 1 else 's'} to restart or reload"
    if drifted := sum(change.drift for change in changes):
        parts += f"; {drifted} edited by hand"
    return Text().append("Plan:", style="bold").append(f" {parts}.")


def no_changes(plans: Iterable[Planned], command: str = "") -> Iterator[Text]:
    """The plain sentence, and what was compared, so that "no changes" can be believed."""
    if command in ("rollback", "purge"):
        verb = "roll back" if command == "rollback" else "purge"
        yield Text().append(f"Nothing to {verb}.", style="bold green").append(" Compared:")
    else:
        text = Text().append("No changes.", style="bold green")
        yield text.append(" Everything is as the inventory says. Compared:")
    for planned in plans:
        yield Text(f"  {planned.subject}: {planned.compared}")
