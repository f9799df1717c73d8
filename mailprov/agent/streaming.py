"""Programs whose output is longer than what one wants in memory (agent/commands.py keeps the end of it alone).

    lines(argv, check) -> Iterator     standard output line by line, while the program runs
    to_file(argv, path) -> Outcome     standard output into a new file that only root may read

A line of more than LINE octets is given as None. `check` is called at least once a second, and may raise; whoever stops
listening ends the program. Raises AgentError when a program is missing, and `lines` Failed when it does not end with 0.
"""

from __future__ import annotations

import os
import select
import threading
from typing import Callable, Iterator, Optional, Sequence

from mailprov.agent import commands

LINE = 16 * 2**20
_PIECE = 1 << 16


class Failed(Exception):
    """What a program said on standard error, the last line of it; never empty."""


def lines(argv: Sequence[str], check: Callable[[], None]) -> Iterator[Optional[bytes]]:
    process, code = commands.stream(argv), 0
    assert process.stdout is not None
    try:
        yield from _lines(process.stdout.fileno(), check)
        code = process.wait()
    finally:
        ended = commands.stop(process)
    if code:
        raise Failed((ended.lines(1) or [f"{argv[0]}: {code}"])[0])


def _lines(handle: int, check: Callable[[], None]) -> Iterator[Optional[bytes]]:
    rest, too_long = bytearray(), False
    while True:
        check()
        if not select.select([handle], [], [], 1)[0]:
            continue
        piece = os.read(handle, _PIECE)
        if not piece:
            break
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            rest += piece[start:end]
            yield None if too_long else bytes(rest)
            rest.clear()
            start, too_long = end + 1, False
        if not too_long:
            rest += piece[start:]
        if len(rest) > LINE:
            rest.clear()
            too_long = True
    if rest or too_long:
        yield None if too_long else bytes(rest)


def to_file(argv: Sequence[str], path: str, timeout: float = 600) -> commands.Outcome:
    """On the disk when it returns. The file is there also where the program failed, and where OSError is raised: the
    disk is full. Not every program notices that by itself (postcat does not), so none writes the file.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        process = commands.stream(argv)
        assert process.stdout is not None
        timer = threading.Timer(timeout, process.kill)
        timer.daemon = True
        timer.start()
        try:
            while piece := os.read(process.stdout.fileno(), _PIECE):
                view = memoryview(piece)
                while view:
                    view = view[os.write(handle, view) :]
            process.wait()
            os.fsync(handle)
        finally:
            timer.cancel()
            ended = commands.stop(process)
        return ended
    finally:
        os.close(handle)
