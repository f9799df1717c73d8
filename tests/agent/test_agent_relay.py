"""Mode relay: connections to declared targets and questions to name servers, nothing else, and nothing stays.

Between the real agent, in a process of its own, and servers of this test on loopback; loopback is no target for it
otherwise, so the agent is told here that it is.
"""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import pytest

from tests.agent.driver import Agent, job

LOOPBACK = "from mailprov.agent import relay\nrelay._forbidden = lambda address: False\n"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def agents(root: Path) -> Iterator[list[Agent]]:
    started: list[Agent] = []
    yield started
    for agent in started:
        agent.hang_up()
        agent.died()


def relay(agents: list[Agent], root: Path, before: str = LOOPBACK, **more: Any) -> Agent:
    agent = Agent(None, job(str(root), "relay", seconds=600, **more), before)
    agents.append(agent)
    assert agent.until("relaying")["t"] == "relaying"
    return agent


def declare(agent: Agent, *places: tuple[str, int]) -> None:
    agent.send("targets", targets=[{"address": address, "ports": [port]} for address, port in places])


def ask_for(agent: Agent, place: tuple[str, int], number: int = 1) -> dict[str, Any]:
    agent.send("open", id=number, address=place[0], port=place[1], seconds=60)
    return agent.until("opened", "refused")


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def place(sock: socket.socket) -> tuple[str, int]:
    return "127.0.0.1", int(sock.getsockname()[1])


def test_octets_go_both_ways_as_they_are(agents: list[Agent], root: Path, listener: socket.socket) -> None:
    agent = relay(agents, root)
    declare(agent, place(listener))
    opened = ask_for(agent, place(listener))
    assert (opened["t"], opened["address"]) == ("opened", "127.0.0.1")
    server, __ = listener.accept()
    with server:
        agent.send("data", id=1, data=text(b"EHLO \xff\0\r\n"))
        assert server.recv(100) == b"EHLO \xff\0\r\n"
        assert agent.until("taken")["octets"] == 9
        server.sendall(b"250 \x00\n")
        assert base64.b64decode(agent.until("data")["data"]) == b"250 \x00\n"
    assert agent.until("ended")["how"] == "end"


@pytest.mark.parametrize("declared", [(), (("127.0.0.1", 1), ("192.0.2.1", 25))])
def test_what_was_not_declared_is_refused(
    agents: list[Agent], root: Path, listener: socket.socket, declared: tuple[tuple[str, int], ...]
) -> None:
    agent = relay(agents, root)
    if declared:
        declare(agent, *declared)
    assert ask_for(agent, place(listener))["how"] == "undeclared"


def test_targets_are_declared_once(agents: list[Agent], root: Path, listener: socket.socket) -> None:
    agent = relay(agents, root)
    declare(agent, ("192.0.2.1", 25))
    declare(agent, place(listener))
    assert ask_for(agent, place(listener))["how"] == "undeclared"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "fe80::1", "::ffff:127.0.0.1", "224.0.0.1"]
)
def test_the_host_s_own_loopback_is_never_a_target(agents: list[Agent], root: Path, address: str) -> None:
    agent = relay(agents, root, before="")
    declare(agent, (address, 25))
    assert ask_for(agent, (address, 25))["how"] == "undeclared"


