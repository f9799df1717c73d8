"""--report html=FILE: a run as one page, to read, to print and to give to others; it fetches nothing and needs nothing.

First how it went, then hosts and their ports as a table, then what is wrong (worst first, one entry for one cause),
then every finding with its conversation folded. What is told by a colour is told by a sign and a word as well. All
texts are escaped, and the page's own policy (CSP level 3) lets no other style or script than its two run, and nothing
be fetched.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

from mailprov.i18n import N_, _, ngettext
from mailprov.model.findings import Finding, Verdict
from mailprov.model.ports import ALL
from mailprov.report import page_source
from mailprov.report.whole_run import Making, State, WholeRun, by_profile, headline
from mailprov.report.wrong_things import Wrong, others, wrong

# Verdict → sign, word, what it means. The worst first.
_VERDICTS = {
    Verdict.FAIL: ("✗", N_("fail"), N_("wrong")),
    Verdict.ERROR: ("?", N_("error"), N_("could not be tested")),
    Verdict.WARN: ("!", N_("warn"), N_("works, and could be better")),
    Verdict.PASS: ("✓", N_("pass"), N_("proved")),
    Verdict.SKIP: ("–", N_("skip"), N_("left out, and why")),
}
_STATES = {
    State.OK: Verdict.PASS,
    State.WARNING: Verdict.WARN,
    State.FAILED: Verdict.FAIL,
    State.UNKNOWN: Verdict.ERROR,
}
_SERVICES = {port.number: port.service for port in ALL}
_RANK = {port.number: rank for rank, port in enumerate(ALL)}


def render(run: WholeRun, making: Making) -> str:
    from markupsafe import Markup

    made = page_source.environment(tuple(making.folders()))
    style = page_source.source(made, "report/page.css")
    script = page_source.source(made, "report/page.js")
    findings = run.ordered
    groups = list(_groups(findings))
    return made.get_template("report/page.html.j2").render(
        lang=page_source.language(),
        title=f"mailprov {run.command} {run.inventory}".strip(),
        style=Markup(style),  # noqa: S704 - files of this program
        script=Markup(script),  # noqa: S704
        style_hash=page_source.digest(style),
        script_hash=page_source.digest(script),
        state=_sign(_STATES[run.state]),
        headline=headline(run),
        complete=run.complete,
        facts=list(_facts(run)),
        counts=[{**_sign(v), "count": run.counts[v], "about": _(_VERDICTS[v][2])} for v in _VERDICTS],
        matrix=_matrix(findings, groups),
        wrong=[_wrong(each) for each in [*others(run), *wrong(run.findings)]],
        notices=[f"{each.subject}: {each.text}" if each.subject else each.text for each in run.notices],
        endings=[
            {"subject": each.subject, "status": each.status, "error": each.error, "lines": each.output}
            for each in run.endings
        ],
        groups=groups,
    )


def _sign(verdict: Verdict) -> dict[str, str]:
    sign, word, _about = _VERDICTS[verdict]
    return {"kind": verdict.value, "sign": sign, "word": _(word)}


def _facts(run: WholeRun) -> Iterator[tuple[str, str]]:
    if run.started:
        yield _("Began"), run.started.replace("T", " ").replace("+00:00", " UTC")
    if run.end is not None:
        yield _("Took"), _("{seconds:.1f} s").format(seconds=run.seconds)
        yield _("Exit code"), str(run.end.exit_code)
    else:
        now = datetime.datetime.now(datetime.timezone.utc)
        yield _("Written"), f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if run.via:
        yield _("Looked from"), _("{host}, through its agent").format(host=run.via)
    if run.inventory:
        yield _("Inventory"), run.inventory
    if told := by_profile(run):
        yield _("Judged by"), told
    yield _("Version"), f"mailprov {run.version}"


def _groups(findings: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    """Findings of one port of a host, of a host elsewhere, of a domain; ports in the order of the table of ports."""
    made: dict[tuple[str, int], list[Finding]] = {}
    for finding in findings:
        made.setdefault((finding.target.host or finding.target.domain, finding.target.port), []).append(
            finding
        )
    hosts = {finding.target.host for finding in findings}
    order = sorted(
        made, key=lambda key: (key[0] not in hosts, key[0], _RANK.get(key[1], key[1] and 100 + key[1]))
    )
    for number, (place, port) in enumerate(order, start=1):
        some = made[place, port]
        worst = _worst(some)
        some.sort(key=lambda finding: [*_VERDICTS].index(finding.verdict))
        yield {
            "anchor": f"at-{number}",
            "place": place or _("everywhere"),
            "port": port,
            "service": _SERVICES.get(port, ""),
            "addresses": [*dict.fromkeys(f.target.address for f in some if f.target.address)],
            **_sign(worst),
            "tally": _tally(some),
            "findings": [_told(finding) for finding in some],
        }


def _worst(findings: Sequence[Finding]) -> Verdict:
    verdicts = {finding.verdict for finding in findings}
    return next(verdict for verdict in _VERDICTS if verdict in verdicts)


def _tally(findings: Sequence[Finding]) -> str:
    counts = [(v, sum(finding.verdict is v for finding in findings)) for v in _VERDICTS]
    return ", ".join(f"{count} {_(_VERDICTS[v][1])}" for v, count in counts if count)


def _told(finding: Finding) -> dict[str, Any]:
    target = finding.target
    return {
        **_sign(finding.verdict),
        "id": finding.id,
        "title": finding.title,
        "about": " ".join(
            part for part in (target.account, target.domain if target.host else "", target.address) if part
        ),
        "expected": finding.expected,
        "observed": finding.observed,
        "judged": finding.judged,
        "todo": [*finding.tasks] or ([finding.advice] if finding.advice else []),
        "exact": [remedy.text for remedy in finding.remedies if remedy.kind != "task"],
        "lines": finding.evidence,
        "lines_title": ngettext(
            "Conversation: {count} line", "Conversation: {count} lines", len(finding.evidence)
        ).format(count=len(finding.evidence)),
        "refs": ", ".join(finding.refs),
        "open": False,
    }


def _matrix(findings: Sequence[Finding], groups: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Rows of hosts, columns of the ports that were looked at; a last column for what belongs to no port."""
    hosts = [*dict.fromkeys(f.target.host for f in findings if f.target.host)]
    ports = sorted(
        {f.target.port for f in findings if f.target.host and f.target.port},
        key=lambda port: (_RANK.get(port, 100), port),
    )
    if not hosts:
        return None
    at = {(group["place"], group["port"]): group for group in groups}
    return {
        "ports": [{"number": port, "service": _SERVICES.get(port, "")} for port in ports],
        "rows": [{"host": host, "cells": [at.get((host, port)) for port in [*ports, 0]]} for host in hosts],
    }


def _wrong(each: Wrong) -> dict[str, Any]:
    return {
        **_sign(each.verdict),
        "probe": each.probe,
        "where": each.where,
        "observed": each.observed,
        "advice": each.advice,
        "count": len(each.findings),
    }
