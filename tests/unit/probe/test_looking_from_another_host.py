"""`verify --via`: the probes look through the real agent of another host, and say what they say without.

The agent is a process of its own that is talked to as over SSH; loopback, where the scripted servers are, is no target
for it otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import pytest

from mailprov.errors import HostFailed, NotBelieved
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Host, SshSettings, Tls
from mailprov.probe.clients.connection import Connection, Deadline, Transcript
from mailprov.probe.clients.errors import ConnectionClosed, Refused, Unreachable
from mailprov.probe.clients.ways import HERE
from mailprov.run.relay import Relay
from mailprov.selftest.scripted_lab import PATIENCE, ScriptedLab
from mailprov.wire.messages import encode_control
from tests.agent.driver import TAG, Agent
from tests.unit.run.scripted import end, hello

HOST = Host("mx3", "192.0.2.3", "mx3.gamma.test", SshSettings(), Tls())
LOOPBACK = "from mailprov.agent import relay\nrelay._forbidden = lambda address: False\n"


class OverSsh:
    """A Channel to an agent of this machine."""

    def __init__(self, work: dict[str, Any], root: Path) -> None:
        self.agent = Agent(None, {**work, "tag": TAG, "root": str(root)}, LOOPBACK)

    def messages(self) -> Iterator[dict[str, Any]]:
        while (message := self.agent.next()) is not None:
            yield message

    def send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(ValueError):  # it is closed
            self.agent._write(encode_control(message))

    def noise(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        self.agent.hang_up()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[OverSsh]]:
    channels: list[OverSsh] = []
    yield channels
    for channel in channels:
        assert channel.agent.died() == 0  # it has ended with its channel


@pytest.fixture
def way(lab: ScriptedLab, tmp_path: Path, started: list[OverSsh]) -> Iterator[Relay]:
    def start(host: Host, work: dict[str, Any]) -> OverSsh:
        started.append(OverSsh(work, tmp_path))
        return started[-1]

    lab.start()
    with Relay(HOST, start, servers=[("127.0.0.1", lab.world.dns_port)]) as relay:
        yield relay


def verdicts(findings: list[Finding]) -> dict[tuple[object, ...], set[Verdict]]:
    found: dict[tuple[object, ...], set[Verdict]] = {}
    for each in findings:
        account = "" if "+" in each.target.account else each.target.account  # a nonce is in it
        target = each.target
        key = (each.id, target.host, target.address, target.port, target.domain, account)
        found.setdefault(key, set()).add(each.verdict)
    return found


@pytest.mark.parametrize("faults", ["", "open-relay clear-auth stray-6379"])
def test_verdicts_are_the_same_as_from_here(lab: ScriptedLab, way: Relay, faults: str) -> None:
    lab.spoil(faults, "")
    words = "net smtp imap pop sieve tls auth.ok relay smuggle unknown delivery dns.mx dns.spf dns.ptr dns.servers"
    from_here = lab.verify(words)
    through = lab.verify(words, way=way)
    assert verdicts(through) == verdicts(from_here)
    assert any(finding.verdict is Verdict.FAIL for finding in through) == bool(faults)
    assert way.broken is None


def test_every_connection_and_every_question_goes_through(
    lab: ScriptedLab, way: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_args: object, **_more: object) -> Any:
        raise AssertionError("from here")

    for name in ("connect", "exchange", "source", "resolver"):
        monkeypatch.setattr(type(HERE), name, never)
    found = lab.verify("net smtp.banner auth.ok dns.mx relay.classic delivery", way=way)
    assert {finding.verdict for finding in found} <= {Verdict.PASS, Verdict.SKIP}
    assert {"net.stray", "auth.ok", "dns.mx", "relay.classic", "delivery.path"} <= {
        finding.id for finding in found if finding.verdict is Verdict.PASS
    }


def connect(way: Relay, place: tuple[str, int]) -> Connection:
    return Connection.connect(*place, Deadline(PATIENCE), Transcript(), PATIENCE, way=way)


def test_only_what_was_declared_is_connected_to(lab: ScriptedLab, way: Relay) -> None:
    number = lab.world.port_map["127.0.0.1", 25]
    way.declare(["127.0.0.1"], [number], [])
    with connect(way, ("127.0.0.1", number)) as connection:
        assert connection.line().startswith("220")
        assert connection.local_address == "127.0.0.1"
    with pytest.raises(Unreachable, match="mx3 relays to hosts of the inventory alone"):
        connect(way, ("127.0.0.2", lab.world.port_map["127.0.0.2", 25]))


def test_the_host_itself_is_looked_at_from_here(lab: ScriptedLab, way: Relay) -> None:
    """What nobody declared there is refused; of its own addresses nobody asks it."""
    number = lab.world.port_map["127.0.0.1", 25]
    way.declare(["127.0.0.1"], [number], ["127.0.0.1"])
    with connect(way, ("127.0.0.1", number)) as connection:
        assert connection.line().startswith("220")
    assert way.source("127.0.0.1") == "127.0.0.1"


def test_a_port_where_nothing_listens_is_refused(lab: ScriptedLab, way: Relay) -> None:
    lab.spoil("refused", "")
    number = lab.world.port_map["127.0.0.1", 25]
    way.declare(["127.0.0.1"], [1, number], [])
    with pytest.raises(Refused):
        connect(way, ("127.0.0.1", 1))


def read_on(connection: Connection) -> None:
    while True:
        connection.line()


def test_when_the_agent_ends_so_do_its_connections(
    lab: ScriptedLab, way: Relay, started: list[OverSsh]
) -> None:
    number = lab.world.port_map["127.0.0.1", 25]
    way.declare(["127.0.0.1"], [number], [])
    with connect(way, ("127.0.0.1", number)) as connection:
        connection.line()
        started[0].close()
        with pytest.raises(ConnectionClosed):
            read_on(connection)
    with pytest.raises(Unreachable, match="the relay through mx3 has ended"):
        connect(way, ("127.0.0.1", number))
    with pytest.raises(OSError, match="has ended"):
        way.exchange(dns.message.make_query("alpha.test", "MX"), "127.0.0.1", lab.world.dns_port, PATIENCE)
    assert way.source("192.0.2.77") == ""


class Lying:
    """A host that says what it likes."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = [hello(), *messages]

    def messages(self) -> Iterator[dict[str, Any]]:
        yield from self._messages

    def send(self, message: dict[str, Any]) -> None:
        pass

    def noise(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "message",
    [
        {"t": "relaying", "resolvers": "none"},
        {"t": "data", "id": -1, "data": ""},
        {"t": "refused", "id": 1, "how": "because", "why": ""},
        {"t": "plan", "changes": [], "compared": "", "fingerprint": ""},
        {"t": "boom"},
    ],
)
def test_a_host_that_talks_nonsense_is_not_looked_from(message: dict[str, Any]) -> None:
    with pytest.raises(NotBelieved), Relay(HOST, lambda host, work: Lying(message)):
        raise AssertionError("it has begun")


def test_a_host_whose_agent_fails_says_why() -> None:
    failed = end("failed", "the disk is full")
    with pytest.raises(HostFailed, match="the disk is full"), Relay(HOST, lambda host, work: Lying(failed)):
        raise AssertionError("it has begun")
