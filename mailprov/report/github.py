"""--report github=- : annotations, as workflow commands of GitHub Actions (`::error title=…::…`), worst first.

One for one cause, at the line of the inventory that it is about. GitHub shows ten of each level and step, so there
are at most MOST of each, and the last says how many more there are. On stdout they stand among the other lines.
Escaped as its toolkit does: % CR LF in messages, and also : and , in properties.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import ngettext
from mailprov.model.findings import Verdict
from mailprov.report.whole_run import Making, WholeRun, headline
from mailprov.report.wrong_things import Wrong, others, wrong

MOST = 10
_LEVELS = {Verdict.FAIL: "error", Verdict.ERROR: "error", Verdict.WARN: "warning"}


def render(run: WholeRun, making: Making) -> str:
    lines: list[str] = []
    every = [*others(run), *wrong(run.findings)]
    for level in ("error", "warning"):
        some = [each for each in every if _LEVELS[each.verdict] == level]
        shown = some if len(some) <= MOST else some[: MOST - 1]
        lines += [_command(level, each, run, making) for each in shown]
        if rest := len(some) - len(shown):
            more = ngettext("and {count} more, in the log", "and {count} more, in the log", rest)
            lines.append(f"::{level} title=mailprov::{_message(more.format(count=rest))}")
    if not lines:
        lines.append(f"::notice title=mailprov::{_message(headline(run))}")
    return "\n".join(lines) + "\n"


def _command(level: str, each: Wrong, run: WholeRun, making: Making) -> str:
    properties = {"title": f"mailprov {each.probe} {each.where}".strip()[:200]}
    if each.findings and run.inventory:
        line, column = making.place(each.findings[0].target)
        properties |= {"file": run.inventory, "line": str(line), "col": str(column)}
    elif run.problems and each.probe == "inventory":
        problem = next(p for p in run.problems if p.text == each.observed)
        properties |= {"file": problem.file, "line": str(problem.line), "col": str(problem.column)}
    words = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{level} {words}::{_message(' → '.join(_texts(each)))}"


def _texts(each: Wrong) -> Iterator[str]:
    yield each.observed
    if each.advice:
        yield each.advice


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
