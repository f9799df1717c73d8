"""A terminal in which a person works: tmux with bash, so many columns wide; what is typed, what stands on the screen.

    Terminal(folder, home, columns)    a `with` block
    .run(command, answers)             types it, answers the questions that come, waits for the prompt → Screen
    Screen                             what a command wrote: `code`, `text`, and `lines` as the edge cuts them
    Screen.ugly()                      what nobody should see: tracebacks, escape sequences, words cut at the edge

Answers are pairs of a pattern and what is typed when the last line on the screen matches it; they come in this order.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_PROMPT = re.compile(r"\[(\d+)\] \$ *$")
_ROWS = 50


@dataclass(frozen=True)
class Screen:
    command: str
    code: int
    columns: int
    lines: list[str] = field(repr=False)
    written: list[str] = field(repr=False)  # with what the edge of the screen had cut in two joined again

    @property
    def text(self) -> str:
        return "\n".join(self.written)

    def ugly(self) -> list[str]:
        found = []
        for line in self.written:
            if re.search(r"Traceback|internal error in|\x1b|\^\[\[\d|\[\d+(;\d+)*m", line):
                found.append(line)
            for edge in range(self.columns, len(line), self.columns):
                word = re.split(r"\s", line[:edge])[-1] + re.split(r"\s", line[edge:])[0]
                short = len(word) < self.columns * 2 // 3  # a longer one has to be cut somewhere
                if short and not line[edge - 1].isspace() and not line[edge].isspace():
                    found.append(f"cut in a word: {line[:edge]}|{line[edge:]}")
        return found


class Terminal:
    def __init__(self, folder: Path, home: Path, columns: int = 80) -> None:
        if shutil.which("tmux") is None:
            pytest.skip("no tmux here (apt-get install tmux)")
        self.columns = columns
        self._socket = folder / "tmux"
        settings = folder / "tmux.conf"
        settings.write_text(
            "set -g history-limit 100000\nset -g status off\nset -g default-terminal screen-256color\n"
            "set -g escape-time 0\n"
        )
        shell = [
            "env", "-i", f"HOME={home}", f"PATH={Path(sys.executable).parent}:{os.environ['PATH']}",
            "LANG=C.UTF-8", "TERM=screen-256color", "PS1=[$?] $ ", "bash", "--norc", "--noprofile",
        ]  # fmt: skip
        self._tmux(
            "-f",
            str(settings),
            "new-session",
            "-d",
            "-x",
            str(columns),
            "-y",
            str(_ROWS),
            "-c",
            str(home),
            *shell,
        )

    def __enter__(self) -> Terminal:
        self._until_prompt([], 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def run(self, command: str, answers: Sequence[tuple[str, str]] = (), timeout: float = 300) -> Screen:
        """Fails the test when the prompt does not come back in time, or an answer was not asked for."""
        self._tmux("send-keys", "-R")
        self._tmux("clear-history")
        self._type("clear")
        self._until_prompt([], 20)
        self._tmux("clear-history")
        self._type(command)
        code = self._until_prompt(list(answers), timeout, after=command)
        drop = len(f"[0] $ {command}")
        written = self._capture("-J")
        del written[0], written[-1]
        lines = self._capture()
        return Screen(command, code, self.columns, lines[-(-drop // self.columns) : -1], written)

    def _until_prompt(self, answers: list[tuple[str, str]], timeout: float, after: str = "") -> int:
        deadline = time.monotonic() + timeout
        while True:
            written = self._capture("-J")
            last = written[-1] if written else ""
            found = _PROMPT.search(last)
            if found and (len(written) > 1 or not after):
                assert not answers, f"`{after}` ended without asking {answers[0][0]}:\n" + "\n".join(written)
                return int(found[1])
            if answers and re.search(answers[0][0], last):
                self._type(answers.pop(0)[1])
            if time.monotonic() > deadline:
                pytest.fail(
                    f"`{after}` did not end within {timeout:g} s; on the screen:\n" + "\n".join(written[-40:])
                )
            time.sleep(0.2)

    def _type(self, text: str) -> None:
        self._tmux("send-keys", "-l", "--", text)
        self._tmux("send-keys", "Enter")

    def _capture(self, *how: str) -> list[str]:
        lines = [line.rstrip() for line in self._tmux("capture-pane", "-p", "-S", "-", *how).split("\n")]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"tmux {words}: {done.stderr}"
        return done.stdout
