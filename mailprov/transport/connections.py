"""All that the connections of one run share, and the way to start the agent on any host.

    with Connections(hosts) as connections:
        connections.start(host, job) -> Channel     from any thread
        connections.begin(hosts)                    logs in now, for `start` to go on from there
        connections.interrupt()                     Ctrl-C: what is still connecting ends at once
        connections.direct(host)                    no jump host between here and there
        connections.hops(host), .scan(endpoint)       for `mailprov trust`

Shared are: what ssh_config says, opened keys, connections to jump hosts, one private folder for files that ssh needs.
Raises HostUnreachable from `start`; nothing else.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mailprov.errors import HostUnreachable
from mailprov.model.inventory import Host, Transport
from mailprov.transport.cancellation import CancelToken
from mailprov.transport.channel import Channel
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.preconnect import Preconnect
from mailprov.transport.resolve import Resolver
from mailprov.transport.ssh.keyring import Keyring
from mailprov.transport.tcp import open_socket

if TYPE_CHECKING:
    import paramiko

    from mailprov.transport.ssh.hostkeys import Dial, Offered
    from mailprov.transport.ssh.jumps import Jumps

# Of more hosts than this, some would have to wait for their turn (see run/hosts.py), and their servers for a login.
_MOST_EARLY = 10
_SOON = 0.05  # seconds within which it is known of nearly every host how it is reached


class Connections:
    """`bootstrap`: install python3 on hosts that have none. `others`: may be jump hosts. `asks`: for passphrases, where
    there is a terminal.
    """

    def __init__(
        self,
        hosts: Sequence[Host] = (),
        *,
        connect_timeout: float = 10.0,
        bootstrap: bool = False,
        others: Sequence[Host] = (),
        asks: bool = True,
    ) -> None:
        self._timeout = connect_timeout
        self._bootstrap = bootstrap
        self._cancel = CancelToken()
        self._resolver = Resolver((*hosts, *others))
        asks = asks and on_terminal()
        self._keyring = Keyring(_ask_on_terminal if asks else None)
        self._lock = threading.Lock()
        self._jumps: Jumps | None = None
        self._early: dict[str, Preconnect[paramiko.Transport]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if asks:  # before any thread begins
            self._keyring.prepare(*self._servers(hosts))

    def __enter__(self) -> Connections:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Jump hosts are let go, files of ours are removed. Channels are closed by who has them."""
        if self._early:
            self._cancel.set()
        for early in list(self._early.values()):
            early.drop()
        if self._jumps is not None:
            self._jumps.close()
        self._resolver.close()
        if self._folder is not None:
            self._folder.cleanup()

    def interrupt(self) -> None:
        """End what is still connecting, and let nothing new begin; running agents are left alone."""
        self._cancel.set()

    def begin(self, hosts: Sequence[Host]) -> None:
        """A login is mostly waiting for the other side: time in which the rest of the program can be loaded.

        What goes wrong is raised by `start`. Where it was called already, all is under way.
        """
        if self._early or not self.may_begin(hosts):
            return
        ours: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._early = {host.name: self._logging_in(host, ours) for host in hosts}
        with contextlib.suppress(queue.Empty):
            if ours.get(timeout=_SOON):
                # No login begins before SSH is loaded. Threads of one Python share its time, so if the caller went on
                # with loading other things, that would take as long as both.
                from mailprov.transport.ssh import client  # noqa: F401

    def may_begin(self, hosts: Sequence[Host]) -> bool:
        """Whether `begin` does anything for so many hosts."""
        return 0 < len(hosts) <= _MOST_EARLY

    def has_questions(self, hosts: Sequence[Host]) -> bool:
        """Whether somebody would have to be asked for the passphrase of a key."""
        return any(True for _ in self._keyring.unopened(*self._servers(hosts)))

    def _logging_in(self, host: Host, ours: queue.SimpleQueue[bool]) -> Preconnect[paramiko.Transport]:
        """`ours` is told whether this host is reached by SSH of ours."""

        def make() -> paramiko.Transport | None:
            endpoint = self._resolver.endpoint(host)
            ours.put(endpoint.transport is Transport.BUILTIN)
            if endpoint.transport is not Transport.BUILTIN:
                return None
            if endpoint.jumps:
                return self._log_in(endpoint, self._jump_hosts().dial)
            # The server needs a moment to get ready: it has it while SSH is being loaded.
            with _Dialled(endpoint, self._timeout, self._cancel) as dialled:
                return self._log_in(endpoint, lambda each: dialled.take() or self._jump_hosts().dial(each))

        return Preconnect(host.name, make, _end)

    def start(self, host: Host, job: dict[str, Any]) -> Channel:
        """The agent on `host`, running, over the transport that the inventory or ssh_config chooses."""
        self._cancel.check(host.name)
        endpoint = self._cancel.waiting_for(host.name, lambda: self.endpoint(host))
        if endpoint.transport is Transport.LOCAL:
            from mailprov.transport import local

            return local.start(endpoint, job, cancel=self._cancel, bootstrap=self._bootstrap)
        if endpoint.transport is Transport.OPENSSH:
            from mailprov.transport.openssh import program

            return program.start(
                endpoint,
                job,
                folder=self._private(),
                cancel=self._cancel,
                timeout=self._timeout,
                bootstrap=self._bootstrap,
            )
        from mailprov.transport.ssh import client

        return client.start(
            endpoint,
            job,
            log_in=lambda: self._logged_in(endpoint),
            cancel=self._cancel,
            bootstrap=self._bootstrap,
        )

    def _logged_in(self, endpoint: Endpoint) -> paramiko.Transport:
        """The connection that was begun already, or a new one."""
        early = self._early.pop(endpoint.name, None)
        begun = early.take() if early is not None else None
        if begun is not None and begun.is_active():
            return begun
        if (
            begun is not None
        ):  # a server may not wait (UnusedConnectionTimeout) while somebody opens a password manager
            _end(begun)
        return self._log_in(endpoint, self._jump_hosts().dial)

    def _log_in(self, endpoint: Endpoint, dial: Dial) -> paramiko.Transport:
        from mailprov.transport.ssh import client

        return client.log_in(endpoint, dial, self._keyring, self._cancel)

    def endpoint(self, host: Host) -> Endpoint:
        """Where `host` is, after ssh_config has been asked."""
        return self._resolver.endpoint(host)

    def direct(self, host: Host) -> bool:
        """Whether the host sees this machine's own address. False where that cannot be told."""
        try:
            return self.endpoint(host).direct
        except HostUnreachable:
            return False

    def hops(self, host: Host) -> tuple[Endpoint, ...]:
        """The SSH servers from here to there, the host itself last; what `mailprov trust` goes along."""
        endpoint = self.endpoint(host)
        jumps = [
            Endpoint(**{**vars(hop), "jumps": endpoint.jumps[:index]})
            for index, hop in enumerate(endpoint.jumps)
        ]
        return (*jumps, endpoint)

    def scan(self, endpoint: Endpoint) -> list[Offered]:
        """See `hostkeys.scan`; through the jump hosts in front of it."""
        from mailprov.transport.ssh import hostkeys

        return hostkeys.scan(endpoint, self._jump_hosts().dial)

    def _jump_hosts(self) -> Jumps:
        from mailprov.transport.ssh import client
        from mailprov.transport.ssh.jumps import Jumps

        with self._lock:
            if self._jumps is None:
                self._jumps = Jumps(
                    lambda endpoint, dial: client.log_in(endpoint, dial, self._keyring, self._cancel),
                    self._timeout,
                    self._cancel,
                )
            return self._jumps

    def _private(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="mailprov-ssh-")
            return Path(self._folder.name)

    def _servers(self, hosts: Sequence[Host]) -> tuple[list[Endpoint], Callable[[Endpoint], set[bytes]]]:
        """Where SSH of ours logs in for `hosts`, and what gives the keys that the agent of each has. A host that cannot
        be resolved is told later, where it is tried.
        """
        servers: list[Endpoint] = []
        for host in hosts:
            with contextlib.suppress(HostUnreachable):
                endpoint = self.endpoint(host)
                if endpoint.transport is Transport.BUILTIN:
                    servers += [*endpoint.jumps, endpoint]
        held: dict[str | None, set[bytes]] = {}

        def blobs(endpoint: Endpoint) -> set[bytes]:
            if endpoint.agent not in held:
                held[endpoint.agent] = _held(endpoint)
            return held[endpoint.agent]

        return servers, blobs


