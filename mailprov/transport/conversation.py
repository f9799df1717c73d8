"""The agent's side of the wire, the same over ssh and in a subprocess.

    Pipe            what a transport must give: read both streams, write, close
    Conversation    a Channel (see `transport.channel`) over a Pipe

Streams are pulled by whoever iterates `messages`: no thread of its own, so none is left behind. stdout and
stderr are always drained together, so a talkative stderr cannot block the agent.

A host may be broken or hostile, so what it may send has limits: a line (LINE), all together (TOTAL), the parts of one
message (PARTS), and the time in which it says nothing but that it lives (IDLE) or talks at all (WHOLE). They are far
above what honest work needs, and waiting for a decision here is not counted: 10,000 accounts make a plan of 3 MB; the
longest step of an agent without a word is apt-get on a slow host, which itself gives up after an hour.

Raises HostFailed: from `messages`, and from `await_ready` and `drain` only for too much.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from mailprov.errors import HostFailed
from mailprov.i18n import _
from mailprov.wire.bundle import READY
from mailprov.wire.messages import MAGIC, decode_line, encode_control

SILENCE = 60.0  # seconds without a byte after which the host is lost; the agent's beat comes every 5 s
IDLE = (
    2 * 3600.0
)  # seconds with nothing but beats and noise; waiting for a lock that is asked for comes on top
WHOLE = 24 * 3600.0  # seconds of listening in one conversation

LINE = 32 * 2**20  # octets
TOTAL = 128 * 2**20  # octets of both streams in one conversation, noise included
# Commas, colons and brackets of one message. An empty list takes two octets on the wire and 64 here.
PARTS = 2_000_000

_SHORT_LINE = 65_536  # octets kept of a line on stderr, which is noise
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
    """A running agent. `hidden` are secrets that must not show up in noise, whatever echoes them. `patience`: seconds
    that the agent was told to wait for others, beyond its own work.
    """

    def __init__(
        self, where: str, pipe: Pipe, tag: str, hidden: tuple[str, ...] = (), patience: float = 0.0
    ) -> None:
        self._where = where
        self._pipe = pipe
        self._tag = tag
        self._hidden = tuple(secret for secret in hidden if secret)
        self._out = bytearray()
        self._err = bytearray()
        self._noise: deque[bytes] = deque(maxlen=_NOISE_LINES)
        self._arrived: deque[dict[str, Any]] = deque()
        self._mark = ""
        self._idle = IDLE + patience
        self._heard = 0  # octets
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
        idle = listened = 0.0
        while True:
            began = time.monotonic()
            deadline = began + SILENCE
            while not self._arrived:
                now = time.monotonic()
                left = deadline - now
                if idle + now - began > self._idle or listened + now - began > WHOLE:
                    break
                if self._over or self._closed:
                    raise self._lost()
                if left <= 0:
                    raise HostFailed(
                        self._where,
                        _("nothing was heard from the host for {seconds:.0f} s").format(seconds=SILENCE),
                        _("Run the same command again: it first finds out how far the host got"),
                    )
                if self._pull(left):
                    deadline = time.monotonic() + SILENCE
            waited = time.monotonic() - began
            idle, listened = idle + waited, listened + waited
            self._check_time(idle, listened)
            message = self._arrived.popleft()
            if message["t"] != "beat":
                idle = 0.0
            yield message
            if message["t"] == "end":
                return

    def _check_time(self, idle: float, listened: float) -> None:
        advice = _("Look at what runs on the host; the same command again first finds out how far it got")
        if idle > self._idle:
            what = _("the agent still runs, but has sent nothing else for {hours:.1f} hours").format(
                hours=self._idle / 3600
            )
            raise HostFailed(self._where, what, advice)
        if listened > WHOLE:
            raise HostFailed(
                self._where,
                _("the agent did not end within {hours:.0f} hours").format(hours=WHOLE / 3600),
                advice,
            )

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
        return tuple(map(self._shown, self._noise))

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
        self._heard += len(data[0]) + len(data[1])
        if self._heard > TOTAL:
            raise self._too_much(_("more than {size} MiB").format(size=TOTAL >> 20))
        for stream, more in ((self._out, data[0]), (self._err, data[1])):
            # A line may be megabytes long and come in pieces: look for its end only in the new piece.
            start = 0
            while (end := more.find(b"\n", start)) >= 0:
                stream.extend(more[start:end])
                self._line(bytes(stream), stream is self._out)
                stream.clear()
                start = end + 1
            stream.extend(more[start:])
            if len(stream) > LINE:
                raise self._too_much(_("a line of more than {size} MiB").format(size=LINE >> 20))
            if stream is self._err:
                del stream[_SHORT_LINE:]
        return bool(data[0] or data[1])

    def _too_much(self, what: str) -> HostFailed:
        for stream in (self._out, self._err):
            stream.clear()
        self._arrived.clear()
        return HostFailed(
            self._where,
            _("it sent {what}; no run of mailprov sends that much, so the connection was closed").format(
                what=what
            ),
            _(
                "Look at that host: a program on it prints without end, or another machine answers in its place"
            ),
        )

    def _line(self, line: bytes, from_stdout: bool) -> None:
        if from_stdout:
            if len(line) > PARTS and sum(map(line.count, (b",", b":", b"[", b"{"))) > PARTS:
                raise self._too_much(_("a message of more than {count} parts").format(count=PARTS))
            message = decode_line(line, self._tag)
            if message is not None:
                self._arrived.append(message)
                return
            mark = _MARK.search(line) if MAGIC in line else None
            if mark is not None:
                self._heed(mark.group(1).decode())
                line = line[: mark.start()]
        # There may be millions of such lines, of which a few are ever shown.
        if line and not line.isspace():
            self._noise.append(line[:_SHORT_LINE])

    def _shown(self, line: bytes) -> str:
        """A line of noise as it may be shown, without secrets and not too long."""
        text = line.decode("utf-8", "replace").strip()
        for secret in self._hidden:
            text = text.replace(secret, "***")
        return text[:_NOISE_WIDTH]

    def _heed(self, word: str) -> None:
        if word.startswith("ended"):
            # The shell around sudo stays until stdin ends; what ran under sudo is over now.
            self._over = True
        if not self._mark:
            self._mark = word

    def _lost(self) -> HostFailed:
        again = _("Run the same command again: it first finds out how far the host got")
        if self._closed:
            return HostFailed(self._where, _("the connection was closed before the host was done"), again)
        status = self.exit_status()
        last = f" ({self._shown(self._noise[-1])})" if self._noise else ""
        if status is None:
            return HostFailed(
                self._where,
                _("the connection was lost before the host was done{last}").format(last=last),
                again,
            )
        return HostFailed(
            self._where,
            _("the agent stopped before it was done, exit status {status}{last}").format(
                status=status, last=last
            ),
            again,
        )


def is_ready(word: str) -> bool:
    """Is this the word of `await_ready` for a running agent?"""
    return word == _READY
