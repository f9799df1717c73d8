"""The campaign's memory and its table.

Results(path)        one JSON object a line; what is there already is not tried again
table(samples)       fault × phase: tried, recovered, messages accepted, lost, duplicated
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterable
from pathlib import Path

from tests.faults.campaign import Sample
from tests.faults.kinds import KINDS
from tests.faults.phases import PHASES


class Results:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        self.samples = [Sample(**json.loads(line)) for line in lines]

    def has(self, host: str, phase: str, kind: str, index: int) -> bool:
        wanted = (host, phase, kind, index)
        return any((one.host, one.phase, one.kind, one.index) == wanted for one in self.samples)

    def add(self, sample: Sample) -> None:
        with self._lock:
            self.samples.append(sample)
            with open(self._path, "a") as file:
                file.write(json.dumps(dataclasses.asdict(sample)) + "\n")


def table(samples: Iterable[Sample]) -> str:
    """Markdown. A fault that found nothing to hit (no dpkg running, no agent yet) is not counted as tried."""
    hit = [sample for sample in samples if sample.hit]
    rows = [("fault", "phase", "tried", "recovered", "accepted", "lost", "duplicated", "unknown")]
    for kind in KINDS:
        for phase in PHASES:
            of = [sample for sample in hit if (sample.kind, sample.phase) == (kind, phase)]
            if of:
                rows.append((kind, phase, *_counts(of)))
    rows.append(("all", "", *_counts(hit)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    bad = [sample for sample in hit if sample.problems]
    notes = [
        f"- {one.host}, {one.phase}, {one.kind} at {one.index} ({one.event}): {'; '.join(one.problems)}"
        for one in bad
    ]
    return "\n".join([*lines, *(["", "Not recovered:", *notes] if notes else [])]) + "\n"


def _counts(of: list[Sample]) -> tuple[str, ...]:
    recovered = sum(not sample.problems for sample in of)
    sums = [sum(getattr(one, name) for one in of) for name in ("accepted", "lost", "duplicated", "unknown")]
    return tuple(map(str, (len(of), recovered, *sums)))
