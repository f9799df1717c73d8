"""The agent on this machine, in a subprocess: for tests, and for a host that is the controller itself.

    start(job, python=sys.executable, sudo=False) -> Conversation (a Channel)

Raises HostUnreachable when it does not start.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import threading
import time
from typing import Any

from mailprov.errors import HostUnreachable
from mailprov.transport.conversation import SILENCE, Conversation, is_ready
from mailprov.wire.bundle import loader, start_payload

_NAME = "localhost"
_LINGER = 5.0  # seconds given to the agent to leave after its stdin has ended


def start(job: dict[str, Any], *, python: str = sys.executable, sudo: bool = False) -> Conversation:
    """Run the agent with this machine's `python`; `sudo`: as root by `sudo -n`, without a password."""
    command = [*(["sudo", "-n", "--"] if sudo else []), python, "-I", "-u", "-c", loader()]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the terminal is the controller's to pass on, as `cancel`
        )
    except OSError as error:
        raise HostUnreachable(
            _NAME, f"{command[0]} cannot be run ({error.strerror})", "Install it"
        ) from error
    conversation = Conversation(_NAME, _ProcessPipe(process), job["tag"])
    try:
        conversation.write(start_payload(job))
        if not is_ready(conversation.await_ready(SILENCE)):
            conversation.drain(1.0)
            said = (
                conversation.noise()[-1] if conversation.noise() else f"status {conversation.exit_status()}"
            )
            raise HostUnreachable(
                _NAME, f"the agent could not be started ({said})", "Try `sudo -n true`" * sudo
            )
    except BaseException:
        conversation.close()
        raise
    return conversation


class _ProcessPipe:
    """A Pipe over a child process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._stdin = process.stdin
        self._streams = (process.stdout, process.stderr)
        self._reading = threading.Lock()
        self._woken, self._wake = os.pipe()
        self._selector = selectors.DefaultSelector()
        for stream in (*self._streams, self._woken):
            self._selector.register(stream, selectors.EVENT_READ)  # type: ignore[arg-type]

    def read(self, timeout: float) -> tuple[bytes, bytes] | None:
        deadline = time.monotonic() + timeout
        with self._reading:
            while len(self._selector.get_map() or ()) > 1:  # one is left: the waking pipe
                got = [b"", b""]
                for key, _ in self._selector.select(max(0.0, deadline - time.monotonic())):
                    if key.fd == self._woken:
                        return None
                    data = os.read(key.fd, 1 << 20)
                    if not data:
                        self._selector.unregister(key.fileobj)
                    got[0 if key.fileobj is self._streams[0] else 1] = data
                if any(got) or time.monotonic() >= deadline:
                    return got[0], got[1]
            return None

    def write(self, data: bytes) -> None:
        assert self._stdin is not None
        try:
            self._stdin.write(data)
            self._stdin.flush()
        except ValueError as error:  # closed in the meantime
            raise BrokenPipeError from error

    def exit_status(self) -> int | None:
        try:
            return self._process.wait(2)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        # The end of stdin tells the agent that the controller is gone; it comes to a safe end by itself.
        os.write(self._wake, b"x")
        with self._reading:
            self._selector.close()
            for stream in (self._stdin, *self._streams):
                with contextlib.suppress(OSError):
                    if stream is not None:
                        stream.close()
            os.close(self._wake)
            os.close(self._woken)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LINGER)
