"""Servers that hypothesis makes up, given to a client without a socket.

    Feed(protocol, plan, end)   a Connection to a right server that departs from what is right as planned; then an end
    plans()                     a strategy: which answers are replaced, torn or altered, and how
    sound(connection)           raises AssertionError where its transcript holds a control character or a password
    examples(share)             the settings of hypothesis: how many, and the same each time unless it is the long form
    COUNTS                      how many ran, by protocol

`MAILPROV_FUZZ=100000` is the long form: so many examples in all tests together.
"""

from __future__ import annotations

import os
import re
import ssl
import threading
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mailprov.probe.clients.connection import Connection, Deadline, Peer, Transcript
from tests.unit.probe.fuzz.right_servers import ANSWERS, GREETINGS

PASSWORD = "s3cret-pass-w0rd"
ENDS = ("closed", "silent", "reset")
COUNTS: Counter[str] = Counter()
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
_IN_ALL = int(os.environ.get("MAILPROV_FUZZ", "0"))
_SHORT = 2000

Departure = tuple[str, int, bytes]  # what is done, where, with which octets
Plan = dict[int, Departure]  # of the answer of that number; the greeting is the first


def examples(share: float) -> settings:
    """`share`: of all examples."""
    return settings(
        max_examples=max(10, int((_IN_ALL or _SHORT) * share)),
        derandomize=not _IN_ALL,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


# What servers, or those on the way, have been seen to say, and what parsers have been seen to break on.
_ODD = (
    b"9" * 5000, b"-1", b"{99999999999}\r\n", b"{0}\r\n", b"{3}\r\n\0\r\n", b"{5}\r\n", b"\0", b"\x1b]0;x\x07",
    b"\xe2\x80\xae",
    b"\xff\xfe", "\u0661\u0662\u0663".encode(), "\u00b2".encode(), b"x" * 70000, b"\r", b"\n", b"\r\n", b" ",
    b"\r\n\r\n",
    PASSWORD.encode(), b"AHVzZXIAczNjcmV0LXBhc3MtdzByZA==", b"(" * 300, b'"' * 31, b"\\" * 31, b"* BYE\r\n",
    b"421 bye\r\n",
    b"-ERR [SYS/TEMP] x\r\n", b'NO (TRYLATER) "x"\r\n', b"* 5 EXISTS\r\n", b"+ \r\n", b"+\r\n", b"334 \r\n",
    b"535 no\r\n",
    b"1 \r\n", b"* SEARCH " + b"9" * 5000 + b"\r\n", "* SEARCH \u00b2\r\n".encode(), b"9" * 5000 + b" x\r\n",
    b'* LIST () "/" {3}\r\na\r\n\r\n', b"HTTP/1.1 999 \xff\r\n", b"\x15\x03\x03\0\2\1\x70", b"\x16\x03\x03\0\1\2",
)  # fmt: skip
_DOINGS = ("insert", "replace", "cut", "flip", "double", "instead")


def plans() -> st.SearchStrategy[Plan]:
    octets = st.one_of(st.sampled_from(_ODD), st.binary(max_size=30))
    one = st.tuples(st.sampled_from(_DOINGS), st.integers(0, 400), octets)
    return st.dictionaries(st.integers(0, 14), one, max_size=4)


def departed(right: bytes, departure: Departure | None) -> bytes:
    if departure is None:
        return right
    doing, at, octets = departure
    at %= len(right) + 1
    if doing == "insert":
        return right[:at] + octets + right[at:]
    if doing == "replace":
        return right[:at] + octets + right[at + len(octets) :]
    if doing == "cut":
        return right[:at]
    if doing == "flip":
        return right[:at] + bytes(each ^ 0x20 for each in right[at : at + 1]) + right[at + 1 :]
    if doing == "double":
        return right[:at] + right
    return octets


class _Socket:
    """As much of a socket as Connection uses; it waits for nobody."""

    def __init__(self, protocol: str, plan: Plan, end: str, stop: threading.Event) -> None:
        self._answer, self._plan, self._end, self._stop = ANSWERS[protocol](), plan, end, stop
        self._number = 0
        self._waiting = self._next(GREETINGS[protocol])

    def _next(self, right: bytes) -> bytes:
        departure = self._plan.get(self._number)
        self._number += 1
        return departed(right, departure)

    def recv(self, most: int) -> bytes:
        most = min(most, 900)  # in pieces, as a network has it
        if self._waiting:
            chunk, self._waiting = self._waiting[:most], self._waiting[most:]
            return chunk
        if self._end == "reset":
            raise ConnectionResetError
        if self._end == "silent":
            self._stop.set()  # the deadline is over: what waits ends at once
            raise TimeoutError
        return b""

    def send(self, data: bytes) -> int:
        self._waiting += self._next(self._answer(bytes(data)))
        return len(data)

    def settimeout(self, seconds: float | None) -> None:
        pass

    def getsockname(self) -> tuple[str, int]:
        return "192.0.2.9", 1

    def close(self) -> None:
        pass


class Feed(Connection):
    def __init__(self, protocol: str, plan: Plan, end: str = "closed") -> None:
        stop = threading.Event()
        self._secure = protocol == "https"
        made = _Socket(protocol, plan, end, stop)
        super().__init__(made, Deadline(3600, stop), Transcript(), Peer())  # type: ignore[arg-type]
        self.transcript.hide(PASSWORD)

    @property
    def encrypted(self) -> bool:
        return self._secure

    def surplus(self) -> bytes:
        return bytes(self._buffer)

    def start_tls(self, tls_context: ssl.SSLContext, name: str | None) -> None:
        self._secure = True


def sound(connection: Connection) -> None:
    for line in connection.transcript.lines:
        assert not _CONTROL.search(line), line
        assert PASSWORD not in line, line
