"""--report sarif=FILE: SARIF 2.1.0 (OASIS), for code scanning: each finding at the line of the inventory it is about.

A rule for each probe; fail is an error, warn and what could not be tested are warnings, passes are not told. The
fingerprint is made of the probe and what it looked at (without the address, which may change), so a finding stays the
same one from run to run. Of more than MOST results the first are kept (GitHub reads 5,000 of a run), and a
notification says so. Mistakes in the inventory and errors are notifications, as are the reasons of a run that did not
complete.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mailprov.i18n import _, ngettext
from mailprov.model.findings import Finding, Verdict
from mailprov.report.whole_run import Making, WholeRun, name
from mailprov.report.wrong_things import others

MOST = 5000
_LEVELS = {Verdict.FAIL: "error", Verdict.WARN: "warning", Verdict.ERROR: "warning"}
_WORST_FIRST = [Verdict.FAIL, Verdict.ERROR, Verdict.WARN]


def render(run: WholeRun, making: Making) -> str:
    return json.dumps(made(run, making), indent=1) + "\n"


def made(run: WholeRun, making: Making) -> dict[str, Any]:
    told = [finding for finding in run.ordered if finding.verdict in _LEVELS]
    told.sort(key=lambda finding: _WORST_FIRST.index(finding.verdict))
    rules = {finding.id: number for number, finding in enumerate({f.id: f for f in told}.values())}
    notifications = [
        {"level": "error", "message": {"text": f"{each.line}. {each.advice}".rstrip(". ")}}
        for each in others(run)
    ]
    if (left := len(told) - MOST) > 0:
        text = ngettext("{count} more finding is left out", "{count} more findings are left out", left)
        notifications.append({"level": "warning", "message": {"text": text.format(count=left)}})
    invocation: dict[str, Any] = {
        "executionSuccessful": run.complete and not run.errors and not run.problems,
        "toolExecutionNotifications": notifications,
    }
    if run.end is not None:
        invocation["exitCode"] = run.end.exit_code
    if run.started:
        invocation["startTimeUtc"] = run.started.replace("+00:00", "Z")
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "mailprov",
                        "semanticVersion": run.version,
                        "rules": [_rule(finding) for finding in {f.id: f for f in told}.values()],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [invocation],
                "properties": {"profile": run.profile},
                "results": [_result(each, rules[each.id], run, making) for each in told[:MOST]],
            }
        ],
    }


def _rule(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "shortDescription": {"text": finding.title or finding.id},
        "help": {
            "text": ". ".join(text for text in (finding.expected, ", ".join(finding.refs)) if text) or "-"
        },
    }


def _result(finding: Finding, rule: int, run: WholeRun, making: Making) -> dict[str, Any]:
    line, column = making.place(finding.target)
    text = f"{name(finding)}: {finding.observed or finding.title}"
    if finding.verdict is Verdict.ERROR:
        text = _("could not be tested: {text}").format(text=text)
    advice = "; ".join(finding.tasks) or finding.advice
    return {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": _LEVELS[finding.verdict],
        "message": {"text": f"{text}. {advice}" if advice else text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(run.inventory)},
                    "region": {"startLine": line, "startColumn": column},
                },
                "logicalLocations": [{"fullyQualifiedName": str(finding.target) or finding.id}],
            }
        ],
        "partialFingerprints": {"mailprovFinding/v1": _fingerprint(finding)},
    }


def _fingerprint(finding: Finding) -> str:
    target = {**dataclasses.asdict(finding.target), "address": ""}
    return hashlib.sha256(json.dumps([finding.id, target], sort_keys=True).encode()).hexdigest()[:32]


def _uri(path: str) -> str:
    """Relative to where the command ran, which is the checkout in a pipeline."""
    there = Path(path or "mail.yml")
    if there.is_absolute():
        there = Path(os.path.relpath(there))
    return quote(there.as_posix())
