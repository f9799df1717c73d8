"""--report nagios=- : the one line of a plugin of Nagios and Icinga, with its figures (Monitoring Plugins' guidelines).

    line(run)            "MAIL OK - 41 pass, 3 skip | pass=41 …"
    exit_code(run)       0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN

On stdout the command is a plugin: that line alone is printed, and the exit codes are those of plugins, also where the
command line or the inventory is wrong (3). A pipe would begin the figures, so none is in the text.
"""

from __future__ import annotations

from mailprov.model.findings import Verdict
from mailprov.report.whole_run import Making, State, WholeRun
from mailprov.report.wrong_things import others, wrong

_WORDS = {State.OK: "OK", State.WARNING: "WARNING", State.FAILED: "CRITICAL", State.UNKNOWN: "UNKNOWN"}
_CODES = {State.OK: 0, State.WARNING: 1, State.FAILED: 2, State.UNKNOWN: 3}
_LONGEST = 400  # characters of the text; some programs keep 1 kB of a line


def render(run: WholeRun, making: Making) -> str:
    return line(run) + "\n"


def exit_code(run: WholeRun) -> int:
    return _CODES[run.state]


def line(run: WholeRun) -> str:
    told = [run.summary] if run.complete else []
    told += [each.line for each in [*others(run), *wrong(run.findings)]]
    text = "; ".join(told)
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    return f"MAIL {_WORDS[run.state]} - {safe(text)} | {' '.join(_figures(run))}"


def safe(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def _figures(run: WholeRun) -> list[str]:
    counts = run.counts
    figures = [
        f"pass={counts[Verdict.PASS]};;;0",
        f"warn={counts[Verdict.WARN]};0;;0",
        f"fail={counts[Verdict.FAIL]};;0;0",
        f"error={counts[Verdict.ERROR]};;;0",
        f"skip={counts[Verdict.SKIP]};;;0",
        f"time={run.seconds:.3f}s;;;0",
    ]
    ends = [finding.not_after for finding in run.findings if finding.not_after]
    if ends and run.ended:
        figures.append(f"cert_days={(min(ends) - run.ended) / 86400:.1f}")
    return figures
