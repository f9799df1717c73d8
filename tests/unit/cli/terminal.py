"""mailprov on a terminal of its own, for tests of what it asks.

with Terminal("init", cwd=folder) as terminal:
    terminal.answer("Mail domain", "example.org")     waits for the question, then types
    terminal.press("\\x1b")                           a key
    terminal.interrupt() -> exit code                 Ctrl-C, again and again until it ends, as a person would
    terminal.end() -> exit code                       terminal.shown has all that was printed

`program`: another program than mailprov.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PATIENCE = 300.0  # seconds; a busy machine takes its time


class Terminal:
    def __init__(
        self, *words: str, cwd: Path, env: dict[str, str] | None = None, program: Sequence[str] = ()
    ) -> None:
        argv = list(program) or [sys.executable, "-m", "mailprov"]
        self.shown = ""
        self._read = 0  # what was looked at already
        self._pid, self._handle = pty.fork()
        if not self._pid:
            os.chdir(cwd)
            environment = {**os.environ, "TERM": "dumb", "COLUMNS": "100", "LINES": "60", **(env or {})}
            os.execvpe(argv[0], [*argv, *words], environment)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown[self._read :]:
            assert time.monotonic() < deadline, f"{text!r} never came: {self.shown[self._read :]}"
            assert self._more(), f"it ended before {text!r}: {self.shown[self._read :]}"
        self._read = self.shown.index(text, self._read) + len(text)

    def answer(self, question: str, reply: str) -> None:
        self.wait_for(question)
        self.press(f"{reply}\n")

    def press(self, keys: str) -> None:
        os.write(self._handle, keys.encode())

    def interrupt(self) -> int:
        """Python does not hear a signal in the moment between the question and its wait for the answer."""
        deadline = time.monotonic() + PATIENCE
        self.press("\x03")
        again = time.monotonic() + 5
        while self._more():
            assert time.monotonic() < deadline, self.shown
            if time.monotonic() > again:
                again += 5
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    self.press("\x03")
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def end(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while self._more():
            assert time.monotonic() < deadline, self.shown
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _more(self) -> bool:
        """Reads what there is; False when the program has closed its terminal."""
        if not select.select([self._handle], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self._handle, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self.shown += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)
