"""Which sentence a failing connection gives, and that the first address to answer wins."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from mailprov.errors import HostUnreachable
from mailprov.transport.cancellation import CancelToken
from mailprov.transport.tcp import _race, open_socket
from tests.unit.dns.servers import free_port


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_the_socket_sends_small_packets_at_once(listener: socket.socket) -> None:
    with open_socket("mx1", "127.0.0.1", listener.getsockname()[1], 60) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getblocking()


def test_refused() -> None:
    port = free_port()
    with pytest.raises(HostUnreachable) as caught:
        open_socket("mx1", "127.0.0.1", port, 60)
    assert str(caught.value) == (
        f"mx1: 127.0.0.1 port {port} refused the connection. "
        "Check `ssh.port`, and that sshd runs on the host."
    )


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a..b", "x" * 300])
def test_a_name_that_does_not_resolve(name: str) -> None:
    with pytest.raises(HostUnreachable, match="does not resolve"):
        open_socket("mx1", name, 22, 5)


def test_no_answer_in_time() -> None:
    # A full backlog: the kernel drops further SYNs.
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            with pytest.raises(HostUnreachable, match=r"did not answer within 0\.5 s"):
                open_socket("mx1", "127.0.0.1", port, 0.5)
        finally:
            for filler in fillers:
                filler.close()


def test_a_dead_first_address_does_not_cost_the_whole_timeout(listener: socket.socket) -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        dead.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(dead.getsockname())
        winner, failures = _race(
            [
                (socket.AF_INET, ("127.0.0.1", free_port())),
                (socket.AF_INET, dead.getsockname()),
                (socket.AF_INET, listener.getsockname()),
            ],
            10,
            CancelToken(),
        )
        assert winner is not None
        assert winner.getpeername() == listener.getsockname()
        assert len(failures) == 1  # the dead one has not failed: nobody has waited for that
        winner.close()
        for filler in fillers:
            filler.close()
