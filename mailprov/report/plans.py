"""How a plan looks: how much changes where, then what, equal changes once with their places, and no long diffs.

    summary(plans, missing)      a line for each host and zone: how many to add, change, remove
    taken_over(plans)            what hosts have of their own, which a first apply hides or replaces
    details(plans, full)         the changes, under the places that they are for
    hint(plans, full)            how to see the diffs that were left out; None when none was
    counts_line(changes)         "Plan: 3 to add, 1 to change, 0 to remove."
    no_changes(plans, …)         the plain sentence, and what was compared
    change_line(change)          one change as one line
    places(names)                "mx1, mx2 and mx3"; of many the first ones and how many more

`missing` are the hosts of which nothing is known: name → why, as "could not be asked".

A diff of up to SMALL lines is shown where its change is named: one or two edited places with the three lines around
each that a unified diff has. A longer one is mostly a whole file of somebody else's, such as the comments of Debian's
master.cf; there the number of lines is told, and `--diff` shows all. Diffs of new files say nothing about what was
there before: `--diff` only.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from mailprov.i18n import N_, _, ngettext
from mailprov.model.events import Action, Change, Planned
from mailprov.plan.changes import by_hand, counted, counts, services
from mailprov.report.plain_text import Text

SIGNS = {
    Action.CREATE: ("+", "green", N_("create")),
    Action.UPDATE: ("~", "yellow", N_("change")),
    Action.DELETE: ("-", "red", N_("remove")),
    Action.RUN: (">", "cyan", N_("reload or restart")),
}
SMALL = 18  # lines of a diff: two changed places
_CUT = re.compile(r"… ([0-9]+) more lines")  # agent/redaction.py
_DRIFT = ("!", "bold magenta", N_("edited by hand since the last apply, which stops an apply"))
_DIFF_STYLE = {"+": "green", "-": "red", "@": "cyan"}
_NAMED = 4  # places that are named in one line; of more the number is told
_NAMES = 61  # columns for the names of files that are told together
_ROWS = 12  # of the summary; more are brought together where their numbers are equal


def legend(changes: Collection[Change]) -> Text:
    """The signs that occur, in a fixed order."""
    used = {change.action for change in changes}
    shown = [(sign, f"bold {style}", word) for action, (sign, style, word) in SIGNS.items() if action in used]
    if any(change.drift for change in changes):
        shown.append(_DRIFT)
    text = Text()
    for index, (sign, style, word) in enumerate(shown):
        text.append("   " if index else "  ").append(sign, style=style).append(f" {_(word)}")
    return text


def places(names: Sequence[str], most: int = _NAMED) -> str:
    if len(names) > most + 1:
        return _("{names} and {count} more").format(names=", ".join(names[:most]), count=len(names) - most)
    if len(names) > 1:
        return _("{names} and {last}").format(names=", ".join(names[:-1]), last=names[-1])
    return "".join(names)


def summary(plans: Sequence[Planned], missing: Mapping[str, str]) -> Iterator[Text]:
    """Hosts first, then zones, as `plans` has them; then who could not be asked."""
    rows = [(planned.subject, _row(planned.changes)) for planned in plans]
    if len(rows) > _ROWS:
        equal: dict[tuple[int, ...], list[str]] = {}
        for subject, row in rows:
            equal.setdefault(row, []).append(subject)
        rows = [(places(subjects), row) for row, subjects in equal.items()]
    names = [*(name for name, row in rows), *missing]
    width = max(map(len, names), default=0)
    heads = (_("add"), _("change"), _("remove"))
    column = max(6, *map(len, heads))
    drift = any(row[3] for name, row in rows)
    yield Text("  " + " " * width + "".join(f"  {head:>{column}}" for head in heads), style="dim")
    for name, (*numbers, drifted, effects) in rows:
        line = Text(f"  {name.ljust(width)}", style="")
        if not any(numbers) and not effects:
            yield line.append(f"  {_('no changes')}", style="dim")
            continue
        for number, action in zip(numbers, (Action.CREATE, Action.UPDATE, Action.DELETE), strict=True):
            line.append(f"  {number:>{column}}", style=SIGNS[action][1] if number else "dim")
        if not any(numbers):
            line.append(f"   {services(effects)}")
        if drift and drifted:
            line.append(f"   {_DRIFT[0]} {by_hand(drifted)}", style=_DRIFT[1])
        yield line
    for name, why in missing.items():
        yield Text(f"  {name.ljust(width)}").append(f"  {why}", style="bold magenta")


def taken_over(plans: Sequence[Planned]) -> Iterator[Text]:
    """Each sentence once, under the hosts that it is true of."""
    hosts: dict[tuple[str, ...], list[str]] = {}
    for planned in plans:
        if planned.takes_over:
            hosts.setdefault(planned.takes_over, []).append(planned.subject)
    for sentences, names in hosts.items():
        yield Text()
        has = ngettext("has mail or settings of its own:", "have mail or settings of their own:", len(names))
        yield Text(places(names, most=6), style="bold").append(f" {has}")
        for sentence in sentences:
            yield Text("  ! ", style=_DRIFT[1]).append(sentence)
        last = _("apply does this only with --take-over-host; otherwise it stops there.")
        yield Text(f"  {last}", style="dim")


def _row(changes: Collection[Change]) -> tuple[int, ...]:
    total = counts(changes)
    effects = sum(change.action is Action.RUN for change in changes)
    return (*total.values(), sum(change.drift for change in changes), effects)


def change_line(change: Change, name_width: int = 0) -> Text:
    sign, style = SIGNS[change.action][:2]
    text = Text().append(f"{_DRIFT[0]} " if change.drift else "  ", style=_DRIFT[1])
    text.append(sign, style=f"bold {style}").append(f" {change.kind:<11} ", style="dim")
    text.append(change.name if not change.detail else change.name.ljust(name_width))
    if change.detail:
        text.append("  ").append(_detail(change), style="dim")
    return text


def _detail(change: Change) -> str:
    if change.kind != "record":
        return change.detail
    from mailprov.plan import zone_details  # a plan of hosts alone needs nothing of zones

    return zone_details.in_language(change.detail)


def details(plans: Sequence[Planned], *, full: bool, listed: bool = False) -> Iterator[Text]:
    """Each change once, in the order of the plans, under the places that it is for. `listed`: also what a service is
    reloaded for.
    """
    for subjects, changes in _together(plans, full=full, listed=listed):
        title = subjects[0] if len(subjects) == 1 else places(subjects, most=6)
        yield Text()
        text = Text(title, style="bold")
        if len(subjects) > 1:
            same = _("the same on both") if len(subjects) == 2 else _("the same on all {count}")
            text.append(f"  {same.format(count=len(subjects))}", style="not bold dim")
        yield text
        folded = [[change] for change in changes] if listed else _folded(changes)
        told = [some[0] for some in folded if len(some) == 1 and some[0].detail]
        most = 48 if subjects[0].startswith("zone ") else 32  # so that most lines fit a terminal of 80
        width = min(max((len(change.name) for change in told), default=0), most)
        for some in folded:
            if len(some) > 1:
                yield from _files_line(some)
                continue
            change = some[0]
            yield change_line(change, width)
            for reason in change.because:
                yield Text(f"        {reason}", style="dim")
            if change.edit:
                yield Text(f"      {_('the edit:')}", style=_DRIFT[1])
                yield from _diff(change.edit)
            if _undoes(change.diff, change.edit) and not full:
                yield Text(f"      {_('--accept-drift would undo it')}", style="dim")
            elif change.diff:
                if change.edit:
                    yield Text(f"      {_('--accept-drift would do:')}", style="dim")
                yield from _diff(change.diff)


def _folded(changes: Sequence[Change]) -> list[list[Change]]:
    """New files of one folder, of which there is nothing to say but their names, are told in one line."""
    found: list[list[Change]] = []
    for change in changes:
        last = found[-1] if found else []
        if (
            _is_plain_file(change)
            and last
            and _is_plain_file(last[0])
            and _folder(last[0]) == _folder(change)
        ):
            last.append(change)
        else:
            found.append([change])
    return found


def _is_plain_file(change: Change) -> bool:
    plain = not (change.detail or change.diff or change.edit or change.drift or change.because)
    return change.kind == "file" and change.action is Action.CREATE and plain


def _folder(change: Change) -> str:
    return change.name.rpartition("/")[0]


def _files_line(changes: Sequence[Change]) -> Iterator[Text]:
    """Three and more lines for the names of one folder, which fit a terminal of 80."""
    sign, style = SIGNS[Action.CREATE][:2]
    names = ", ".join(change.name.rpartition("/")[2] for change in changes)
    files = ngettext("{count} file", "{count} files", len(changes)).format(count=len(changes))
    first, *rest = textwrap.wrap(names, _NAMES, break_long_words=False, break_on_hyphens=False)
    text = Text("  ").append(sign, style=f"bold {style}").append(f" {files:<11} ", style="dim")
    yield text.append(f"{_folder(changes[0])}/")
    for line in (first, *rest):
        yield Text(f"                  {line}")


def _together(
    plans: Sequence[Planned], *, full: bool, listed: bool
) -> list[tuple[tuple[str, ...], list[Change]]]:
    """Changes that look the same, with the subjects that they are for: first those of most, hosts before zones."""
    subjects: dict[tuple[Change, int], list[str]] = {}
    for planned in plans:
        seen: Counter[Change] = Counter()
        for change in planned.changes:
            shown = _shown(change, full=full, listed=listed)
            seen[shown] += 1
            subjects.setdefault((shown, seen[shown]), []).append(planned.subject)
    blocks: dict[tuple[str, ...], list[Change]] = {}
    for (change, _number), names in subjects.items():
        blocks.setdefault(tuple(names), []).append(change)
    order = {planned.subject: number for number, planned in enumerate(plans)}
    return sorted(
        blocks.items(),
        key=lambda one: (one[0][0].startswith("zone "), -len(one[0]), [order[name] for name in one[0]]),
    )


def _shown(change: Change, *, full: bool, listed: bool) -> Change:
    """The change as it is shown, without the place: what is too long has become a few words."""
    words = [change.detail] if change.detail else []
    if change.because and not listed:
        # As the agent says it (agent/changes.py), which is translated by the same text.
        count = len(change.because)
        files = ngettext("{count} file changed", "{count} files changed", count).format(count=count)
        words[-1:] = [change.detail.replace(files, f"{files} ({_('-v lists them')})", 1)]
    diff, edit = change.diff, change.edit
    if not full:
        if _undoes(diff, edit) and not _is_small(edit):
            words.append(_("the edit: {size}").format(size=_size(edit)))
            diff = edit = ""
        if edit and not _is_small(edit):
            words.append(_("the edit: {size}").format(size=_size(edit)))
            edit = ""
        if change.action is Action.CREATE:
            diff = ""
        elif diff and not _is_small(diff) and not _undoes(diff, edit):
            words.append(_size(diff))
            diff = ""
    return dataclasses.replace(
        change,
        subject="",
        detail=", ".join(words),
        diff=diff,
        edit=edit,
        because=change.because if listed else (),
    )


def hint(plans: Iterable[Planned], *, full: bool) -> Text | None:
    if full:
        return None
    left_out = sum(
        not _is_small(change.edit) or (change.action is not Action.CREATE and not _is_small(change.diff))
        for planned in plans
        for change in planned.changes
    )
    if not left_out:
        return None
    words = _("--diff shows the lines of all files, also of long changes and new files")
    return Text(f"  {words}", style="dim")


def _is_small(diff: str) -> bool:
    return sum(not line.startswith(("--- ", "+++ ")) for line in diff.splitlines()) <= SMALL


def _size(diff: str) -> str:
    """ "+43 -612 lines"; the agent cuts a diff and says how much more there is of it."""
    added, removed = len(_lines(diff, "+")), len(_lines(diff, "-"))
    parts = [f"{sign}{number}" for sign, number in (("+", added), ("-", removed)) if number]
    cut = [found for line in diff.splitlines() if (found := _CUT.fullmatch(line))]
    lines = ngettext("{numbers} line", "{numbers} lines", added + removed).format(numbers=" ".join(parts))
    if cut:
        count = int(cut[0][1])
        more = ngettext("{count} more line", "{count} more lines", count).format(count=count)
        return _("{lines} and {more}").format(lines=lines, more=more)
    return lines


def _undoes(diff: str, edit: str) -> bool:
    """Whether a diff is another one backwards: to show it once is enough."""
    return bool(edit) and _lines(diff, "-") == _lines(edit, "+") and _lines(diff, "+") == _lines(edit, "-")


def _lines(diff: str, sign: str) -> list[str]:
    return [line[1:] for line in diff.splitlines() if line[:1] == sign and line[:4] != sign * 3 + " "]


def _diff(diff: str) -> Iterator[Text]:
    for line in diff.splitlines():
        if line.startswith(("--- ", "+++ ")):
            continue
        if found := _CUT.fullmatch(line):
            count = int(found[1])
            more = ngettext("{count} more line", "{count} more lines", count).format(count=count)
            yield Text(f"        … {more}", style="dim")
        else:
            yield Text("        " + line, style=_DIFF_STYLE.get(line[:1], "dim"))


def counts_line(changes: Collection[Change]) -> Text:
    return Text().append(_("Plan:"), style="bold").append(f" {counted(changes)}.")


def no_changes(
    plans: Sequence[Planned], command: str = "", missing: Mapping[str, str] | None = None
) -> Iterator[Text]:
    """The plain sentence, and what was compared, so that "no changes" can be believed. Where a host is missing, nothing
    is said of what was not looked at.
    """
    missing = missing or {}
    if (known := command.partition(" ")[0]) in _NOTHING:
        nothing, failed = _NOTHING[known]
        text = Text().append(_(nothing), style="bold green").append(f" {_('Compared:')}")
        if missing:
            text = Text().append(_(failed), style="bold magenta").append(f" {_of_missing(missing)}.")
    elif missing:
        text = Text().append(_("No changes on {names};").format(names=_named(plans)), style="bold green")
        text.append(f" {_of_missing(missing)}", style="bold magenta").append(f". {_('Compared:')}")
    else:
        text = Text().append(_("No changes."), style="bold green")
        text.append(f" {_('Everything is as the inventory says.')} {_('Compared:')}")
    yield text
    if command == "rollback" and missing:
        return
    equal: dict[str, list[str]] = {}
    for planned in plans:
        equal.setdefault(planned.compared, []).append(planned.subject)
    for compared, subjects in equal.items():
        yield Text(f"  {places(subjects)}: {compared}")


_NOTHING = {
    "rollback": (N_("Nothing to roll back."), N_("Nothing was rolled back:")),
    "purge": (N_("Nothing to purge."), N_("Nothing was purged:")),
    "queue": (N_("Nothing to do."), N_("Nothing was done:")),
}


def _named(plans: Sequence[Planned]) -> str:
    """ "mx1, mx3 and 3 zones"."""
    hosts = [planned.subject for planned in plans if not planned.subject.startswith("zone ")]
    zones = [planned.subject for planned in plans if planned.subject.startswith("zone ")]
    if len(zones) > 1:
        zones = [ngettext("{count} zone", "{count} zones", len(zones)).format(count=len(zones))]
    more = len(hosts) - _NAMED
    return places([*hosts[:_NAMED], *([_("{count} more").format(count=more)] if more > 0 else []), *zones], 9)


def _of_missing(missing: Mapping[str, str]) -> str:
    """ "mx2 and mx3 could not be asked; mx4 was not compared"."""
    by_reason: dict[str, list[str]] = {}
    for name, why in missing.items():
        by_reason.setdefault(why, []).append(name)
    return "; ".join(f"{places(names)} {why}" for why, names in by_reason.items())
