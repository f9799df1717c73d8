"""--report tap=FILE: TAP 14 (testanything.org), a test point for each finding, with what was seen in a YAML block.

fail and error are `not ok`, a skip is `# SKIP` with its reason, a warning is `ok` with a block that says so. How a host
or zone ended, a mistake in the inventory and an error are test points, too. A run that did not complete ends with
`Bail out!`, as does one in which nothing ran: neither is a success to a reader. The plan stands first, so that a
file that was cut shows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from mailprov.i18n import _
from mailprov.model.findings import Finding, Verdict
from mailprov.report.whole_run import Making, WholeRun, details, name

_Point = tuple[bool, str, str, dict[str, object]]  # ok, description, directive, block


def render(run: WholeRun, making: Making) -> str:
    points = list(_points(run))
    lines = ["TAP version 14", f"1..{len(points)}"] if points or run.complete else ["TAP version 14"]
    if not points and run.complete:
        lines[1] = f"1..0 # SKIP {_escaped(_('nothing ran'))}"
    if run.profile:
        lines.append(f"# profile: {run.profile}")
    for number, (ok, text, directive, block) in enumerate(points, start=1):
        line = f"{'ok' if ok else 'not ok'} {number} - {_escaped(text)}"
        lines.append(f"{line} # {directive}" if directive else line)
        if block:
            lines += ["  ---", *_yaml(block), "  ..."]
    if not run.complete or not points:
        lines.append(f"Bail out! {run.summary}")
    return "\n".join(lines) + "\n"


def _points(run: WholeRun) -> Iterator[_Point]:
    for problem in run.problems:
        at = f"{problem.file}:{problem.line}:{problem.column}"
        yield False, f"{at} {problem.path}".strip(), "", {"message": problem.text}
    for error in run.errors:
        yield False, error.where or run.command, "", {"message": error.what, "to_do": error.advice}
    for ending in run.endings:
        block: dict[str, object] = {
            "message": ending.error or ending.status,
            "output": list(ending.output),
        }
        ok = ending.status == "ok"
        skip = f"SKIP {_escaped(ending.error)}".strip() if ending.status == "skipped" else ""
        yield ok or bool(skip), f"{run.command} {ending.subject}", skip, {} if ok or skip else block
    for finding in run.ordered:
        yield _point(finding)


def _point(finding: Finding) -> _Point:
    ok = finding.verdict not in (Verdict.FAIL, Verdict.ERROR)
    if finding.verdict is Verdict.PASS:
        return ok, name(finding), "", {}
    if finding.verdict is Verdict.SKIP:
        return ok, name(finding), f"SKIP {_escaped(finding.observed)}", {}
    block: dict[str, object] = {
        "message": finding.observed or finding.title,
        "severity": finding.verdict.value,
        "duration_ms": round(finding.seconds * 1000),
        "data": details(finding),
    }
    return ok, name(finding), "", block


def _escaped(text: str) -> str:
    """A number sign begins a directive."""
    return " ".join(text.replace("\\", "\\\\").replace("#", "\\#").split())


def _yaml(block: dict[str, object]) -> Iterator[str]:
    """Double-quoted scalars of YAML, which are those of JSON where nothing is escaped beyond ASCII."""
    for key, value in block.items():
        if isinstance(value, list):
            if value:
                yield f"  {key}:"
                yield from (f"    - {_scalar(item)}" for item in value)
        elif value not in ("", None):
            yield f"  {key}: {_scalar(value)}"


def _scalar(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
