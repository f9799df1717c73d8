"""The answer to an UPDATE does not arrive: what counts is what stands in the zone, and that is what is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import dns.message
import dns.opcode
import pytest

from mailprov import dns as driver
from mailprov.dns.providers.rfc2136 import session
from mailprov.errors import DnsUnreachable, DnsUnsure
from mailprov.model.events import Applied, Event, Notice
from tests.unit.dns.servers import PATIENCE, NameServer, inventory

Server = Callable[[Callable[[socket.socket], None]], int]


class Between:
    """Passes questions on to a server; what becomes of the first UPDATE, `first` says.

    `closed`: it is done, the connection is closed. `silent`: it is done, nothing comes back. `forged`: it is done, the
    answer is changed on its way. `dropped`: it never gets there, nothing comes back. `dead`: it is done, and then
    nobody answers any more.
    """

    def __init__(self, upstream: int, first: str) -> None:
        self.upstream, self.first, self.seen = upstream, first, False
        self.settled = threading.Event()  # what was to become of the first UPDATE has become of it

    def __call__(self, connection: socket.socket) -> None:
        if self.seen and self.first == "dead":
            return
        while head := connection.recv(2, socket.MSG_WAITALL):
            wire = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
            update = dns.message.from_wire(wire, keyring=False).opcode() == dns.opcode.UPDATE
            lost = update and not self.seen
            self.seen = self.seen or update
            if not (lost and self.first == "dropped"):
                answer = self.passed_on(head + wire)
            if lost:
                self.settled.set()
            if lost and self.first in ("silent", "dropped"):
                connection.recv(1)  # ends when the client hangs up
            if lost and self.first == "forged":
                answer = answer[:-20] + bytes([answer[-20] ^ 1]) + answer[-19:]
            elif lost:
                return
            connection.sendall(answer)

    def passed_on(self, question: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.upstream)) as server:
            server.sendall(question)
            head = server.recv(2, socket.MSG_WAITALL)
            return head + server.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)


def impatient_with(between: Between, monkeypatch: pytest.MonkeyPatch) -> Between:
    """The answer to the first UPDATE, which does not come, is waited for a moment, once it has been done or lost."""
    ask, receive = session.Session.ask, session.Session._receive
    updating: list[bool] = []

    def asked(self: session.Session, messages: Any, proofs: Any = ()) -> Any:
        updating[:] = [any(one.opcode() == dns.opcode.UPDATE for one in messages)]
        return ask(self, messages, proofs)

    def received(self: session.Session, connection: socket.socket) -> bytes | None:
        if updating[0]:
            updating[0] = False
            assert between.settled.wait(PATIENCE)
            with monkeypatch.context() as patch:
                patch.setattr(session, "ANSWER_SECONDS", 0.2)
                return receive(self, connection)
        return receive(self, connection)

    monkeypatch.setattr(session.Session, "ask", asked)
    monkeypatch.setattr(session.Session, "_receive", received)
    return between


def publish(name_server: NameServer, port: int, zone: str) -> tuple[list[Event], int]:
    events: list[Event] = []
    (plan,) = driver.plan(inventory(zone, name_server.settings(port=port)))
    driver.apply(plan, events.append)
    return events, len(plan.changes)


@pytest.mark.parametrize("first", ["closed", "silent", "forged"])
def test_what_was_done_is_told_as_done(
    name_server: NameServer, tcp_server: Server, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    zone = f"{first}.lost.test"
    between = Between(name_server.port, first)
    if first == "silent":
        impatient_with(between, monkeypatch)
    serial = name_server.serial("lost.test")
    events, planned = publish(name_server, tcp_server(between), zone)
    assert len([event for event in events if isinstance(event, Applied)]) == planned
    assert name_server.values(zone, "MX") == {f"10 mx1.{zone}."}
    assert name_server.serial("lost.test") != serial
    notices = [event.text for event in events if isinstance(event, Notice)]
    told = "no usable answer came to the update; read back from the server, all of it stands"
    assert notices == ([told] if first != "closed" else [])


def test_what_was_not_done_is_told_so(
    name_server: NameServer, tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = impatient_with(Between(name_server.port, "dropped"), monkeypatch)
    with pytest.raises(DnsUnreachable) as caught:
        publish(name_server, tcp_server(between), "dropped.lost.test")
    assert type(caught.value) is DnsUnreachable
    assert str(caught.value).startswith("zone lost.test: DNS server 127.0.0.1 port ")
    assert f"no answer within {PATIENCE:g} s on TCP port" in str(caught.value)
    assert "asked to update zone lost.test; read back, nothing of it was done" in str(caught.value)
    assert name_server.values("dropped.lost.test", "MX") == set()


def test_what_nobody_can_tell_is_not_told_as_undone(name_server: NameServer, tcp_server: Server) -> None:
    with pytest.raises(DnsUnsure) as caught:
        publish(name_server, tcp_server(Between(name_server.port, "dead")), "dead.lost.test")
    assert "asked to update zone lost.test; whether it was done is not known" in str(caught.value)
    assert str(caught.value).endswith("Run `mailprov dns plan`: what it does not show any more was done.")
    assert name_server.values("dead.lost.test", "MX") == {"10 mx1.dead.lost.test."}
