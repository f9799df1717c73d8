"""Connections that a relay carries (run/relay.py), each an end of a socket pair here.

    Pairs(send)                 `send`: a message to the host
    .open(number) -> socket     the client's end; nothing is read of it before `.go`
    .leave(number)              it came to nothing
    .hear(message)              data, ended, taken: what the host says of one. Raises TooMuch
    .finish()                   all are over; what has come already can still be read
    .pump()                     the thread that moves octets, until after `finish`

Not more than WINDOW octets are on their way in one direction of a connection: the host and this program tell each other
what they have taken. Raises nothing else.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

WINDOW = 256 * 1024  # as agent/relay.py has it
_PIECE = 32 * 1024


class TooMuch(ValueError):
    """The host sends more than it may."""


def octets(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


class _Link:
    """`sock` is the pump's end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.inward: deque[bytes] = deque()  # from the host, not yet in the pair
        self.pending = 0  # octets of that
        self.credit = WINDOW  # octets that the host still takes
        self.over = False  # the other side has ended
        self.left = False  # the client has


class Pairs:
    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._links: dict[int, _Link] = {}
        self._over = False
        self._pumped = False  # for the last time
        self._selector = selectors.DefaultSelector()
        self._bell, self._rings = socket.socketpair()
        for sock in (self._bell, self._rings):
            sock.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ, None)

    def open(self, number: int) -> socket.socket:
        mine, theirs = socket.socketpair()
        theirs.setblocking(False)
        with self._lock:
            link = self._links[number] = _Link(theirs)
            link.over = self._over
        return mine

    def leave(self, number: int) -> None:
        """Only the pump touches its selector."""
        with self._lock:
            if (link := self._links.get(number)) is not None:
                link.left = True
                if self._pumped:
                    link.sock.close()
        self._ring()

    def hear(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            link = self._links.get(message["id"])
            if link is None:
                return
            if message["t"] == "taken":
                link.credit = min(WINDOW, link.credit + message["octets"])
            elif message["t"] == "ended":
                link.over = True
            else:
                data = octets(message["data"])
                link.pending += len(data)
                link.inward.append(data)
            if link.pending > WINDOW:
                raise TooMuch
        self._ring()

    def finish(self) -> None:
        with self._lock:
            self._over = True
            for link in self._links.values():
                link.over = True
        self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            self._rings.send(b".")

    def pump(self) -> None:
        while self._watch() or not self._over:
            for key, events in self._selector.select(1.0):
                if key.data is None:
                    with contextlib.suppress(OSError):
                        self._bell.recv(65536)
                else:
                    self._move(key.data, events)
        with self._lock:
            self._pumped = True
            for link in self._links.values():
                link.sock.close()
            self._links.clear()
        for closing in (self._selector, self._bell, self._rings):
            closing.close()

    def _watch(self) -> bool:
        """What is to be looked for at each pair; whether any still has something for its client."""
        with self._lock:
            links = list(self._links.items())
        for number, link in links:
            if link.left or (link.over and not link.inward):
                self._drop(number, link)
                continue
            reads = selectors.EVENT_READ if link.credit > 0 and not link.over else 0
            events = reads | (selectors.EVENT_WRITE if link.inward else 0)
            known = self._selector.get_map().get(link.sock.fileno())
            if known is None and events:
                self._selector.register(link.sock, events, number)
            elif known is not None and not events:
                self._selector.unregister(link.sock)
            elif known is not None and known.events != events:
                self._selector.modify(link.sock, events, number)
        return any(link.inward and not link.left for __, link in links)

    def _drop(self, number: int, link: _Link) -> None:
        with self._lock:
            self._links.pop(number, None)
        if link.sock.fileno() in self._selector.get_map():
            self._selector.unregister(link.sock)
        link.sock.close()

    def _move(self, number: int, events: int) -> None:
        with self._lock:
            link = self._links.get(number)
        if link is None:
            return
        try:
            if events & selectors.EVENT_WRITE:
                self._inward(number, link)
            if events & selectors.EVENT_READ:
                data = link.sock.recv(min(_PIECE, link.credit))
                if not data:
                    raise ConnectionResetError
                with self._lock:
                    link.credit -= len(data)
                self._send({"t": "data", "id": number, "data": base64.b64encode(data).decode("ascii")})
        except BlockingIOError:
            pass
        except OSError:  # the client has closed it
            self._send({"t": "close", "id": number})
            self._drop(number, link)

    def _inward(self, number: int, link: _Link) -> None:
        with self._lock:
            data = link.inward[0] if link.inward else b""
        if not data:
            return
        sent = link.sock.send(data)
        with self._lock:
            link.inward.popleft()
            if sent < len(data):
                link.inward.appendleft(data[sent:])
            link.pending -= sent
        self._send({"t": "taken", "id": number, "octets": sent})
