"""Connections that are opened while the program loads: taken once, told once, and none is left behind."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mailprov.errors import HostUnreachable
from mailprov.model.inventory import Host, SshSettings, Tls, TlsMode
from mailprov.transport.connections import Connections
from mailprov.transport.preconnect import Preconnect
from mailprov.transport.ssh import client, handshake

JOB = {"tag": "aa11", "mode": "plan"}


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Accepts when it is asked to, and says nothing by itself."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(60)
        yield made


def host(server: socket.socket, name: str = "mx1") -> Host:
    ssh = SshSettings(port=server.getsockname()[1], ignore_config=True)
    return Host(
        name=name,
        address="127.0.0.1",
        fqdn=f"{name}.alpha.test",
        ssh=ssh,
        tls=Tls(TlsMode.SELF_SIGNED),
    )


def test_the_connection_is_there_before_start_and_start_takes_it(server: socket.socket) -> None:
    with Connections([host(server)]) as connections:
        connections.begin([host(server)])
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"220 mail here\r\n")
            peer.shutdown(socket.SHUT_WR)
            with pytest.raises(HostUnreachable, match="is not an SSH server"):
                connections.start(host(server), JOB)
    server.setblocking(False)
    with pytest.raises(BlockingIOError):  # there was no other connection
        server.accept()


def test_what_nobody_takes_is_closed(server: socket.socket) -> None:
    with Connections([host(server)]) as connections:
        connections.begin([host(server)])
        peer, _ = server.accept()
    peer.settimeout(60)
    while peer.recv(1000):  # it may have begun to speak SSH
        pass


def test_a_login_that_nobody_takes_is_ended(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    logged_in, ended = threading.Event(), list[object]()
    transport = object()

    def log_in(*given: object) -> object:
        logged_in.set()
        return transport

    monkeypatch.setattr(client, "log_in", log_in)
    really_end = handshake.end  # for what other tests' connections are still ending
    monkeypatch.setattr(
        handshake, "end", lambda given: (ended.append if given is transport else really_end)(given)
    )
    with Connections([host(server)]) as connections:
        connections.begin([host(server)])
        assert logged_in.wait(60)
        wait_until(lambda: connections._early["mx1"]._done.is_set())

    assert ended == [transport]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_is_dropped_before_it_is_there_is_closed_when_it_comes() -> None:
    mine, theirs = socket.socketpair()
    theirs.settimeout(60)
    hold, go = socket.socketpair()

    def open_late() -> socket.socket:
        hold.recv(1)
        return mine

    early = Preconnect("mx1", open_late, socket.socket.close)
    early.drop()
    go.sendall(b"x")

    assert theirs.recv(1) == b""
    assert early.take() is None
    for each in (theirs, hold, go):
        each.close()


def test_a_refusal_is_told_by_start_in_the_same_words(server: socket.socket) -> None:
    closed = host(server)
    server.close()
    said = []
    for begins in (False, True):
        with Connections([closed]) as connections:
            if begins:
                connections.begin([closed])
            with pytest.raises(HostUnreachable) as caught:
                connections.start(closed, JOB)
            said.append(str(caught.value))
    assert said[0] == said[1]


def test_of_many_hosts_none_has_to_wait_with_an_open_connection(server: socket.socket) -> None:
    many = [dataclasses.replace(host(server), name=f"mx{number}") for number in range(11)]
    with Connections(many) as connections:
        connections.begin(many)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
