"""Another host of the inventory as the place to look from: its agent relays (agent/relay.py), the probes stay here.

    with Relay(host, start) as way:     a Way (probe/clients/ways.py); the agent runs as long as the block
        way.declare(…)                  once: what may be connected to
    opened(inventory, host, start)      the same, which also asks the inventory's name servers

TLS ends here, so the relay sees what anybody on the way sees. It is a host like any other and may lie: what it sends is
bounded and checked. It can keep from us what it likes, which is an error and never a pass; and answer in a server's
place, which a certificate tells.

A connection is one end of a socket pair (run/relay_pairs.py). One thread reads what the host says, another one the
pairs. Raises MailprovError where the host cannot be reached; afterwards connections of a relay that has ended fail as
those to a place without a route.
"""

from __future__ import annotations

import base64
import errno
import itertools
import secrets
import socket
import threading
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any

import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.query
import dns.resolver

from mailprov.errors import HostFailed, MailprovError, NotBelieved
from mailprov.i18n import _
from mailprov.model import cleaning
from mailprov.model.inventory import Host, Inventory
from mailprov.model.sentences import shown
from mailprov.probe.clients.ways import HERE, Way, question_through
from mailprov.run.hosts import Start, owner
from mailprov.run.relay_pairs import Pairs, TooMuch, octets
from mailprov.transport.channel import Channel
from mailprov.wire import shapes
from mailprov.wire.sentences import understood

SECONDS = 2 * 3600.0  # that one may last
_PATIENCE = 60.0  # seconds for an agent that is ready
_GRACE = 10.0  # seconds beyond what the host may take for one thing


