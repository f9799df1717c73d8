"""Real name servers on loopback ports, with one zone per test, and TCP servers that misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from mailprov.dns import spf_facts
from mailprov.dns.api import client
from mailprov.dns.providers.rfc2136 import session
from tests.unit.dns.servers import KINDS, PATIENCE, NameServer, serving


@pytest.fixture(autouse=True)
def no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others' SPF records include is not looked for outside of the servers of these tests."""
    monkeypatch.setattr(spf_facts, "SECONDS", 0.0)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is given up because this machine is busy; tests of silence set their own."""
    for name in ("CONNECT_SECONDS", "ANSWER_SECONDS", "ROUND_SECONDS"):
        monkeypatch.setattr(session, name, PATIENCE)
    for name in ("CONNECT_SECONDS", "SILENT_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(client, name, PATIENCE)


@pytest.fixture(scope="session", params=KINDS)
def name_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NameServer]:
    """Each of the three name servers in turn, with all zones."""
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def tcp_server() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Start a server that hands each connection to the given function; gives its port."""
    listeners: list[socket.socket] = []

    def start(serve: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def loop() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        serve(connection)
                    except OSError:
                        pass

        threading.Thread(target=loop, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
