"""The answer to an UPDATE does not arrive: what counts is what stands in the zone, and that is what is told."""

from __future__ import annotations

import socket
from collections.abc import Callable

import dns.message
import dns.opcode
import pytest

from mailprov import dns as driver
from mailprov.dns.providers.rfc2136 import session
from mailprov.errors import DnsUnreachable, DnsUnsure
from mailprov.model.events import Applied, Event, Notice
from tests.unit.dns.servers import NameServer, inventory

Server = Callable[[Callable[[socket.socket], None]], int]


class Between:
    """Passes questions on to a server; what becomes of the first UPDATE, `first` says.

    `closed`: it is done, the connection is closed. `silent`: it is done, nothing comes back. `forged`: it is done, the
    answer is changed on its way. `dropped`: it never gets there, nothing comes back. `dead`: it is done, and then
    nobody answers any more.
    """

    def __init__(self, upstream: int, first: str) -> None:
        self.upstream, self.first, self.seen = upstream, first, False

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


def publish(name_server: NameServer, port: int, zone: str) -> tuple[list[Event], int]:
    events: list[Event] = []
    (plan,) = driver.plan(inventory(zone, name_server.settings(port=port)))
    driver.apply(plan, events.append)
    return events, len(plan.changes)


@pytest.mark.parametrize("first", ["closed", "silent", "forged"])
def test_what_was_done_is_told_as_done(
    name_server: NameServer, tcp_server: Server, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setattr(session, "ANSWER_SECONDS", 1)
    zone = f"{first}.lost.test"
    serial = name_server.serial("lost.test")
    events, planned = publish(name_server, tcp_server(Between(name_server.port, first)), zone)
    assert len([event for event in events if isinstance(event, Applied)]) == planned
    assert name_server.values(zone, "MX") == {f"10 mx1.{zone}."}
    assert name_server.serial("lost.test") != serial
    notices = [event.text for event in events if isinstance(event, Notice)]
    told = "no usable answer came to the update; read back from the server, all of it stands"
    assert notices == ([told] if first != "closed" else [])


def test_what_was_not_done_is_told_so(
    name_server: NameServer, tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ANSWER_SECONDS", 1)
    with pytest.raises(DnsUnreachable) as caught:
        publish(name_server, tcp_server(Between(name_server.port, "dropped")), "dropped.lost.test")
    assert type(caught.value) is DnsUnreachable
    assert str(caught.value).startswith("zone lost.test: DNS server 127.0.0.1 port ")
    assert "no answer within 1 s on TCP port" in str(caught.value)
    assert "asked to update zone lost.test; read back, nothing of it was done" in str(caught.value)
    assert name_server.values("dropped.lost.test", "MX") == set()


def test_what_nobody_can_tell_is_not_told_as_undone(
    name_server: NameServer, tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ANSWER_SECONDS", 1)
    with pytest.raises(DnsUnsure) as caught:
        publish(name_server, tcp_server(Between(name_server.port, "dead")), "dead.lost.test")
    assert "asked to update zone lost.test; whether it was done is not known" in str(caught.value)
    assert str(caught.value).endswith("Run `mailprov dns plan`: what it does not show any more was done.")
    assert name_server.values("dead.lost.test", "MX") == {"10 mx1.dead.lost.test."}
