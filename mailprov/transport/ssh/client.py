"""The agent on a host over SSH: one connection, one exec, no pty, no SFTP.

    log_in(endpoint, dial, keyring, cancel) -> paramiko.Transport     host key checked, logged in
    start(endpoint, job, …) -> Conversation                         (a Channel)
    ExecPipe(transport, channel)                                    what such a Conversation goes over

Raises HostUnreachable with one sentence: network, host key, login, sudo, no python3 (see the modules beside
this one for the exact words). Once started, `Channel.messages` reports what happens to the connection.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paramiko

from mailprov.errors import HostUnreachable
from mailprov.i18n import _
from mailprov.transport.cancellation import CancelToken
from mailprov.transport.conversation import SILENCE, Conversation, Pipe
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.ssh.auth import authenticate
from mailprov.transport.ssh.handshake import end
from mailprov.transport.ssh.hostkeys import Dial, open_transport
from mailprov.transport.ssh.keyring import Keyring
from mailprov.transport.start.launch import launch

# What paramiko raises on sending when the connection has broken and its reading thread has not seen that yet;
# later it is an OSError.
_GONE = (EOFError, paramiko.SSHException)
_KEEPALIVE = 15  # seconds, so that NAT and firewalls between keep the connection in mind


def log_in(endpoint: Endpoint, dial: Dial, keyring: Keyring, cancel: CancelToken) -> paramiko.Transport:
    """A connection of its own, ready for channels."""
    transport = open_transport(endpoint, dial, cancel)
    try:
        with cancel.closing(endpoint.name, transport.close):
            authenticate(transport, endpoint, keyring)
            transport.set_keepalive(_KEEPALIVE)
    except BaseException:
        end(transport)
        raise
    return transport


def start(
    endpoint: Endpoint,
    job: dict[str, Any],
    *,
    log_in: Callable[[], paramiko.Transport],
    cancel: CancelToken,
    bootstrap: bool = False,
) -> Conversation:
    """Start the agent with `job` (see `wire.messages`) as root. It runs on return. `log_in` gives a connection."""

    def run(command: str) -> Pipe:
        transport = log_in()
        try:
            with cancel.closing(endpoint.name, transport.close):
                return ExecPipe(transport, _execute(transport, endpoint, command))
        except BaseException:
            end(transport)
            raise

    return launch(endpoint, job, run, cancel=cancel, bootstrap=bootstrap)


def _execute(transport: paramiko.Transport, endpoint: Endpoint, command: str) -> paramiko.Channel:
    try:
        with _time_limit(transport, SILENCE):
            channel = transport.open_session(timeout=SILENCE)
            channel.exec_command(command)
    except (paramiko.SSHException, EOFError, OSError) as error:
        if isinstance(error, paramiko.ChannelException) or transport.is_active():
            raise HostUnreachable(
                endpoint.name,
                _(
                    "the server accepted the login of {user}, but runs no command for this user ({error})"
                ).format(user=endpoint.user, error=error),
                _("Look for restrictions in sshd_config (ForceCommand, MaxSessions) and in authorized_keys"),
            ) from error
        raise HostUnreachable(
            endpoint.name,
            _("the connection was lost right after the login"),
            _("Try again; look at the host's sshd log"),
        ) from error
    return channel


@contextmanager
def _time_limit(transport: paramiko.Transport, seconds: float) -> Iterator[None]:
    """paramiko waits for the answer to an exec request without limit; closing the transport ends that."""
    timer = threading.Timer(seconds, transport.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


class ExecPipe:
    """A Pipe over one exec channel and the transport that exists for it alone."""

    def __init__(self, transport: paramiko.Transport, channel: paramiko.Channel) -> None:
        self._transport = transport
        self._channel = channel
        self._reading = threading.Lock()
        channel.settimeout(SILENCE)  # for writing; reading happens only where something is ready
        # Readable when either stream has data or the channel is closed.
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel.fileno(), selectors.EVENT_READ)
        self._open = True

    def read(self, timeout: float) -> tuple[bytes, bytes] | None:
        deadline = time.monotonic() + timeout
        with self._reading:
            while self._open:
                try:
                    out = self._channel.recv(1 << 20) if self._channel.recv_ready() else b""
                    err = self._channel.recv_stderr(1 << 20) if self._channel.recv_stderr_ready() else b""
                except _GONE:  # reading sends, too: that there is room for more
                    self._transport.close()  # so that nobody waits for an exit status
                    return None
                if out or err:
                    return out, err
                ended = self._channel.eof_received or self._channel.closed
                if ended and not (self._channel.recv_ready() or self._channel.recv_stderr_ready()):
                    return None
                left = deadline - time.monotonic()
                if left <= 0:
                    return b"", b""
                self._selector.select(left)
            return None

    def write(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except _GONE as error:
            raise ConnectionResetError from error

    def exit_status(self) -> int | None:
        # The status may come a moment after the end of the streams.
        if not self._channel.status_event.wait(2) or self._channel.exit_status < 0:
            return None
        return int(self._channel.exit_status)

    def close(self) -> None:
        # First the transport: it wakes a reader in another thread, and only then its descriptors may go.
        end(self._transport)
        with self._reading:
            self._open = False
            self._selector.close()
            self._channel.close()
