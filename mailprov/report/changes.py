"""What differs from a run before: --changes-since FILE and --history DIR, both of reports of the kind `json`.

    read(path, option) -> Before            raises InputError where that is no report
    compare(before, findings) -> [Change]   what is wrong now and was not, what was and is not, what is wrong otherwise
    render(before, findings)                the same for people, worst first
    Past(folder)                            the reports of a folder: `runs`, and `keep(run)` adds one
    trend(runs)                             a table of them, and a sentence on the last two

A finding is the same one where the probe and what it looked at are; of an address only the family counts, as the
address may change. Of equal ones the worst counts. Verdicts are compared, never texts, which tell times and
percentages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from mailprov.errors import InputError, ReportFailed
from mailprov.i18n import N_, _, ngettext
from mailprov.model import cleaning
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.model.values import dataclass
from mailprov.report import json_report, own_file
from mailprov.report.findings import ORDER, SIGNS
from mailprov.report.whole_run import WholeRun
from mailprov.report.wrong_things import wrong

_WRONG = ORDER[:3]
_MOST = 10  # runs of a trend
_PLACES = 6
_LARGEST = 200 * 2**20  # octets of a report
Key = tuple[str, ...]


class Kind(str, Enum):
    NEW = "new"
    CHANGED = "changed"
    UNTESTED = "untested"
    GONE = "gone"


_WORSE = (Kind.NEW, Kind.CHANGED)
_WORDS = {
    Kind.NEW: N_("new"),
    Kind.CHANGED: N_("changed"),
    Kind.UNTESTED: N_("not seen"),
    Kind.GONE: N_("mended"),
}


@dataclass(frozen=True)
class Before:
    """A run that is over. `verdicts`: what was found, the worst of equal ones; `names`: how that is called."""

    started: str
    verdicts: dict[Key, Verdict]
    names: dict[Key, str]
    counts: dict[Verdict, int]


@dataclass(frozen=True)
class Change:
    kind: Kind
    name: str
    before: Verdict | None
    now: Verdict | None
    finding: Finding | None = None


def read(path: Path, option: str) -> Before:
    advice = _("Give one that was written by --report json=FILE")
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(option, _("it is too large for a report"), advice)
        told = json.loads(path.read_text(encoding="utf-8"))
        before = _before(told)
        if not before.verdicts:
            raise InputError(
                option, _("its run looked at nothing"), _("Give the report of one that came to its probes")
            )
        return before
    except OSError as error:
        what = _("cannot be read: {error}").format(error=error.strerror)
        raise InputError(option, what, advice) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(option, _("it is no report of mailprov"), advice) from error


def _before(told: dict[str, Any]) -> Before:
    """Raises ValueError, KeyError, TypeError or AttributeError for what is no report."""
    if told["schema_version"] != json_report.SCHEMA_VERSION:
        raise ValueError
    verdicts: dict[Key, Verdict] = {}
    names: dict[Key, str] = {}
    for each in told["findings"]:
        at = each["target"]
        target = Target(
            str(at["host"]), str(at["address"]), int(at["port"]), str(at["domain"]), str(at["account"])
        )
        _add(verdicts, names, str(each["id"]), target, Verdict(each["verdict"]))
    counts = {verdict: int(told["counts"][verdict.value]) for verdict in Verdict}
    return Before(cleaning.line(str(told["run"]["started"])), verdicts, names, counts)


def _add(
    verdicts: dict[Key, Verdict], names: dict[Key, str], probe: str, target: Target, verdict: Verdict
) -> None:
    family = "6" if ":" in target.address else "4" if target.address else ""
    key = (probe, target.host, str(target.port), target.domain, target.account, family)
    known = verdicts.get(key, verdict)
    verdicts[key] = min(known, verdict, key=ORDER.index)
    names[key] = cleaning.line(f"{probe} {target}".strip())


def compare(before: Before, findings: Iterable[Finding]) -> list[Change]:
    now: dict[Key, Verdict] = {}
    names: dict[Key, str] = {}
    worst: dict[Key, Finding] = {}
    for finding in findings:
        alone: dict[Key, Verdict] = {}
        _add(alone, names, finding.id, finding.target, finding.verdict)
        (key,) = alone
        if key not in now or ORDER.index(finding.verdict) < ORDER.index(now[key]):
            now[key], worst[key] = finding.verdict, finding
    changes = []
    for key, verdict in now.items():
        was = before.verdicts.get(key)
        if verdict in _WRONG and was not in _WRONG:
            changes.append(Change(Kind.NEW, names[key], was, verdict, worst[key]))
        elif verdict in _WRONG and was is not verdict:
            changes.append(Change(Kind.CHANGED, names[key], was, verdict, worst[key]))
        elif was in _WRONG and verdict is Verdict.PASS:
            changes.append(Change(Kind.GONE, names[key], was, verdict, worst[key]))
        elif was in _WRONG and verdict is Verdict.SKIP:
            changes.append(Change(Kind.UNTESTED, names[key], was, verdict, worst[key]))
    changes += [
        Change(Kind.UNTESTED, before.names[key], was, None)
        for key, was in before.verdicts.items()
        if was in _WRONG and key not in now
    ]
    kinds, verdicts = [*Kind], [*ORDER, None]
    return sorted(changes, key=lambda c: (kinds.index(c.kind), verdicts.index(c.now), c.name))


def render(before: Before, findings: Sequence[Finding]) -> Iterator[Text]:
    """As the terminal tells findings: one entry for one cause, and what waits for it is only counted."""
    changes = compare(before, findings)
    since = before.started.replace("T", " ").replace("+00:00", " UTC")
    yield Text(_("Changes since the run of {date}").format(date=since), style="bold")
    if not changes:
        yield Text(f"  {_('nothing has changed')}")
    width = max(len(_(word)) for word in _WORDS.values())
    for kind in Kind:
        some = [change for change in changes if change.kind is kind]
        for sign, text, advice in _causes(kind, some) if kind in _WORSE else _equal(some):
            line = Text(f"  {_(_WORDS[kind]):<{width}} ").append_text(sign).append(" ")
            yield line.append_text(text)
            if advice:
                yield Text(f"  {'':<{width}}   {_('to do')}: {advice}", style="dim")
    yield Text()


def _causes(kind: Kind, changes: Sequence[Change]) -> Iterator[tuple[Text, Text, str]]:
    was = {id(change.finding): change.before for change in changes}
    for each in wrong([change.finding for change in changes if change.finding is not None]):
        text = Text().append(f"{each.probe} {each.where}".strip(), style="bold").append(f"  {each.observed}")
        if kind is Kind.CHANGED:
            verdicts = dict.fromkeys(verdict.value for f in each.findings if (verdict := was[id(f)]))
            words = _("it was {verdict}").format(verdict=", ".join(verdicts))
            text.append(f" ({words})")
        yield Text(*SIGNS[each.verdict]), text, each.advice


def _equal(changes: Sequence[Change]) -> Iterator[tuple[Text, Text, str]]:
    """Of one probe that is now as it is now, all places in a line."""
    places: dict[tuple[str, Verdict | None], list[str]] = {}
    for change in changes:
        probe, __, place = change.name.partition(" ")
        places.setdefault((probe, change.now), []).append(place)
    for (probe, now), found in places.items():
        several = [*dict.fromkeys(found)]
        told = ", ".join(several[:_PLACES])
        if len(several) > _PLACES:
            told += f", {_('and {count} more').format(count=len(several) - _PLACES)}"
        text = Text().append(f"{probe} {told}".strip(), style="bold")
        if now is not Verdict.PASS:
            text.append(f"  {_('not looked at now, and wrong before')}")
        yield Text(*SIGNS[now]) if now else Text("·", style="dim"), text, ""


class Past:
    """Raises InputError where the folder is none, or nothing can be written there."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._option = folder, f"--history {folder}"
        if not folder.is_dir():
            raise InputError(self._option, _("there is no such folder"), _("Make the folder first"))
        try:
            own_file.attempt(folder / "verify-.json")
        except OSError as error:
            what = _("nothing can be written there: {error}").format(error=error.strerror)
            raise InputError(self._option, what, _("Give a folder you may write to")) from error
        self.runs: list[Before] = []
        self.unread = 0
        for path in sorted(folder.glob("verify-*Z.json"))[-_MOST:]:
            try:
                self.runs.append(read(path, self._option))
            except InputError:
                self.unread += 1

    def keep(self, run: WholeRun) -> None:
        """Under the time of its end. A run that did not complete is none to compare with. Raises ReportFailed."""
        if not run.complete or not run.findings:
            return
        told = json_report.made(run)
        stamp = told["run"]["ended"].replace("+00:00", "").replace("-", "").replace(":", "")
        path = self._folder / f"verify-{stamp}Z.json"
        try:
            own_file.write(path, json.dumps(told, indent=1) + "\n", private=False)
        except OSError as error:
            raise ReportFailed(
                self._option,
                _("nothing can be written there: {error}").format(error=error.strerror),
                _("The run itself is over; make room, and run verify for a new report"),
            ) from error
        self.runs = [*self.runs, _before(told)][-_MOST:]


