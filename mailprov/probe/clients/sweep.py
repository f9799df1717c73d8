"""Which of several TCP ports take a connection: all at once, and none of them for longer than it needs to say so.

    sweep(doors, deadline, patience) -> {(address, port): Door}

An open port is known at once, as the kernel answers for whatever listens there; so is one that is closed. Nothing is
heard where a firewall drops what comes: that is SILENT after `patience` seconds, which the caller takes from how soon
the address answers elsewhere; a first packet that was lost has been sent again after one second (RFC 6298 section 2).
Nothing is sent or read. Raises what Deadline does.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

from mailprov.probe.clients.connection import Deadline
from mailprov.probe.clients.ways import HERE, Way

_AT_ONCE = 32
RESENT = 1.5  # seconds after which a lost first packet was sent again


class Door(Enum):
    OPEN = "open"
    CLOSED = "closed"
    SILENT = "silent"


def sweep(
    doors: Collection[tuple[str, int]], deadline: Deadline, patience: float, way: Way = HERE
) -> dict[tuple[str, int], Door]:
    """Through another machine some at once, each for as long."""
    if way is not HERE and doors:
        deadline.left()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(doors, pool.map(lambda door: _through(way, door, patience), doors), strict=True))
    found: dict[tuple[str, int], Door] = {}
    sockets: list[socket.socket] = []
    end = time.monotonic() + patience
    with selectors.DefaultSelector() as selector:
        try:
            for door in doors:
                sock = socket.socket(socket.AF_INET6 if ":" in door[0] else socket.AF_INET)
                sockets.append(sock)
                sock.setblocking(False)
                state = sock.connect_ex(door)
                if state in (0, errno.EINPROGRESS):
                    selector.register(sock, selectors.EVENT_WRITE, door)
                else:
                    found[door] = Door.CLOSED
            while len(found) < len(doors) and (left := end - time.monotonic()) > 0:
                for key, __ in selector.select(min(left, deadline.left(), 0.25)):
                    state = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # type: ignore[union-attr]
                    found[key.data] = _heard(state)
                    selector.unregister(key.fileobj)
        finally:
            for sock in sockets:
                sock.close()
    return {door: found.get(door, Door.SILENT) for door in doors}


def _through(way: Way, door: tuple[str, int], patience: float) -> Door:
    try:
        way.connect(*door, patience)[0].close()
    except OSError as error:
        return Door.SILENT if isinstance(error, TimeoutError) else Door.CLOSED
    return Door.OPEN


def _heard(state: int) -> Door:
    """A router may say that nobody gets there (EHOSTUNREACH), which is no less of an answer than a refusal."""
    if state == 0:
        return Door.OPEN
    return Door.SILENT if state == errno.ETIMEDOUT else Door.CLOSED
