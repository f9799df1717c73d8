"""A run as a report that is written at its end has it: collected from the events, in the order in which they came.

    WholeRun()          `take(event)` for each event; then what was found, and how it ended
    Making              what some kinds of reports need besides
    State               how it went, in one word
    name(finding)       "tls.name mx1:465 (192.0.2.1)"
    details(finding)    lines: expected, observed, to do, tasks, and the conversation
    headline(run)       one sentence: how it went

Texts are clean of what a terminal would obey (report/fanout.py); what else a format reads as its own each report
escapes. Raises nothing.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path

from mailprov import __version__
from mailprov.i18n import N_, _, ngettext
from mailprov.model.answers import Found, Tried
from mailprov.model.events import Ended, Error, Event, InventoryProblem, Notice, RunEnded, RunStarted
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.model.values import dataclass, field
from mailprov.report.grouping import in_order


def _nowhere(target: Target) -> tuple[int, int]:
    return (1, 1)


@dataclass(frozen=True)
class Making:
    """`place`: line and column in the inventory of what was looked at. `folders`: where templates lie."""

    place: Callable[[Target], tuple[int, int]] = _nowhere
    folders: Callable[[], Sequence[Path]] = list


class State(str, Enum):
    OK = "ok"
    WARNING = "warning"  # all that was tested works, with warnings
    FAILED = "failed"
    UNKNOWN = "unknown"  # could not tell, or did not come to its end


_HEADS = {
    State.OK: N_("All is as it should be"),
    State.WARNING: N_("It works, with warnings"),
    State.FAILED: N_("Something is wrong"),
    State.UNKNOWN: N_("Could not tell"),
}


@dataclass
class WholeRun:
    """`end` is None as long as the run goes on: a report of it then says that it did not complete."""

    command: str = "run"
    inventory: str = ""
    version: str = __version__
    started: str = ""
    profile: str = ""  # by which bar findings are judged
    via: str = ""
    findings: list[Finding] = field(default_factory=list)
    endings: list[Ended] = field(default_factory=list)
    problems: list[InventoryProblem] = field(default_factory=list)
    errors: list[Error] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)  # of a selftest
    end: RunEnded | None = None
    ended: float = 0.0  # unix seconds; 0: it goes on

    def take(self, event: Event) -> None:
        if isinstance(event, Found):
            self.findings.append(event.finding)
        elif isinstance(event, Tried):
            self.tried.append(event)
        elif isinstance(event, RunStarted):
            self.command, self.inventory = event.command, event.inventory
            self.started, self.profile, self.via = event.started, event.profile, event.via
        elif isinstance(event, Ended):
            self.endings.append(event)
        elif isinstance(event, InventoryProblem):
            self.problems.append(event)
        elif isinstance(event, Error):
            self.errors.append(event)
        elif isinstance(event, Notice):
            self.notices.append(event)
        elif isinstance(event, RunEnded):
            self.end = event
            self.ended = datetime.datetime.now(datetime.timezone.utc).timestamp()

    @property
    def complete(self) -> bool:
        """Whether it came to its end by itself; not where somebody pressed Ctrl-C."""
        return self.end is not None and self.end.exit_code != 130

    @property
    def summary(self) -> str:
        return self.end.summary if self.end is not None else _("the run did not complete")

    @property
    def seconds(self) -> float:
        return self.end.seconds if self.end is not None else 0.0

    @property
    def counts(self) -> dict[Verdict, int]:
        told = Counter(finding.verdict for finding in self.findings)
        return {verdict: told[verdict] for verdict in Verdict}

    @property
    def ordered(self) -> list[Finding]:
        """By host, domain, probe and port: probes end in any order."""
        return in_order(self.findings)

    @property
    def state(self) -> State:
        code = self.end.exit_code if self.end is not None else 3
        if code == 1 or self.counts[Verdict.FAIL]:
            return State.FAILED
        if code == 4 or (code == 0 and self.counts[Verdict.WARN]):
            return State.WARNING
        return State.OK if code == 0 else State.UNKNOWN


def headline(run: WholeRun) -> str:
    return f"{_(_HEADS[run.state])}: {run.summary}"


def by_profile(run: WholeRun) -> str:
    """By which bar it was judged, and how many verdicts are others by default; empty of what judges nothing."""
    if not run.profile:
        return ""
    changed = sum(bool(finding.by_default) for finding in run.findings)
    text = _("profile {name}").format(name=run.profile)
    form = ngettext(
        "{count} verdict is another by default", "{count} verdicts are others by default", changed
    )
    return f"{text}; {form.format(count=changed)}" if changed else text


def name(finding: Finding) -> str:
    address = f" ({finding.target.address})" if finding.target.address else ""
    return f"{finding.id} {finding.target}{address}".strip()


def details(finding: Finding) -> list[str]:
    lines = (
        _("expected: {text}").format(text=finding.expected) if finding.expected else "",
        _("observed: {text}").format(text=finding.observed) if finding.observed else "",
        _("profile: {text}").format(text=finding.judged) if finding.judged else "",
        _("to do: {text}").format(text=finding.advice) if finding.advice and not finding.tasks else "",
        *(_("task for others: {text}").format(text=task) for task in finding.tasks),
        *finding.evidence,
    )
    return [line for line in lines if line]
