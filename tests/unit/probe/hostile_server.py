"""A server of ill will on a real socket: right until a step, and then whatever hurts.

    FAULTS                         word → what it does to the connection at that step
    hostile(protocol, step, fault, context)     serves one connection after the other; yields (address, port)

Steps are counted in answers; the greeting is the first. `context`: TLS from the first byte. It ends its connections
itself, and with it all its threads.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

from tests.unit.probe.fuzz.right_servers import ANSWERS, GREETINGS

_HALF_RECORD = b"\x17\x03\x03\x40\x00half of it"
_ALERT = b"\x15\x03\x03\x00\x02\x02\x50"
_EVIL = "\x1b]0;title\x07\x1b[2J\u202eRTL\x9b31m".encode()


def _hang(sock: socket.socket, stop: threading.Event) -> None:
    stop.wait()


def _close(sock: socket.socket, stop: threading.Event) -> None:
    """Nothing more."""


def _reset(sock: socket.socket, stop: threading.Event) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _says(octets: bytes) -> Callable[[socket.socket, threading.Event], None]:
    return lambda sock, stop: sock.sendall(octets)


def _drips(sock: socket.socket, stop: threading.Event) -> None:
    """One octet after the other, for ever: the time between two of them is no deadline."""
    while not stop.wait(0.02):
        sock.sendall(b"2")


def _streams(line: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """A gigabyte, as fast as it is taken."""

    def stream(sock: socket.socket, stop: threading.Event) -> None:
        chunk = line * (2**20 // len(line))
        for _number in range(1024):
            if stop.is_set():
                return
            sock.sendall(chunk)

    return stream


FAULTS = {
    "hangs": _hang,
    "closes": _close,
    "resets": _reset,
    "drips": _drips,
    "binary": _says(bytes(range(256)) * 4),
    "escapes": _says(_EVIL + b"\r\n"),
    "bare": _says(b"\r\r\r\n\n\n\r"),
    "half-a-record": _says(_HALF_RECORD),
    "alert": _says(_ALERT),
}
STREAMS = {
    "one line": _streams(b"x" * 1024),
    "smtp": _streams(b"220-ab\r\n"),
    "imap": _streams(b"* OK\r\n"),
    "imap literals": _streams(b"{1}\r\nx"),
    "imap announced": _streams(b"* OK {999999999}\r\n"),
    "pop3": _streams(b"+\r\n"),
    "sieve": _streams(b'"X"\r\n'),
    "line feeds": _streams(b"\n"),
}


@contextlib.contextmanager
def hostile(
    protocol: str,
    step: int,
    fault: Callable[[socket.socket, threading.Event], None],
    context: ssl.SSLContext | None = None,
) -> Iterator[tuple[str, int]]:
    stop = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def talk(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            talking = context.wrap_socket(sock, server_side=True) if context else sock
            answer, number = ANSWERS[protocol](), 0
            right = GREETINGS[protocol]
            while True:
                if number == step:
                    fault(talking, stop)
                    return
                talking.sendall(right)
                number += 1
                command = talking.recv(65536)
                if not command:
                    return
                right = answer(command)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                thread = threading.Thread(target=talk, args=(listening.accept()[0],), daemon=True)
                threads.append(thread)
                thread.start()

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    try:
        yield listening.getsockname()
    finally:
        stop.set()
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for thread in (serving, *threads):
            thread.join()
