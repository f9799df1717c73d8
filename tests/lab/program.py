"""mailprov as a user runs it, for tests: a process, its exit code, its events, what it said on stderr."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

COMMAND = (sys.executable, "-m", "mailprov")
# The same some hours later, as far as it compares hours in zones with its own. TLS and TSIG go by the real clock, which
# the servers share.
_LATER = """\
import datetime, sys
from mailprov.run import configurations, leaving
later = datetime.timedelta(hours=float(sys.argv.pop(1)))
for module in (configurations, leaving):
    module._now = lambda now=module._now: now() + later
from mailprov.__main__ import main
main()
"""


@dataclass
class Result:
    code: int
    events: list[dict[str, Any]] = field(repr=False)
    stderr: str

    def of(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """The events of this kind whose fields have these values."""
        return [
            event
            for event in self.events
            if event["event"] == kind and all(event.get(key) == value for key, value in fields.items())
        ]

    def ended(self, subject: str) -> dict[str, Any]:
        """How this host or zone ended."""
        return self.of("ended", subject=subject)[-1]

    def changes(self, subject: str) -> list[tuple[str, str, str]]:
        """(action, kind, name) of what was planned for this subject."""
        return [
            (change["action"], change["kind"], change["name"])
            for planned in self.of("planned", subject=subject)
            for change in planned["changes"]
        ]


def run(
    *words: str, env: dict[str, str] | None = None, timeout: float = 900, hours_later: float = 0
) -> Result:
    """`mailprov WORDS --json`, to its end. No traceback may ever show."""
    command = (sys.executable, "-c", _LATER, str(hours_later)) if hours_later else COMMAND
    done = subprocess.run(
        [*command, *words, "--json"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return _result(done.returncode, done.stdout, done.stderr)


def interrupt_when(condition: Callable[[dict[str, Any]], bool], *words: str, timeout: float = 900) -> Result:
    """Run it, and press Ctrl-C as soon as an event meets `condition`."""
    return act_when(condition, lambda process: process.send_signal(signal.SIGINT), *words, timeout=timeout)


def act_when(
    condition: Callable[[dict[str, Any]], bool],
    action: Callable[[subprocess.Popen[str]], None],
    *words: str,
    timeout: float = 900,
) -> Result:
    """Run it, and do something once, as soon as an event meets `condition`."""
    process = subprocess.Popen(
        [*COMMAND, *words, "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    acted = False
    for line in process.stdout:
        lines.append(line)
        if not acted and condition(json.loads(line)):
            acted = True
            action(process)
    code = process.wait(timeout=timeout)
    assert process.stderr is not None
    assert acted, f"the event that was waited for never came; the last were {lines[-3:]}"
    return _result(code, "".join(lines), process.stderr.read())


def _result(code: int, stdout: str, stderr: str) -> Result:
    assert "Traceback" not in stderr + stdout, stderr + stdout
    # Of ours: an alert of TLS has these words as well.
    assert not re.search(r"internal error in (mailprov|the agent)", stderr + stdout), stderr + stdout
    return Result(code, [json.loads(line) for line in stdout.splitlines()], stderr)