def trend(past: Past) -> Iterator[Table | Text]:
    runs = past.runs
    table = Table(
        box=None, pad_edge=False, title=_("The last runs"), title_justify="left", title_style="bold"
    )
    table.add_column(_("began (UTC)"))
    for verdict in ORDER:
        table.add_column(verdict.value, justify="right")
    for run in runs:
        date = run.started.replace("T", " ").replace("+00:00", "")
        cells = [Text(str(run.counts[v]), style=SIGNS[v][1] if run.counts[v] else "dim") for v in ORDER]
        table.add_row(date, *cells)
    yield table
    if past.unread:
        text = ngettext(
            "{count} file there is no report, and is left out",
            "{count} files there are no reports, and are left out",
            past.unread,
        )
        yield Text(text.format(count=past.unread), style="dim")
    if len(runs) > 1:
        last, now = (sum(run.counts[v] for v in _WRONG) for run in runs[-2:])
        if now < last:
            text = ngettext(
                "{count} less is wrong than before", "{count} less are wrong than before", last - now
            )
        elif now > last:
            text = ngettext(
                "{count} more is wrong than before", "{count} more are wrong than before", now - last
            )
        else:
            text = _("As much is wrong as before") if now else _("Nothing is wrong, as before")
        yield Text(text.format(count=abs(now - last)))
    yield Text()
