"""--report json=FILE: all that a run found as one JSON object, for programs; docs/report.schema.json is its schema.

`schema_version` changes only where a field goes or means something else; fields are added without it. Findings have the
fields of the event `found` (docs/events.md), in the order of hosts, domains, probes and ports. In ASCII.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

from mailprov.report.whole_run import Making, WholeRun

SCHEMA_VERSION = 1


def render(run: WholeRun, making: Making) -> str:
    return json.dumps(made(run), indent=1) + "\n"


def made(run: WholeRun) -> dict[str, Any]:
    ended = datetime.datetime.fromtimestamp(run.ended, datetime.timezone.utc)
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "mailprov", "version": run.version},
        "run": {
            "command": run.command,
            "inventory": run.inventory,
            "started": run.started,
            "profile": run.profile,
            "via": run.via,
            "ended": ended.isoformat(timespec="seconds") if run.ended else "",
            "seconds": round(run.seconds, 3),
            "complete": run.complete,
            "state": run.state.value,
            "exit_code": run.end.exit_code if run.end is not None else None,
            "summary": run.summary,
        },
        "counts": {verdict.value: count for verdict, count in run.counts.items()},
        "findings": [dataclasses.asdict(finding) for finding in run.ordered],
        "endings": [dataclasses.asdict(ending) for ending in run.endings],
        "inventory_problems": [dataclasses.asdict(problem) for problem in run.problems],
        "errors": [dataclasses.asdict(error) for error in run.errors],
        "notices": [dataclasses.asdict(notice) for notice in run.notices],
    }
