"""A TCP connection to a host, by whichever of its addresses answers first.

    open_socket(where, address, port, timeout, cancel) -> socket.socket

Raises HostUnreachable: the name does not resolve, refused, no answer, no route, interrupted.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from itertools import chain, zip_longest
from typing import Any

from mailprov.errors import HostUnreachable
from mailprov.i18n import _
from mailprov.transport.cancellation import TICK, CancelToken

# RFC 8305 section 8: time before the next address is tried beside the one that has not answered yet.
_ATTEMPT_DELAY = 0.25
# Unacknowledged data this old means that the peer is gone (tcp(7) TCP_USER_TIMEOUT, milliseconds).
_USER_TIMEOUT_MS = 60_000

_Address = tuple[socket.AddressFamily, tuple[Any, ...]]


def open_socket(
    where: str, address: str, port: int, timeout: float, cancel: CancelToken | None = None
) -> socket.socket:
    """Connect within `timeout` seconds. `where` is the host's name in errors. The socket blocks."""
    cancel = cancel or CancelToken()
    winner, failures = _race(_resolve(where, address, port, cancel), timeout, cancel)
    if winner is None:
        cancel.check(where)
        raise _refusal(where, address, port, timeout, failures)
    winner.setblocking(True)
    # Without it each small SSH packet waits for the ACK of the one before (Nagle): 40 ms per exchange.
    winner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    winner.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 15), ("TCP_USER_TIMEOUT", _USER_TIMEOUT_MS)):
        if hasattr(socket, name):  # Linux has all three, macOS not
            winner.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return winner


def _resolve(where: str, address: str, port: int, cancel: CancelToken) -> list[_Address]:
    """All addresses, families alternating, the resolver's preference first."""
    try:
        try:
            # A literal needs no name service, and no thread to wait for one.
            found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            found = cancel.waiting_for(
                where, lambda: socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
            )
    except (socket.gaierror, UnicodeError) as error:
        raise HostUnreachable(
            where,
            _("the name {address} does not resolve").format(address=address),
            _("Check `address`, or the name service of this machine"),
        ) from error
    first: list[_Address] = [(item[0], item[4]) for item in found if item[0] == found[0][0]]
    other: list[_Address] = [(item[0], item[4]) for item in found if item[0] != found[0][0]]
    pairs = chain.from_iterable(zip_longest(first, other))
    return [pair for pair in pairs if pair is not None]


def _race(
    addresses: list[_Address], timeout: float, cancel: CancelToken
) -> tuple[socket.socket | None, list[OSError]]:
    """Start attempts in turn, the next as soon as one fails or is slow; the first to connect wins."""
    deadline = time.monotonic() + timeout
    failures: list[OSError] = []
    waiting = list(addresses)
    with selectors.DefaultSelector() as selector:
        running: set[socket.socket] = set()
        winner = None
        try:
            due = 0.0  # when the next address has its turn
            while winner is None and (waiting or running) and time.monotonic() < deadline:
                if cancel.is_set():
                    break
                if waiting and time.monotonic() >= due:
                    due = time.monotonic() + _ATTEMPT_DELAY
                    try:
                        attempt = _begin(*waiting.pop(0))
                    except OSError as error:
                        failures.append(error)
                        due = 0.0
                        continue
                    running.add(attempt)
                    selector.register(attempt, selectors.EVENT_WRITE)
                pause = max(0.0, deadline - time.monotonic())
                for key, _events in selector.select(min(pause, TICK)):
                    done = key.fileobj
                    assert isinstance(done, socket.socket)
                    selector.unregister(done)
                    code = done.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0 and winner is None:
                        winner = done
                    elif code:
                        failures.append(OSError(code, ""))
                        due = 0.0
                        running.discard(done)
                        done.close()
        finally:
            for attempt in running - {winner}:
                attempt.close()
    return winner, failures


def _begin(family: socket.AddressFamily, place: tuple[Any, ...]) -> socket.socket:
    attempt = socket.socket(family, socket.SOCK_STREAM)
    attempt.setblocking(False)
    code = attempt.connect_ex(place)
    if code not in (0, errno.EINPROGRESS):
        attempt.close()
        raise OSError(code, "")
    return attempt


def _refusal(where: str, address: str, port: int, timeout: float, failures: list[OSError]) -> HostUnreachable:
    codes = {failure.errno for failure in failures}
    at = f"{address} port {port}"
    if errno.ECONNREFUSED in codes:
        return HostUnreachable(
            where,
            _("{at} refused the connection").format(at=at),
            _("Check `ssh.port`, and that sshd runs on the host"),
        )
    if codes & {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL}:
        return HostUnreachable(
            where,
            _("there is no route to {at}").format(at=at),
            _("Check that the host is up, `address`, and the network between"),
        )
    return HostUnreachable(
        where,
        _("{at} did not answer within {seconds:g} s").format(at=at, seconds=timeout),
        _("Check that the host is up, `address`, and firewalls between"),
    )
