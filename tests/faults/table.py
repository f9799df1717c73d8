"""The campaign's memory and its table.

Results(path)        one JSON object a line; what is there already is not tried again
table(samples)       fault × phase: tried, recovered, messages accepted, lost, duplicated
report(…)            the table as a page of its own: what was tried where, and what the columns mean
wire_report(samples) the same for `trace --wire`
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from tests.faults import wire
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

    def has(self, host: str, phase: str, kind: str, point: str) -> bool:
        wanted = (host, phase, kind, point)
        return any((one.host, one.phase, one.kind, one.point) == wanted for one in self.samples)

    def add(self, sample: Sample) -> None:
        with self._lock:
            self.samples.append(sample)
            with open(self._path, "a") as file:
                file.write(json.dumps(dataclasses.asdict(sample)) + "\n")


def table(samples: Iterable[Sample]) -> str:
    """Markdown. A fault that found nothing to hit (no dpkg running, no agent yet) is not counted as tried."""
    hit = [sample for sample in samples if sample.hit]
    rows = [("fault", "phase", "tried", "recovered", "accepted", "lost", "duplicated", "unknown")]
    for kind in [*KINDS, *(kind for kind in wire.KINDS if kind not in KINDS)]:
        for phase in (*PHASES, wire.PHASE):
            of = [sample for sample in hit if (sample.kind, sample.phase) == (kind, phase)]
            if of:
                rows.append((kind, phase, *_counts(of)))
    rows.append(("all", "", *_counts(hit)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    bad = [sample for sample in hit if sample.problems]
    notes = [
        f"- {one.host}, {one.phase}, {one.kind} at “{one.point}”: {'; '.join(one.problems)}" for one in bad
    ]
    return "\n".join([*lines, *(["", "Not recovered:", *notes] if notes else [])]) + "\n"


_REPORT = """\
# Faults on real hosts: what came of them

Written by `make faults` ({date}), {tried} of {all} samples. Each takes a host back to the start of a phase, begins it,
strikes at one event of its stream, looks at the host, runs the next apply, and counts a stream of numbered messages
that were sent all the while.

{events}

Neighbouring events of one sort are counted once, by the first and the last of them: "Unpacking" of one package after
the other, or files that reached their places together. {slow} takes a minute each time and is tried at every fourth
event. Each sample runs on one of the hosts.

{table}
*Recovered*: after the fault the host served as before or as wanted, the next apply said what it found and converged,
and nothing was left behind. *Accepted*: answered with 250 after the final dot. *Lost*: accepted, and in no mailbox in
the end; what waits in the queue for an account that a rollback has taken away is not lost, its sender hears of it.
*Duplicated*: delivered twice, which SMTP allows when a process dies between storing a message and saying so (RFC 1047).
*Unknown*: the answer to the final dot never came. A fault that found nothing to hit is not counted.
"""


def report(samples: Iterable[Sample], events: dict[str, dict[str, int]], wanted: int) -> str:
    """Markdown. `events`: host → phase → how many events an undisturbed run has."""
    known = list(samples)
    counts = [
        f"- {host}: " + ", ".join(f"{count} events in {phase}" for phase, count in phases.items())
        for host, phases in events.items()
    ]
    slow = " and ".join(f"“{name}”" for name, kind in KINDS.items() if kind.slow)
    return _REPORT.format(
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        tried=len(known),
        all=wanted,
        events="\n".join(counts),
        slow=slow,
        table=table(known),
    )


_WIRE = """\
# `trace --wire` struck at each of its steps: what came of it

Written by `make faults ONLY=wire` ({date}): {tried} of {all} samples, {kinds} faults at {steps} steps on {hosts}. Each
begins `trace --wire` on a host that serves, strikes, and waits for the host to be as before: every file of /etc, what
Postfix says is in force, mounts, units, sockets, mailprov's own files. Then the next run must work as if nothing had
been. Meanwhile other mail flows, by port 25, 587 and 465, and is counted.

{table}
The columns are those of [RESULTS.md](RESULTS.md). After a loss of power or a reboot nothing is in force any more; that
the files are gone is looked at after the next run.
"""


def wire_report(samples: Iterable[Sample]) -> str:
    known = list(samples)
    hosts = sorted({sample.host for sample in known})
    return _WIRE.format(
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        tried=len(known),
        all=2 * len(wire.KINDS) * len(wire.STEPS),
        kinds=len(wire.KINDS),
        steps=len(wire.STEPS),
        hosts=", ".join(hosts),
        table=table(known),
    )


def _counts(of: list[Sample]) -> tuple[str, ...]:
    recovered = sum(not sample.problems for sample in of)
    sums = [sum(getattr(one, name) for one in of) for name in ("accepted", "lost", "duplicated", "unknown")]
    return tuple(map(str, (len(of), recovered, *sums)))
