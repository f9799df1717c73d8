"""A scripted server ends its connections itself: what hangs up in the middle keeps no client waiting."""

from __future__ import annotations

import contextlib
import socket
import ssl

import pytest

from mailprov.probe.context import port_numbered
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.session import Gone, Session
from mailprov.selftest.state import State

# Nobody waits for it where the server hangs up.
_AT_MOST = 12.0


def test_who_hangs_up_under_tls_is_gone_at_once(lab: ScriptedLab) -> None:
    """Also where no other connection comes that would make the server forget this one."""
    lab.spoil("submission-dies", "")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with lab.world as world:
        plain = socket.create_connection(("127.0.0.2", world.port_map["127.0.0.2", 465]), _AT_MOST)
        with context.wrap_socket(plain, server_hostname="mx2.beta.test") as client:
            assert client.recv(1000).startswith(b"220")
            client.sendall(b"EHLO [127.0.0.9]\r\n")
            with contextlib.suppress(ssl.SSLError, ConnectionError):  # an end without a close_notify
                assert client.recv(1000) == b""


def test_who_leaves_in_the_middle_of_a_literal_keeps_no_thread_busy() -> None:
    here, there = socket.socketpair()
    with here, there:
        session = Session(State(authority=None), here, "127.0.0.1", port_numbered(143))
        there.sendall(b"half")
        there.close()
        with pytest.raises(Gone):
            session.exactly(10)
