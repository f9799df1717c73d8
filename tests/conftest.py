"""For all tests: what makes thousands of small ones quick."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")
ROOM = 1 << 30  # octets; the tests leave some tens of MiB in three runs


def pytest_configure() -> None:
    _in_memory()
    # A shell starts what it puts in the background deaf to Ctrl-C, and so would be all that the tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _in_memory() -> None:
    """Temporary directories in memory, if programs may run there: they are made and removed by thousands."""
    if "TMPDIR" in os.environ or not os.access(IN_MEMORY, os.W_OK):
        return
    there = os.statvfs(IN_MEMORY)
    if there.f_bavail * there.f_frsize > ROOM and not there.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = tempfile.tempdir = str(IN_MEMORY)


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end: looking through it again and again for garbage takes a tenth of the time,
    and makes each fork copy it.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