class _Waiting:
    """For one answer of the host, by its number."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.message: Mapping[str, Any] = {}


class Relay(Way):
    """`servers`: name servers at other ports than 53."""

    def __init__(
        self,
        host: Host,
        start: Start,
        *,
        command: str = "verify",
        servers: Collection[tuple[str, int]] = (),
        patience: float = _PATIENCE,
    ) -> None:
        self.name = host.name
        self._host, self._start, self._patience = host, start, patience
        self._job = {
            "tag": secrets.token_hex(8),
            "owner": owner(command),
            "root": "",
            "packages": [],
            "mode": "relay",
            "seconds": SECONDS,
            "servers": [{"address": address, "port": port} for address, port in servers],
        }
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._sources: dict[str, str] = {}
        self._resolvers: tuple[str, ...] = ()
        self._direct: frozenset[str] = frozenset()
        self._channel: Channel | None = None
        self._ready, self._over = threading.Event(), threading.Event()
        self._error: MailprovError | None = None
        self._pairs = Pairs(self._send)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Relay:
        try:
            self._channel = self._start(self._host, self._job)
            for work in (self._read, self._pairs.pump):
                thread = threading.Thread(target=work, name=f"relay {self.name}", daemon=True)
                thread.start()
                self._threads.append(thread)
            ready = self._ready.wait(self._patience)
            if self._error is not None:
                raise self._error
            if not ready:
                raise HostFailed(self.name, _("its agent does not begin to relay"), _("Run it again"))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The agent ends with its channel."""
        self._end(None)
        if self._channel is not None:
            self._channel.close()
        for thread in self._threads:
            thread.join(_GRACE)
        self._threads.clear()

    @property
    def broken(self) -> MailprovError | None:
        """Why it ended before it was closed."""
        return self._error

    # What a Way can do.

    def declare(self, addresses: Collection[str], ports: Collection[int], direct: Collection[str]) -> None:
        self._direct = frozenset(direct)
        targets = [{"address": each, "ports": [*ports]} for each in addresses if each not in self._direct]
        self._send({"t": "targets", "targets": targets})

    def passes_by(self, address: str) -> bool:
        return address in self._direct

    def connect(self, address: str, port: int, seconds: float) -> tuple[socket.socket, str]:
        if self.passes_by(address):
            return HERE.connect(address, port, seconds)
        number = next(self._numbers)
        sock = self._pairs.open(number)
        try:
            asked = {"t": "open", "address": address, "port": port, "seconds": seconds}
            told = self._ask(number, asked, seconds)
            if told["t"] != "opened":
                raise _refusal(self.name, address, port, told)
        except BaseException:
            sock.close()
            self._pairs.leave(number)
            raise
        return sock, str(told["address"])

    def exchange(
        self, query: dns.message.Message, address: str, port: int, seconds: float, *, tcp: bool = False
    ) -> dns.message.Message:
        reply = self._exchange(query, address, port, seconds, tcp)
        if not tcp and reply.flags & dns.flags.TC:
            reply = self._exchange(query, address, port, seconds, True)
        return reply

    def _exchange(
        self, query: dns.message.Message, address: str, port: int, seconds: float, tcp: bool
    ) -> dns.message.Message:
        data = base64.b64encode(query.to_wire()).decode("ascii")
        asked = {"t": "query", "address": address, "port": port, "seconds": seconds, "tcp": tcp, "data": data}
        told = self._ask(next(self._numbers), asked, seconds)
        why = str(told.get("why", ""))
        if why == "timeout":
            raise dns.exception.Timeout
        if why == "undeclared":
            raise OSError(errno.EACCES, _("{host} asks name servers alone").format(host=self.name))
        if why:
            raise OSError(errno.EIO, cleaning.line(why)[:200])
        reply = dns.message.from_wire(octets(told["data"]))
        if not query.is_response(reply):
            raise dns.query.BadResponse
        return reply

    def source(self, address: str) -> str:
        if self.passes_by(address):
            return HERE.source(address)
        with self._lock:
            known = self._sources.get(address)
        if known is None:
            try:
                known = str(
                    self._ask(next(self._numbers), {"t": "source", "address": address}, _GRACE)["address"]
                )
            except OSError:
                known = ""
            with self._lock:
                self._sources[address] = known
        return known

    def resolver(self) -> dns.resolver.Resolver:
        return question_through(self, self._resolvers)

    # Messages.

    def _ask(self, number: int, message: dict[str, Any], seconds: float) -> Mapping[str, Any]:
        """Raises OSError where the relay has ended, or does not answer."""
        waiting = _Waiting()
        with self._lock:
            self._waiting[number] = waiting
        try:
            self._send({**message, "id": number})
            if self._over.is_set() or not waiting.event.wait(seconds + _GRACE) or not waiting.message:
                raise OSError(
                    errno.ENETUNREACH, _("the relay through {host} has ended").format(host=self.name)
                )
            return waiting.message
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def _send(self, message: dict[str, Any]) -> None:
        if self._channel is not None and not self._over.is_set():
            self._channel.send(message)

    def _read(self) -> None:
        assert self._channel is not None
        error: MailprovError | None = None
        try:
            for message in self._channel.messages():
                if not self._hear(message):
                    if message["status"] == "failed":
                        error = HostFailed(self.name, shown(understood(message)["what"]))
                    break
        except MailprovError as failed:
            error = failed
        except (shapes.Nonsense, TooMuch) as nonsense:
            what = str(nonsense) or _("more than it may")
            error = NotBelieved(
                self.name, _("it sends what makes no sense ({error})").format(error=cleaning.line(what))
            )
        self._end(error)

    def _hear(self, message: Mapping[str, Any]) -> bool:
        """Whether there is more to come."""
        kind = shapes.check(message)
        if kind not in shapes.ORDER["relay"]:
            raise shapes.Nonsense(kind)
        if kind == "relaying":
            self._resolvers = tuple(message["resolvers"])
            self._ready.set()
        elif kind in ("opened", "refused", "answered", "source"):
            with self._lock:
                waiting = self._waiting.get(message["id"])
            if waiting is not None:
                waiting.message = message
                waiting.event.set()
        elif kind in ("data", "ended", "taken"):
            self._pairs.hear(message)
        return kind != "end"

    def _end(self, error: MailprovError | None) -> None:
        self._error = self._error or error
        self._over.set()
        self._ready.set()
        with self._lock:
            for waiting in self._waiting.values():
                waiting.event.set()
        self._pairs.finish()


def opened(inventory: Inventory, host: Host, start: Start) -> Relay:
    """For the zones of this inventory."""
    servers = set()
    for domain in inventory.domains:
        server = inventory.dns.at(domain.name).provider.name_server
        if server is not None and dns.inet.is_address(server.address):
            servers.add((server.address, server.port))
    return Relay(host, start, servers=sorted(servers))


def _refusal(host: str, address: str, port: int, told: Mapping[str, Any]) -> OSError:
    how = told.get("how")
    if how == "refused":
        return ConnectionRefusedError()
    if how == "silent":
        return TimeoutError()
    if how == "undeclared":
        form = _("{host} relays to hosts of the inventory alone, and {address} port {port} is none of theirs")
        return OSError(errno.EACCES, form.format(host=host, address=address, port=port))
    why = cleaning.line(str(told.get("why", "")))[:200]
    return OSError(errno.ENETUNREACH, why or _("no route"))
