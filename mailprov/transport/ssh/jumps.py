"""Connections through jump hosts: one per jump host, shared by all that is behind it.

    Jumps(connect)               `connect(endpoint, dial) -> paramiko.Transport`: host key checked, logged in
      .dial(endpoint) -> Socket  TCP, or a direct-tcpip channel of the last jump host
      .close()

A jump host is connected when the first host needs it, and each is checked under its own name. At most 10 channels are
being opened by one jump host at a time: it has to connect for each. Raises HostUnreachable that says which hop it was.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import paramiko

from mailprov.errors import HostUnreachable
from mailprov.i18n import _
from mailprov.transport.cancellation import CancelToken
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.ssh.handshake import Socket, end
from mailprov.transport.ssh.hostkeys import Dial
from mailprov.transport.tcp import open_socket

_AT_ONCE = 10
_KEEPALIVE = 15
# RFC 4254 section 5.1
_PROHIBITED, _CONNECT_FAILED = 1, 2

Connect = Callable[[Endpoint, Dial], paramiko.Transport]


class _Hop:
    """One jump host; `lock` while it is being connected."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.transport: paramiko.Transport | None = None
        self.failure: HostUnreachable | None = None
        self.opening = threading.Semaphore(_AT_ONCE)


class Jumps:
    def __init__(self, connect: Connect, timeout: float, cancel: CancelToken) -> None:
        self._connect = connect
        self._timeout = timeout
        self._cancel = cancel
        self._connections: dict[tuple[Endpoint, ...], _Hop] = {}
        self._lock = threading.Lock()

    def dial(self, endpoint: Endpoint) -> Socket:
        """The way to it, opened."""
        if not endpoint.jumps:
            return open_socket(endpoint.name, endpoint.address, endpoint.port, self._timeout, self._cancel)
        hop = self._hop(endpoint, endpoint.jumps)
        return self._channel(endpoint, hop, endpoint.jumps[-1])

    def close(self) -> None:
        """End all connections to jump hosts; the farthest first."""
        for hops in sorted(self._connections, key=len, reverse=True):
            transport = self._connections[hops].transport
            if transport is not None:
                with contextlib.suppress(OSError):
                    end(transport)

    def _hop(self, behind: Endpoint, hops: tuple[Endpoint, ...]) -> _Hop:
        """The last of `hops`, connected. One failure is told to every host behind it, without trying again."""
        with self._lock:
            hop = self._connections.setdefault(hops, _Hop())
        with hop.lock:
            if hop.failure is None and hop.transport is None:
                try:
                    hop.transport = self._connect(hops[-1], lambda each: self._dial_hop(behind, hops, each))
                    hop.transport.set_keepalive(_KEEPALIVE)
                except HostUnreachable as error:
                    hop.failure = error
            if hop.failure is not None:
                raise _behind(behind, hops[-1], hop.failure)
            return hop

    def _dial_hop(self, behind: Endpoint, hops: tuple[Endpoint, ...], hop: Endpoint) -> Socket:
        if len(hops) == 1:
            return open_socket(hop.name, hop.address, hop.port, self._timeout, self._cancel)
        return self._channel(hop, self._hop(behind, hops[:-1]), hops[-2])

    def _channel(self, endpoint: Endpoint, hop: _Hop, jump: Endpoint) -> Socket:
        transport = hop.transport
        assert transport is not None
        target = (endpoint.address, endpoint.port)

        def work() -> paramiko.Channel:
            with hop.opening:
                return transport.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=self._timeout)

        try:
            return self._cancel.waiting_for(endpoint.name, work)
        except paramiko.ChannelException as error:
            raise _not_opened(endpoint, jump, error) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            if transport.is_active():
                what = _("{jump} had no connection to {at} within {seconds:g} s").format(
                    jump=jump.name, at=endpoint.at, seconds=self._timeout
                )
                advice = _("Check that the host is up, `address` as seen from there, and firewalls between")
            else:
                what, advice = (
                    _("the connection to {jump} was lost").format(jump=jump.name),
                    _("Try again; look at its sshd log"),
                )
            raise HostUnreachable(endpoint.name, what, advice) from error


def _behind(endpoint: Endpoint, jump: Endpoint, error: HostUnreachable) -> HostUnreachable:
    prefix = "" if error.where == endpoint.name else f"{error.where}: "
    return HostUnreachable(endpoint.name, prefix + error.what, error.advice)


def _not_opened(endpoint: Endpoint, jump: Endpoint, error: paramiko.ChannelException) -> HostUnreachable:
    if error.code == _PROHIBITED:
        return HostUnreachable(
            endpoint.name,
            _("{jump} accepted the login of {user}, but forwards no connection to {at} ({said})").format(
                jump=jump.name, user=jump.user, at=endpoint.at, said=error.text
            ),
            _(
                "Allow it there: AllowTcpForwarding and PermitOpen in sshd_config, restrictions in authorized_keys"
            ),
        )
    said = f" ({error.text})" if error.code != _CONNECT_FAILED else ""
    return HostUnreachable(
        endpoint.name,
        _("{jump} cannot connect to {at}{said}").format(jump=jump.name, at=endpoint.at, said=said),
        _("Check that the host is up with sshd on that port, and `address` as seen from the jump host"),
    )
