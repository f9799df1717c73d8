"""A child process as a Pipe: for the agent on this machine, and for the system's ssh program.

spawn(where, command, killable) -> ProcessPipe     raises HostUnreachable when it cannot be run
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Sequence

from mailprov.errors import HostUnreachable
from mailprov.i18n import _

_LINGER = 5.0  # seconds given to the process to leave after its stdin has ended
_SSH_FAILED = 255


def spawn(where: str, command: Sequence[str], *, killable: bool = False) -> ProcessPipe:
    """Run it with pipes for all three streams, away from this terminal's Ctrl-C and questions."""
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
            where,
            _("{program} cannot be run ({error})").format(program=command[0], error=error.strerror),
            _("Install it"),
        ) from error
    return ProcessPipe(process, killable=killable)


class ProcessPipe:
    """A Pipe over a child process. `killable`: it only carries the connection, and is ended when it stays."""

    def __init__(self, process: subprocess.Popen[bytes], *, killable: bool = False) -> None:
        self._process = process
        self._killable = killable
        self._stdin = process.stdin
        self._streams = (process.stdout, process.stderr)
        self._begun = False  # something came on stdout: there is a connection
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
                for key, _events in self._selector.select(max(0.0, deadline - time.monotonic())):
                    if key.fd == self._woken:
                        return None
                    data = os.read(key.fd, 1 << 20)
                    if not data:
                        self._selector.unregister(key.fileobj)
                    got[0 if key.fileobj is self._streams[0] else 1] = data
                    self._begun = self._begun or (bool(data) and key.fileobj is self._streams[0])
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
            status = self._process.wait(2)
        except subprocess.TimeoutExpired:
            return None
        # Once there was a connection, 255 is ssh's word for losing it.
        return None if self._killable and self._begun and status == _SSH_FAILED else status

    def close(self) -> None:
        # The end of stdin tells the agent that the controller is gone; it comes to a safe end by itself.
        os.write(self._wake, b"x")
        if self._killable and not self._begun:
            self._process.terminate()
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
        if self._killable and self._process.poll() is None:
            self._process.kill()
            self._process.wait(_LINGER)
