"""Helpers of the tests on real hosts.

lab_name        a name for a lab that meets no other
remove_orphans  takes away the labs of test sessions that were killed
run_on          one command on a lab host over SSH
silent          an Emit for who does not want to know
wait_until      polls a condition with a deadline
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.model.events import Event


def silent(event: Event) -> None:
    """An Emit for who does not want to know."""


def lab_name(suffix: str) -> str:
    """A lab name of this test session: it cannot meet a user's lab or another session's."""
    return f"test-{os.getpid()}-{suffix}"


def remove_orphans() -> None:
    """Takes away the labs of test sessions that were killed: one worker does, those beside it wait until it is done.

    Without the waiting, all but one of them would be refused the lab ("another mailprov is working on it").
    """
    with (Path(tempfile.gettempdir()) / "mailprov-test-orphans.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in lab.names():
            word, _, rest = name.partition("-")
            pid = rest.partition("-")[0]
            if word == "test" and pid.isdigit() and not Path(f"/proc/{pid}").exists():
                lab.down(name, silent)


def wait_until(condition: Callable[[], object], what: str, timeout: float = 600) -> None:
    """Returns when `condition()` is true; fails the test with `what` after `timeout` s, which only a hang reaches."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout:g} s: {what}")
        time.sleep(0.05)


def run_on(where: lab.Lab, host: str, command: str, *, check: bool = True, seconds: float = 300) -> str:
    """Standard output of a shell command on a lab host; with `check` the test fails when it does."""
    done = subprocess.run(where.ssh_argv(host, [command]), capture_output=True, text=True, timeout=seconds)
    if check and done.returncode != 0:
        pytest.fail(
            f"{host}: `{command}` ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout
