"""The SSH key exchange on an open socket, up to the moment where the host has shown its key.

    Socket                                          what the bytes go over: a TCP socket, or a channel of a jump host
    shake_hands(where, at, sock, key_types, cancel) -> paramiko.Transport

Raises HostUnreachable: not an SSH server, closed before it spoke, no common algorithm. The last is the
subclass NoCommonAlgorithm, for callers that ask for one host key type after the other.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence

import paramiko
from paramiko.packet import Packetizer
from paramiko.ssh_exception import IncompatiblePeer

from mailprov.errors import HostUnreachable
from mailprov.i18n import _
from mailprov.transport.cancellation import CancelToken

# Seconds. A server may look up our name before it says its own.
_BANNER_TIMEOUT = 20.0
_HANDSHAKE_TIMEOUT = 40.0  # with the banner

# paramiko writes tracebacks of what we explain in one sentence.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class NoCommonAlgorithm(HostUnreachable):
    """The two sides share no algorithm (key exchange, host key, cipher or MAC)."""


Socket = socket.socket | paramiko.Channel


class _Transport(paramiko.Transport):
    """A client that asks for exactly the host key algorithms it is told to, certificates where they are wanted."""

    asked: tuple[str, ...] = ()

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        # paramiko would put the certificates behind all plain keys, so that no server ever showed one.
        return self.asked


class _Packetizer(Packetizer):
    def start_handshake(self, timeout: float) -> None:
        """Nothing: `start_client` has the limit. paramiko's timer thread outlives a failed handshake."""


class _FirstBytes:
    """A socket that remembers how the server opened the conversation, to tell what it is if not SSH."""

    def __init__(self, sock: Socket) -> None:
        self._sock = sock
        self.seen = b""

    def recv(self, size: int) -> bytes:
        data = self._sock.recv(size)
        if len(self.seen) < 64:
            self.seen += data[:64]
        return data

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


def shake_hands(
    where: str, at: str, sock: Socket, key_types: Sequence[str], cancel: CancelToken | None = None
) -> paramiko.Transport:
    """Negotiate with the host key algorithms of `key_types` in that order. `at` is the place, for errors.

    The socket belongs to the transport afterwards, and is closed when this raises.
    """
    first = _FirstBytes(sock)
    transport = _Transport(first, packetizer_class=_Packetizer)  # type: ignore[arg-type]
    transport.banner_timeout = _BANNER_TIMEOUT
    transport.asked = tuple(key_types)
    cancel = cancel or CancelToken()
    try:
        with cancel.closing(where, transport.close):
            transport.start_client(timeout=_HANDSHAKE_TIMEOUT)
    except HostUnreachable:  # interrupted
        end(transport)
        raise
    except IncompatiblePeer as error:
        end(transport)
        raise NoCommonAlgorithm(
            where,
            _("the SSH server at {at} has no algorithm in common with mailprov ({reason})").format(
                at=at, reason=_reason(error)
            ),
            _("Update the SSH server, or allow current algorithms in its sshd_config"),
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        end(transport)
        raise _refusal(where, at, first.seen, error) from error
    if not transport.is_active() or not transport.initial_kex_done:
        end(transport)
        raise HostUnreachable(
            where,
            _("the SSH handshake with {at} did not complete").format(at=at),
            _("Check the load of the host"),
        )
    return transport


def end(transport: paramiko.Transport) -> None:
    """Close, and wait until the transport's thread is gone."""
    transport.close()
    if transport.ident is not None:
        transport.join(5)
    transport.sock.close()


def _reason(error: Exception) -> str:
    return str(error).removeprefix("Incompatible ssh peer ").strip("()") or _("negotiation failed")


def _refusal(where: str, at: str, seen: bytes, error: Exception) -> HostUnreachable:
    if b"SSH-" in seen:
        return HostUnreachable(
            where,
            _("the SSH handshake with {at} broke off ({error})").format(
                at=at, error=str(error) or type(error).__name__
            ),
            _("Try again; if it stays, look at the host's sshd log"),
        )
    if b"Exceeded MaxStartups" in seen:
        advice = _("Try again; MaxStartups in its sshd_config says how many it takes before their login")
        return HostUnreachable(
            where, _("{at} has too many connections that are logging in").format(at=at), advice
        )
    if seen:
        opening = seen.split(b"\n")[0][:40].decode("ascii", "replace").strip()
        return HostUnreachable(
            where,
            _("{at} is not an SSH server (it says {opening!r})").format(at=at, opening=opening),
            _("Check `address` and `ssh.port`"),
        )
    closed = isinstance(error, EOFError) or "timeout" not in str(error).lower()
    return HostUnreachable(
        where,
        _("{at} closed the connection without sending anything").format(at=at)
        if closed
        else _("{at} accepted the connection and sent nothing").format(at=at),
        _(
            "It is not an SSH server, is overloaded (MaxStartups), or has banned this machine (fail2ban): "
            "look at the host's sshd log"
        ),
    )
