"""A TCP proxy that makes a near host far, and counts round trips.

    with DelayProxy("127.0.0.1", 22, one_way=0.025) as proxy:
        …connect to 127.0.0.1, proxy.port…
    proxy.round_trips, proxy.connections

Each direction is delayed by `one_way` seconds; bandwidth is not limited. Round trips are the longest chain of words
and answers, and one for the TCP handshake: what the client says after it heard an answer is one more than that answer,
and an answer counts as much as the most that the server had heard. So two answers to one question are one round trip,
however the moments at which they arrive lie around what the client says in between.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from types import TracebackType


class _Link:
    """One direction of one connection: bytes on their way, with the time at which they arrive."""

    def __init__(self, source: socket.socket, target: socket.socket, upward: bool) -> None:
        self.source, self.target, self.upward = source, target, upward
        self.flying: deque[tuple[float, int, bytes]] = deque()
        self.ended = False


class DelayProxy:
    """Listens on a free port of 127.0.0.1 and forwards to `host`:`port`; one thread for all connections."""

    def __init__(self, host: str, port: int, one_way: float) -> None:
        self._goal = (host, port)
        self._one_way = one_way
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.connections = 0
        self.round_trips = 0
        self._heard = {True: 0, False: 0}  # the longest chain at the server (True: upward), at the client
        self._selector = selectors.DefaultSelector()
        self._links: list[_Link] = []
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> DelayProxy:
        self._selector.register(self._server, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop = True
        self._thread.join(5)
        for link in self._links:
            link.source.close()
            link.target.close()
        self._server.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._stop:
            for key, _ in self._selector.select(self._pause()):
                if key.fileobj is self._server:
                    self._accept()
                else:
                    self._take(key.data)
            self._deliver()

    def _pause(self) -> float:
        due = [link.flying[0][0] for link in self._links if link.flying]
        return max(0.0, min([*due, time.monotonic() + 0.05]) - time.monotonic())

    def _accept(self) -> None:
        near, _ = self._server.accept()
        far = socket.create_connection(self._goal, 5)
        self.connections += 1
        self._heard[False] = self.round_trips = self.round_trips + 1  # SYN and its answer
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for link in (_Link(near, far, True), _Link(far, near, False)):
            self._links.append(link)
            self._selector.register(link.source, selectors.EVENT_READ, link)

    def _take(self, link: _Link) -> None:
        try:
            data = link.source.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(link.source)
        chain = self._heard[False] + 1 if link.upward else self._heard[True]
        if data and link.upward:
            self.round_trips = max(self.round_trips, chain)
        link.flying.append((time.monotonic() + self._one_way, chain, data))

    def _deliver(self) -> None:
        now = time.monotonic()
        for link in self._links:
            while link.flying and link.flying[0][0] <= now:
                _, chain, data = link.flying.popleft()
                if data:
                    self._heard[link.upward] = max(self._heard[link.upward], chain)
                with contextlib.suppress(OSError):
                    if data:
                        link.target.sendall(data)
                    else:
                        link.target.shutdown(socket.SHUT_WR)
