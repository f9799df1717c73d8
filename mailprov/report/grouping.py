"""Which findings belong together: what waits for another one, ports that do not answer, and what is equal. Pure.

in_order(findings)              by host and domain, ports as in the table of ports
behind(findings) -> Behind      what could only not be tested for something that another finding of the run tells
causes(findings, verdict)       ports that do not answer, of all hosts on which they are the same
groups(findings, verdict)       of the rest: findings of one probe, and errors of several that met the same
ids(findings)                   their probes
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailprov.model.findings import Finding, Verdict
from mailprov.model.ports import ALL

Behind = dict[int, Finding]  # id() of a finding → the one that it waits for in the end
RANK = {port.number: rank for rank, port in enumerate(ALL)}
CONNECTS = "net.tcp"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By host and domain, ports as in the table of ports: probes end in any order."""
    return sorted(
        findings,
        key=lambda f: (
            f.target.host,
            f.target.domain,
            f.id,
            RANK.get(f.target.port, -1),
            f.target.address,
            f.target.account,
        ),
    )


def behind(found: Sequence[Finding]) -> Behind:
    """Errors that another finding of this run explains, with that one: `waits_for`, followed to its end."""
    told = {
        f"{finding.id} {finding.target}": finding
        for finding in found
        if finding.verdict in (Verdict.FAIL, Verdict.ERROR)
    }
    found_behind: Behind = {}
    for finding in found:
        seen, cause = {id(finding)}, finding
        while cause.verdict is Verdict.ERROR and (next_ := told.get(cause.waits_for)) is not None:
            if id(next_) in seen:
                break
            seen.add(id(next_))
            cause = next_
        if cause is not finding:
            found_behind[id(finding)] = cause
    return found_behind


def causes(findings: Iterable[Finding], verdict: Verdict) -> list[list[Finding]]:
    """Ports that do not answer: for each set of ports, of all hosts that have the same."""
    by_host: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.id == CONNECTS and finding.verdict is verdict and finding.target.port:
            by_host.setdefault((finding.target.host, finding.observed), []).append(finding)
    equal: dict[tuple[object, ...], list[Finding]] = {}
    for (__, observed), some in by_host.items():
        key = (observed, *sorted({finding.target.port for finding in some}))
        equal.setdefault(key, []).extend(some)
    return list(equal.values())


def groups(findings: Iterable[Finding], verdict: Verdict) -> list[list[Finding]]:
    """Findings of one probe, wherever they are; and errors of several probes that met the same, as a name server that
    does not answer. Those of `causes` are not among them.
    """
    some = [
        f
        for f in findings
        if f.verdict is verdict and not (f.id == CONNECTS and f.target.port and verdict is not Verdict.WARN)
    ]
    met: dict[tuple[str, str], set[str]] = {}
    for f in some:
        if verdict is Verdict.ERROR:
            met.setdefault((f.observed, f.advice), set()).add(f.id)
    equal: dict[tuple[str, str], list[Finding]] = {}
    for f in some:
        together = len(met.get((f.observed, f.advice), ())) > 1
        equal.setdefault((f.observed, f.advice) if together else (f.id, f.expected), []).append(f)
    return sorted(equal.values(), key=lambda group: (-len({f.id for f in group}), group[0].id))


def ids(group: Iterable[Finding]) -> list[str]:
    return sorted({finding.id for finding in group})
