"""A connection that breaks under a running conversation, with paramiko on both sides of a socket pair."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import paramiko
import pytest

from mailprov.errors import HostFailed
from mailprov.transport.conversation import Conversation
from mailprov.transport.ssh.client import ExecPipe

TAG = "00aa11bb22cc33dd"


class Breakable:
    """A socket that sends nothing any more once `broken`, while its other direction is still open.

    So it is between the moment when a host is gone and the moment when paramiko's reading thread sees it.
    """

    def __init__(self, around: socket.socket) -> None:
        self._around = around
        self.broken = False

    def send(self, data: bytes) -> int:
        if self.broken:
            raise BrokenPipeError
        return self._around.send(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._around, name)


class Host(paramiko.ServerInterface):
    """Lets everybody in and takes every command."""

    def check_auth_none(self, username: str) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return True


Ends = tuple[Breakable, ExecPipe, paramiko.Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The client's socket, its pipe, and the host's end of the channel."""
    near, far = socket.socketpair()
    host = paramiko.Transport(far)
    host.add_server_key(paramiko.ECDSAKey.generate())
    host.start_server(threading.Event(), Host())  # with an event it does not wait for the client
    line = Breakable(near)
    client = paramiko.Transport(line)  # type: ignore[arg-type]
    for each in (client, host):
        each.banner_timeout = each.handshake_timeout = each.auth_timeout = 60
    client.start_client(timeout=60)
    client.auth_none("root")
    session = client.open_session(timeout=60)
    session.exec_command("agent")
    pipe = ExecPipe(client, session)
    channel = host.accept(60)
    assert channel is not None
    yield line, pipe, channel
    pipe.close()
    host.close()


def test_what_is_sent_over_a_connection_that_has_just_broken_raises_nothing(ends: Ends) -> None:
    line, pipe, _ = ends
    talk = Conversation("mx1", pipe, TAG)
    line.broken = True
    talk.send({"t": "cancel"})  # of a Ctrl-C at the moment when the agent has ended by itself


def test_a_connection_that_breaks_while_much_is_read_is_told_as_lost(ends: Ends) -> None:
    line, pipe, channel = ends
    talk = Conversation("mx1", pipe, TAG)
    channel.sendall(b"x" * 500_000 + b"\n")  # so much that paramiko wants to say that it was read
    line.broken = True
    with pytest.raises(HostFailed, match="the connection was lost"):
        list(talk.messages())
