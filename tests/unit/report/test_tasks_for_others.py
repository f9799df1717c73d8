"""What somebody else has to do: each task once, below everything else, and in --json and --junit with its finding."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from mailprov.model.answers import Found
from mailprov.model.events import RunEnded, to_json
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.report import findings
from mailprov.report.report_files import ReportFiles

SIGN = "ask the provider of the zone example.org to sign it, and its registrar to enter the DS record"
ROUTES = "ask the providers of 203.0.113.25 whether their routes have a ROA (RPKI)"
FOUND = [
    Finding(
        "dns.dnssec",
        Target(domain=domain),
        Verdict.WARN,
        "Nobody on the way can forge the domain's records",
        observed="the zone example.org is not signed",
        advice=SIGN,
        tasks=(SIGN,),
    )
    for domain in ("example.org", "sub.example.org")
]
FOUND += [
    Finding(
        "dns.rpki",
        Target(domain="example.org"),
        Verdict.SKIP,
        "Routes are signed",
        observed="whether routes are signed (RPKI) is in no record of DNS",
        tasks=(ROUTES,),
    ),
    Finding("dns.mx", Target(domain="example.org"), Verdict.PASS, "Mail for the domain finds its host"),
]


def shown(found: list[Finding], width: int, *, verbose: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    for part in findings.render(found, verbose=verbose):
        console.print(part)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_each_task_once_below_everything_else() -> None:
    text = shown(FOUND, 140)
    block = text[text.index("Tasks for others") :]
    assert " ".join(block.split()) == (
        f"Tasks for others → {SIGN} (dns.dnssec example.org, sub.example.org) → {ROUTES} (dns.rpki example.org)"
    )
    assert text.count("to enter the DS record") == 1
    assert "to do     see the tasks for others, below" in text
    assert "skipped" not in text


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("verbose", [False, True])
def test_it_fits_the_terminal(width: int, verbose: bool) -> None:
    text = shown(FOUND, width, verbose=verbose)
    assert max(map(len, text.splitlines())) <= width
    tasks = text[text.index("Tasks for others") :].splitlines()[1:]
    assert all(line.startswith(("  → ", "    ")) for line in tasks)


def test_without_tasks_there_is_no_such_block() -> None:
    assert "Tasks for others" not in shown([dataclasses.replace(one, tasks=()) for one in FOUND], 80)


def test_in_json_and_junit_a_task_is_with_its_finding(tmp_path: Path) -> None:
    assert json.loads(json.dumps(to_json(Found(FOUND[0]))))["tasks"] == [SIGN]
    report = ReportFiles(junit=tmp_path / "x.xml")
    for one in FOUND:
        report(Found(one))
    report(RunEnded(4, "", 1.0))
    cases = {case.get("classname"): case for case in ET.parse(tmp_path / "x.xml").iter("testcase")}
    warned, skipped = cases["dns.dnssec"].find("system-out"), cases["dns.rpki"].find("skipped")
    assert warned is not None
    assert skipped is not None
    assert f"task for others: {SIGN}" in (warned.text or "")
    assert "to do" not in (warned.text or "")
    assert f"task for others: {ROUTES}" in (skipped.text or "")
