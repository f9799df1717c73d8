"""A program in a terminal, as somebody sees it who sits there: tmux, so many columns and rows.

    Screen(folder, argv)    a `with` block
    .see(pattern)           waits until the screen shows it (a regular expression; no blanks at the ends of lines)
    .type(text)             signs as they are typed
    .press(names)           keys by tmux's names: Enter, C-x, Down
    .ended()                waits until the program is over

Every wait is generous: machines are slow, and a screen that never comes fails the test with what was there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

PATIENCE = 120.0


class Screen:
    def __init__(self, folder: Path, argv: Sequence[str], columns: int = 100, rows: int = 40) -> None:
        if shutil.which("tmux") is None:
            pytest.skip("no tmux here (apt-get install tmux)")
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self._argv = [*self._tmux, "new-session", "-d", "-x", str(columns), "-y", str(rows), "--", *argv]

    def __enter__(self) -> Screen:
        subprocess.run(self._argv, check=True)
        return self

    def __exit__(self, *error: object) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)

    def shown(self) -> str:
        """ "" where the program is over."""
        done = subprocess.run(
            [*self._tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False
        )
        return "\n".join(line.rstrip() for line in done.stdout.splitlines() if line.strip())

    def see(self, pattern: str, timeout: float = PATIENCE) -> str:
        deadline = time.monotonic() + timeout
        while not re.search(pattern, text := self.shown()):
            if time.monotonic() > deadline:
                pytest.fail(f"the screen never showed {pattern!r}:\n{text}")
            time.sleep(0.1)
        return text

    def type(self, text: str) -> None:
        subprocess.run([*self._tmux, "send-keys", "-l", "--", text], check=True)

    def press(self, *names: str) -> None:
        subprocess.run([*self._tmux, "send-keys", *names], check=True)

    def enter(self, text: str) -> None:
        self.type(text)
        self.press("Enter")

    def ended(self, timeout: float = PATIENCE) -> None:
        deadline = time.monotonic() + timeout
        while subprocess.run([*self._tmux, "has-session"], capture_output=True, check=False).returncode == 0:
            if time.monotonic() > deadline:
                pytest.fail(f"the program goes on:\n{self.shown()}")
            time.sleep(0.1)
