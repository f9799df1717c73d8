"""What a person must look at, worst first and one entry for one cause: for reports that have room for few lines. Pure.

    wrong(findings) -> list[Wrong]     failures, then what could not be tested, then warnings
    others(run) -> list[Wrong]         mistakes in the inventory, errors, hosts and zones that were not done

As the terminal does it: ports that do not answer are one cause, and what waits for them is only counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailprov.i18n import _, ngettext
from mailprov.model.findings import Finding, Verdict
from mailprov.model.values import dataclass
from mailprov.report import grouping
from mailprov.report.whole_run import WholeRun

_WORST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.WARN)
_PLACES = 6


@dataclass(frozen=True)
class Wrong:
    """`findings` are those that it stands for, without those that wait for them; none of a mistake in the inventory."""

    verdict: Verdict
    probe: str
    where: str
    observed: str
    advice: str
    findings: tuple[Finding, ...] = ()
    waiting: int = 0

    @property
    def line(self) -> str:
        text = " ".join(part for part in (self.probe, self.where) if part)
        return f"{text}: {self.observed}" if text else self.observed


def wrong(findings: Sequence[Finding]) -> list[Wrong]:
    found = grouping.in_order(findings)
    behind = grouping.behind(found)
    rest = [finding for finding in found if id(finding) not in behind]
    return [
        _made(verdict, group, behind)
        for verdict in _WORST_FIRST
        for group in (*grouping.causes(rest, verdict), *grouping.groups(rest, verdict))
    ]


def others(run: WholeRun) -> Iterator[Wrong]:
    for problem in run.problems:
        at = f"{problem.file}:{problem.line}:{problem.column}"
        yield Wrong(Verdict.FAIL, "inventory", f"{at} {problem.path}".strip(), problem.text, "")
    for error in run.errors:
        yield Wrong(Verdict.ERROR, "", error.where, error.what, error.advice)
    for ending in run.endings:
        if ending.status not in ("ok", "skipped"):
            verdict = Verdict.FAIL if ending.status == "failed" else Verdict.ERROR
            yield Wrong(verdict, run.command, ending.subject, ending.error or ending.status, "")
    if not run.complete:
        yield Wrong(Verdict.ERROR, "", "", run.summary, "")
    elif not (run.findings or run.endings or run.problems or run.errors):
        yield Wrong(Verdict.ERROR, "", "", _("nothing ran"), "")


def _made(verdict: Verdict, group: list[Finding], behind: grouping.Behind) -> Wrong:
    names = {f"{finding.id} {finding.target}" for finding in group}
    waiting = sum(f"{cause.id} {cause.target}" in names for cause in behind.values())
    observed = [*dict.fromkeys(finding.observed or finding.title for finding in group)]
    advice = [*dict.fromkeys(text for f in group for text in (f.tasks or (f.advice,)) if text)]
    judged = dict.fromkeys(finding.judged for finding in group if finding.judged)
    text = "; ".join([*observed[:3], *judged])
    if waiting:
        wait = ngettext("{count} probe waits for that", "{count} probes wait for that", waiting)
        text = f"{text}; {wait.format(count=waiting)}"
    places = [*dict.fromkeys(str(finding.target) for finding in group if str(finding.target))]
    more = [_("and {count} more").format(count=len(places) - _PLACES)] if len(places) > _PLACES else []
    return Wrong(
        verdict,
        ", ".join(grouping.ids(group)),
        ", ".join([*places[:_PLACES], *more]),
        text,
        "; ".join(advice[:3]),
        tuple(group),
        waiting,
    )
