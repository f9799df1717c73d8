"""One run of a command, measured; and what many runs come to.

run(argv, env) -> Run           to its end; raises BenchFailed with its output when it fails
Table()                         rows by name: add, median, span, ratio
Need(name, of, bound, text)     what a row must not exceed, as a multiple of another row
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

# A user's Python caches what it compiles and buffers what it prints; a developer's shell may say otherwise.
_UNWANTED = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH", "MAILPROV_DEBUG")


class BenchFailed(Exception):
    """A command did not do what it was to be measured at. The first line says which, the rest is its output."""


@dataclass(frozen=True)
class Run:
    """`cpu` is of the process and the children it waited for; `peak` is the largest of them, in MiB."""

    wall: float
    cpu: float
    peak: float
    output: str


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would slow a Python down, and `more`."""
    return {key: value for key, value in os.environ.items() if key not in _UNWANTED} | (more or {})


def run(argv: Sequence[str], env: dict[str, str] | None = None, cwd: str | None = None) -> Run:
    """`argv` without a terminal; what it says goes to a file, so that no pipe holds it up."""
    with tempfile.TemporaryFile() as out:
        began = time.monotonic()
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(env), cwd=cwd
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode("utf-8", "replace")
    if process.returncode:
        raise BenchFailed(f"bench: {' '.join(argv)} ended with {process.returncode}:\n{said[-3000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)


@dataclass
class Table:
    """All runs of all rows."""

    rows: dict[str, list[Run]] = field(default_factory=dict)
    loads: list[float] = field(default_factory=list)  # of the machine, at each run
    quiet: bool = False  # runs are not printed as they end

    def add(self, name: str, run: Run) -> None:
        self.loads.append(os.getloadavg()[0])
        self.rows.setdefault(name, []).append(run)
        if not self.quiet:
            print(
                f"  {name:<44} {run.wall:8.3f} s  cpu {run.cpu:7.3f} s  peak {run.peak:5.0f} MiB", flush=True
            )

    def wall(self, name: str) -> float:
        return statistics.median(run.wall for run in self.rows[name])

    def ratio(self, name: str, of: str) -> float:
        """Of the walls. Where both were measured equally often they took turns, and what counts is the median of the
        rounds' ratios: cores whose speed drifts by half from round to round make a ratio of medians an accident.
        """
        rows, others = self.rows[name], self.rows[of]
        if len(rows) == len(others):
            return statistics.median(run.wall / other.wall for run, other in zip(rows, others, strict=True))
        return self.wall(name) / self.wall(of)

    def cpu(self, name: str) -> float:
        return statistics.median(run.cpu for run in self.rows[name])

    def peak(self, name: str) -> float:
        return max(run.peak for run in self.rows[name])

    def markdown(self) -> str:
        lines = [
            "| row | n | wall s, median (min–max) | controller CPU s | peak MiB |",
            "|---|---|---|---|---|",
        ]
        for name, runs in self.rows.items():
            walls = [run.wall for run in runs]
            span = f"{min(walls):.3f}–{max(walls):.3f}"
            lines.append(
                f"| {name} | {len(runs)} | {self.wall(name):.3f} ({span}) | {self.cpu(name):.3f} "
                f"| {self.peak(name):.0f} |"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class Need:
    """`name` may take at most `bound` times what `of` takes; `text` says so in a user's words."""

    name: str
    of: str
    bound: float
    text: str

    def line(self, table: Table) -> str:
        """A row of the verdicts, empty when one of the two was not measured."""
        if self.name not in table.rows or self.of not in table.rows:
            return ""
        ratio = table.ratio(self.name, self.of)
        seen, wanted = _ratio(ratio), _ratio(self.bound)
        return f"| {self.text} | {wanted} | {seen} | {'met' if ratio <= self.bound else '**not met**'} |"


def _ratio(value: float) -> str:
    return f"{value:.2f} ×" if value > 0.5 else f"1/{1 / value:.1f}"
