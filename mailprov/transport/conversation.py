"""The agent's side of the wire, the same over ssh and in a subprocess.

    Pipe            what a transport must give: read both streams, write, close
    Conversation    a Channel (see `transport.channel`) over a Pipe

Streams are pulled by whoever iterates `messages`: no thread of its own, so none is left behind. stdout and
stderr are always drained together, so a talkative stderr cannot block the agent.

Raises HostFailed, from `messages` only.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from mailprov.errors import HostFailed
from mailprov.wire.bundle import READY
from mailprov.wire.messages import MAGIC, decode_line, encode_control

SILENCE = 60.0  # seconds without a byte after which the host is lost; the agent's beat comes every 5 s

_NOISE_LINES = 50
_NOISE_WIDTH = 400

# What start scripts say (see `transport.sudo`), and the loader's READY. Noise may stand before it on the
# line.
_MARK = re.compile(
    re.escape(MAGIC) + rb" (ready|no-python|no-apt|not-installed|no-sudo|sudo-denied|ended \d+)\s*$"
)
_READY = READY.removeprefix(MAGIC).strip().decode()


class Pipe(Protocol):
    def read(self, timeout: float) -> tuple[bytes, bytes] | None:
        """What came on stdout and stderr; both empty after `timeout` seconds; None at the end of both."""

    def write(self, data: bytes) -> None:
        """All of it. Raises OSError when the other side is gone."""

    def exit_status(self) -> int | None:
        """The remote command's, or None when it never came: the connection was lost."""

    def close(self) -> None:
        """Let go of everything. Called once."""


class Conversation:
    """A running agent. `hidden` are secrets that must not show up in noise, whatever echoes them."""

    def __init__(self, where: str, pipe: Pipe, tag: str, hidden: tuple[str, ...] = ()) -> None:
        self._where = where
        self._pipe = pipe
        self._tag = tag
        self._hidden = tuple(secret for secret in hidden if secret)
        self._out = bytearray()
        self._err = bytearray()
        self._noise: deque[str] = deque(maxlen=_NOISE_LINES)
        self._arrived: deque[dict[str, Any]] = deque()
        self._mark = ""
        self._over = False  # the stream has come to its end
        self._closed = False
        self._sending = threading.Lock()
        self._closing = threading.Lock()

    def await_ready(self, timeout: float) -> str:
        """Read until Python runs on the other side, and say how that went.

        "ready"; or a start script's word ("no-python", "no-sudo", "sudo-denied", "ended N", …); "over" when the
        stream ended without a word; "silent" after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self._mark and not self._over:
            left = deadline - time.monotonic()
            if left <= 0:
                return "silent"
            self._pull(left)
        return self._mark or "over"

    def drain(self, timeout: float) -> None:
        """After a start that failed: take in what is still on its way, such as the reason on stderr."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self._pull(max(0.0, deadline - time.monotonic())):
            pass

    def messages(self) -> Iterator[dict[str, Any]]:
        """See Channel. A message may be `beat`; after `end` the iteration ends."""
        while True:
            deadline = time.monotonic() + SILENCE
            while not self._arrived:
                left = deadline - time.monotonic()
                if self._over or self._closed:
                    raise self._lost()
                if left <= 0:
                    raise HostFailed(
                        self._where,
                        f"nothing was heard from the host for {SILENCE:.0f} s",
                        "Run the same command again: it first finds out how far the host got",
                    )
                if self._pull(left):
                    deadline = time.monotonic() + SILENCE
            message = self._arrived.popleft()
            yield message
            if message["t"] == "end":
                return

    def send(self, message: dict[str, Any]) -> None:
        """See Channel."""
        self.write(encode_control(message))

    def write(self, data: bytes) -> None:
        """Raw bytes to the other side, whole and in order. A lost connection is not raised here."""
        with self._sending:
            try:
                self._pipe.write(data)
            except OSError:
                pass

    def noise(self) -> tuple[str, ...]:
        """See Channel."""
        return tuple(self._noise)

    def exit_status(self) -> int | None:
        """The remote command's exit status once the stream is over; None when the connection was lost."""
        return self._pipe.exit_status()

    def close(self) -> None:
        """See Channel."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._pipe.close()

    def _pull(self, timeout: float) -> bool:
        """Read once; True when something came."""
        data = self._pipe.read(timeout)
        if data is None:
            self._over = True
            for stream in (self._out, self._err):
                self._line(bytes(stream), stream is self._out)
                stream.clear()
            return False
        for stream, more in ((self._out, data[0]), (self._err, data[1])):
            stream.extend(more)
            # A line may be megabytes long and come in pieces: look for its end only in the new piece.
            if b"\n" in more:
                *lines, rest = bytes(stream).split(b"\n")
                stream[:] = rest
                for line in lines:
                    self._line(line, stream is self._out)
        return bool(data[0] or data[1])

    def _line(self, line: bytes, from_stdout: bool) -> None:
        if from_stdout:
            message = decode_line(line, self._tag)
            if message is not None:
                self._arrived.append(message)
                return
            mark = _MARK.search(line)
            if mark is not None:
                self._heed(mark.group(1).decode())
                line = line[: mark.start()]
        text = line.decode("utf-8", "replace").strip()
        for secret in self._hidden:
            text = text.replace(secret, "***")
        if text:
            self._noise.append(text[:_NOISE_WIDTH])

    def _heed(self, word: str) -> None:
        if word.startswith("ended"):
            # The shell around sudo stays until stdin ends; what ran under sudo is over now.
            self._over = True
        if not self._mark:
            self._mark = word

    def _lost(self) -> HostFailed:
        again = "Run the same command again: it first finds out how far the host got"
        if self._closed:
            return HostFailed(self._where, "the connection was closed before the host was done", again)
        status = self.exit_status()
        last = f" ({self._noise[-1]})" if self._noise else ""
        if status is None:
            return HostFailed(self._where, f"the connection was lost before the host was done{last}", again)
        return HostFailed(
            self._where, f"the agent stopped before it was done, exit status {status}{last}", again
        )


def is_ready(word: str) -> bool:
    """Is this the word of `await_ready` for a running agent?"""
    return word == _READY