def _end(transport: paramiko.Transport) -> None:
    from mailprov.transport.ssh import handshake

    handshake.end(transport)


class _Dialled:
    """A TCP connection to an endpoint. What went wrong with it is raised by `take`, where a new one would raise it."""

    def __init__(self, endpoint: Endpoint, timeout: float, cancel: CancelToken) -> None:
        self._error: HostUnreachable | None = None
        self._socket: socket.socket | None = None
        try:
            self._socket = open_socket(endpoint.name, endpoint.address, endpoint.port, timeout, cancel)
        except HostUnreachable as error:
            self._error = error

    def take(self) -> socket.socket | None:
        """Once; then None."""
        if self._error is not None:
            raise self._error
        taken, self._socket = self._socket, None
        return taken

    def __enter__(self) -> _Dialled:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()


def on_terminal() -> bool:
    """Whether there is somebody to be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def _held(endpoint: Endpoint) -> set[bytes]:
    import paramiko

    from mailprov.transport.ssh import ssh_agent

    try:
        agent = ssh_agent.open_agent(endpoint)
        if agent is None:
            return set()
        try:
            return set(ssh_agent.held(agent))
        finally:
            agent.close()
    except (paramiko.SSHException, OSError):
        return set()


def _ask_on_terminal(prompt: str) -> str | None:
    import getpass

    try:
        return getpass.getpass(prompt) or None
    except EOFError:
        return None
