"""--report prometheus=FILE: for the textfile collector of node_exporter (text format 0.0.4), written at the end alone.

What could not be tested and what was left out have no `mailprov_probe_success`: a series that is absent is no guess.
`mailprov_run_timestamp_seconds` tells how old all of it is. Of equal labels the worst counts, as a series may be there
once. Nothing has a time of its own, which the collector refuses.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.model.findings import Finding, Verdict
from mailprov.report.whole_run import Making, WholeRun

_Labels = tuple[tuple[str, str], ...]


def render(run: WholeRun, making: Making) -> str:
    return "\n".join(_lines(run)) + "\n"


def _lines(run: WholeRun) -> Iterator[str]:
    success: dict[_Labels, float] = {}
    ends: dict[_Labels, float] = {}
    for finding in run.ordered:
        if finding.verdict in (Verdict.PASS, Verdict.WARN, Verdict.FAIL):
            labels = (("probe", finding.id), *_place(finding))
            value = 0.0 if finding.verdict is Verdict.FAIL else 1.0
            success[labels] = min(value, success.get(labels, value))
        if finding.not_after:
            place = _place(finding)
            ends[place] = min(finding.not_after, ends.get(place, finding.not_after))
    yield from _family(
        "mailprov_probe_success",
        "1 where a probe passed or warned, 0 where it failed; absent where it could not test",
        success,
    )
    yield from _family(
        "mailprov_findings",
        "how many findings have which verdict",
        {(("verdict", verdict.value),): float(count) for verdict, count in run.counts.items()},
    )
    yield from _family(
        "mailprov_cert_not_after_timestamp_seconds",
        "until when the certificate that is served is valid",
        ends,
    )
    labels = (("command", run.command), ("inventory", run.inventory), ("version", run.version))
    if run.profile:
        labels = (*labels, ("profile", run.profile))
    yield from _family("mailprov_run_info", "which run this was", {labels: 1.0})
    for name, about, value in (
        ("mailprov_run_complete", "0 where the run was interrupted", float(run.complete)),
        ("mailprov_run_exit_code", "as of the command", float(run.end.exit_code if run.end else 3)),
        ("mailprov_run_duration_seconds", "how long it took", round(run.seconds, 3)),
        ("mailprov_run_timestamp_seconds", "when it ended", round(run.ended, 3)),
    ):
        yield from _family(name, about, {(): value})


def _place(finding: Finding) -> _Labels:
    target = finding.target
    told = {
        "host": target.host,
        "address": target.address,
        "port": str(target.port or ""),
        "domain": target.domain,
        "account": target.account,
    }
    return tuple((key, value) for key, value in told.items() if value)


def _family(name: str, about: str, series: dict[_Labels, float]) -> Iterator[str]:
    if not series:
        return
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} gauge"
    for labels, value in series.items():
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        number = str(int(value)) if value == int(value) else f"{value:.3f}"
        yield f"{name}{{{inside}}} {number}" if inside else f"{name} {number}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
