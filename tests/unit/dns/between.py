"""What stands between mailprov and a name server, and loses, delays or makes up answers to updates.

Between(upstream, …)     passes questions on, each answer as it is; `struck`: what becomes of updates
listening(serve)         a TCP server that hands each connection to a function, in a thread
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.message
import dns.opcode
import dns.rcode
import dns.tsig

from tests.unit.dns.servers import SECRET


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                serve(connection)
            except OSError:
                pass

    def loop() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


class Between:
    """`struck`: how many updates are let through first, and what becomes of the next one:

    `lost`: it is done, and the connection closed. `dropped`: it is not, likewise; the next try, too. `refused`: it is
    not, which is said. `broken`: it is done, and the answer says that the server failed. `ignored`: it is not, and the
    answer says that it is; `late`: and it is done by catch_up().
    """

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.struck: tuple[int, str] | None = None
        self.updates = 0
        self.put_off: list[bytes] = []

    def __call__(self, connection: socket.socket) -> None:
        while wire := framed(connection):
            if dns.message.from_wire(wire, keyring=False).opcode() != dns.opcode.UPDATE:
                connection.sendall(self._passed_on(wire))
                continue
            self.updates += 1
            answer = self._update(wire, self._what())
            if not answer:
                return
            connection.sendall(answer)

    def catch_up(self) -> None:
        for wire in self.put_off:
            self._passed_on(wire)
        self.put_off.clear()

    def _what(self) -> str:
        if self.struck is None:
            return ""
        left, what = self.struck
        # Where the connection is closed at once, session.py sends it again: it must meet the same end.
        self.struck = (left - 1, what) if left else (0, what) if what == "dropped" else None
        return "" if left else what

    def _update(self, wire: bytes, what: str) -> bytes:
        if what in ("", "lost", "broken"):
            answer = self._passed_on(wire)
        if what in ("lost", "dropped"):
            return b""
        if what == "late":
            self.put_off.append(wire)
        codes = {
            "broken": dns.rcode.SERVFAIL,
            "refused": dns.rcode.REFUSED,
            "ignored": dns.rcode.NOERROR,
            "late": dns.rcode.NOERROR,
        }
        return self._signed(wire, codes[what]) if what in codes else answer

    @staticmethod
    def _signed(wire: bytes, code: dns.rcode.Rcode) -> bytes:
        key = dns.tsig.Key("mailprov", SECRET, "hmac-sha256")
        answer = dns.message.make_response(dns.message.from_wire(wire, keyring=key))
        answer.set_rcode(code)
        body = answer.to_wire()
        return len(body).to_bytes(2, "big") + body

    def _passed_on(self, wire: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.upstream)) as server:
            server.sendall(len(wire).to_bytes(2, "big") + wire)
            answer = framed(server)
            return len(answer).to_bytes(2, "big") + answer


def framed(connection: socket.socket) -> bytes:
    """One message (RFC 1035 section 4.2.2); nothing at the end."""
    head = connection.recv(2, socket.MSG_WAITALL)
    return connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL) if head else b""