def test_a_port_where_nobody_listens_is_refused_as_it_is(agents: list[Agent], root: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        agent = relay(agents, root)
        declare(agent, place(held))
        told = ask_for(agent, place(held))
    assert (told["t"], told["how"]) == ("refused", "refused")


def test_only_so_many_octets_are_on_their_way(
    agents: list[Agent], root: Path, listener: socket.socket
) -> None:
    """The rest stays with the server until somebody takes what has come."""
    agent = relay(agents, root)
    declare(agent, place(listener))
    ask_for(agent, place(listener))
    server, __ = listener.accept()
    with server:
        sender = threading.Thread(target=server.sendall, args=(b"x" * (3 * 256 * 1024),), daemon=True)
        sender.start()
        got = 0
        while got < 256 * 1024:
            got += len(base64.b64decode(agent.until("data")["data"]))
        assert got == 256 * 1024
        agent.send("source", id=7, address="127.0.0.1")
        assert agent.until("source", "data")["t"] == "source"  # and nothing more came before it
        agent.send("taken", id=1, octets=2 * 256 * 1024)
        assert agent.until("data")["t"] == "data"
        agent.send("close", id=1)


def test_more_octets_than_a_relay_carries_end_it(
    agents: list[Agent], root: Path, listener: socket.socket
) -> None:
    agent = relay(agents, root, LOOPBACK + "relay.OCTETS = 1000\n")
    declare(agent, place(listener))
    ask_for(agent, place(listener))
    agent.send("data", id=1, data=text(b"x" * 1001))
    assert agent.until("end")["status"] == "failed"


def test_so_many_connections_and_no_more(agents: list[Agent], root: Path, listener: socket.socket) -> None:
    agent = relay(agents, root, LOOPBACK + "relay.CONNECTIONS = 2\n")
    declare(agent, place(listener))
    assert [ask_for(agent, place(listener), number)["t"] for number in (1, 2)] == ["opened", "opened"]
    assert ask_for(agent, place(listener), 3)["how"] == "busy"
    agent.send("close", id=1)
    assert ask_for(agent, place(listener), 4)["t"] == "opened"


def test_its_time_is_over(agents: list[Agent], root: Path) -> None:
    agent = Agent(None, job(str(root), "relay", seconds=1), LOOPBACK)
    agents.append(agent)
    assert agent.until("end")["status"] == "failed"


def test_it_ends_with_its_channel(root: Path, listener: socket.socket) -> None:
    agent = Agent(None, job(str(root), "relay", seconds=600), LOOPBACK)
    agent.until("relaying")
    declare(agent, place(listener))
    ask_for(agent, place(listener))
    server, __ = listener.accept()
    before = sorted(root.rglob("*"))
    agent.hang_up()
    assert agent.died() == 0
    with server:
        assert server.recv(1) == b""  # and the connections with it
    assert sorted(root.rglob("*")) == before


QUESTION = dns.message.make_query("alpha.test", "MX").to_wire()


def test_questions_go_to_name_servers_alone(agents: list[Agent], root: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        number = server.getsockname()[1]
        agent = relay(agents, root, servers=[{"address": "127.0.0.1", "port": number}])
        asked = {"address": "127.0.0.1", "port": number, "seconds": 60, "tcp": False}
        agent.send("query", id=1, data=text(QUESTION), **asked)
        data, peer = server.recvfrom(4096)
        assert data == QUESTION
        server.sendto(b"whatever it says", peer)
        told = agent.until("answered")
        assert (base64.b64decode(told["data"]), told["why"]) == (b"whatever it says", "")
        agent.send(
            "query", id=2, data=text(QUESTION), **{**asked, "port": number + 1 if number < 65535 else 1}
        )
        assert agent.until("answered")["why"] == "undeclared"
        transfer = dns.message.make_query("alpha.test", "AXFR").to_wire()
        for number, other in enumerate((transfer, b"GET / HTTP/1.1\r\n\r\n", b"", QUESTION[:11]), start=3):
            agent.send("query", id=number, data=text(other), **asked)
            assert agent.until("answered")["why"] == "undeclared"


def test_a_name_server_that_says_nothing_is_told(agents: list[Agent], root: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        number = server.getsockname()[1]
        agent = relay(agents, root, servers=[{"address": "127.0.0.1", "port": number}])
        more = {"address": "127.0.0.1", "port": number, "tcp": False}
        agent.send("query", id=1, data=text(QUESTION), seconds=0.1, **more)
        assert agent.until("answered")["why"] == "timeout"


def test_a_question_over_tcp(agents: list[Agent], root: Path, listener: socket.socket) -> None:
    address, number = place(listener)
    agent = relay(agents, root, servers=[{"address": address, "port": number}])
    agent.send("query", id=1, address=address, port=number, seconds=60, tcp=True, data=text(QUESTION))
    server, __ = listener.accept()
    with server:
        assert server.recv(4096) == len(QUESTION).to_bytes(2, "big") + QUESTION
        for octet in (3).to_bytes(2, "big") + b"abc":  # in pieces
            server.sendall(bytes([octet]))
        assert base64.b64decode(agent.until("answered")["data"]) == b"abc"


def test_the_resolvers_of_the_host_are_told(agents: list[Agent], root: Path) -> None:
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/resolv.conf").write_text("# mine\nsearch a.test\nnameserver 192.0.2.53\nnameserver odd\n")
    agent = Agent(None, job(str(root), "relay", seconds=600), LOOPBACK)
    agents.append(agent)
    assert agent.until("relaying")["resolvers"] == ["192.0.2.53"]
