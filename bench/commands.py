"""The commands that are measured, as a user gives them.

    mailprov(*words) -> Run            `mailprov WORDS`, to its end
    apply(path, expected, …) -> Run    `mailprov apply --yes --no-verify …`, which must say `expected`
    bare_install(packages) -> str      a shell line for the host: the bare apt-get of the same packages

Raises BenchFailed when a command does not do what it is measured at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from bench.measure import BenchFailed, Run, run

ROOT = Path(__file__).resolve().parent.parent
_SCRIPT = ROOT / ".venv/bin/mailprov"
MAILPROV = [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-m", "mailprov"]


def mailprov(*words: str) -> Run:
    return run([*MAILPROV, *words], cwd=str(ROOT))


def apply(path: Path, expected: str, *more: str) -> Run:
    result = mailprov("apply", "--yes", "--no-verify", *more, str(path))
    if expected not in result.output:
        raise BenchFailed(f"bench: mailprov did not say “{expected}”:\n{result.output[-2000:]}")
    return result


def bare_install(packages: Iterable[str]) -> str:
    return (
        "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update && apt-get -qq -y --no-install-recommends "
        f"-o Dpkg::Use-Pty=0 install {' '.join(packages)} >/dev/null"
    )
