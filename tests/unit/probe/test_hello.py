"""A ClientHello of our own is understood by OpenSSL, which answers as it is told to; and what a hostile server answers
ends as an error.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator

import pytest

from mailprov.probe.clients import hello
from mailprov.probe.clients.connection import Connection, Deadline, Transcript
from mailprov.probe.clients.errors import ConnectionClosed, ProtocolError
from mailprov.selftest.certificates import Authority

V = ssl.TLSVersion
OLD, OLDER, OLDEST = (hello.old(version)[0] for version in (hello.TLS11, hello.TLS10, hello.SSL3))
WEAK = hello.Offer(hello.TLS12, tuple(suite for kind in hello.WEAK.values() for suite in kind))


@contextlib.contextmanager
def served(answer: Callable[[socket.socket], None]) -> Iterator[Connection]:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError), listening.accept()[0] as sock:
                answer(sock)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        with Connection.connect("127.0.0.1", port, Deadline(60), Transcript()) as connection:
            yield connection
        thread.join(60)


def openssl(authority: Authority, lowest: V, highest: V, suites: str) -> Callable[[socket.socket], None]:
    authority.context("x.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.folder / "x.test-right.pem")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = lowest, highest
    if suites:
        context.set_ciphers(suites)

    def answer(sock: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError):
            context.wrap_socket(sock, server_side=True)

    return answer


ALL = "ALL:eNULL:@SECLEVEL=0"


@pytest.mark.parametrize(
    ("lowest", "highest", "suites", "offer", "version", "kind"),
    [
        (V.TLSv1_2, V.TLSv1_3, "", hello.MODERN, hello.TLS13, ""),
        (V.TLSv1_2, V.TLSv1_2, "", hello.MODERN, hello.TLS12, ""),
        (V.TLSv1_2, V.TLSv1_3, "", OLD, 0, ""),
        (V.TLSv1_2, V.TLSv1_3, "", WEAK, 0, ""),
        (V.TLSv1, V.TLSv1, ALL, hello.MODERN, 0, ""),
        (V.TLSv1, V.TLSv1, ALL, OLD, hello.TLS10, ""),
        (V.TLSv1, V.TLSv1_3, ALL, hello.MODERN, hello.TLS13, ""),
        (V.TLSv1, V.TLSv1_3, ALL, OLD, hello.TLS11, ""),
        (V.TLSv1, V.TLSv1_3, ALL, OLDER, hello.TLS10, ""),
        (V.TLSv1, V.TLSv1_3, ALL, OLDEST, 0, ""),
        (V.TLSv1_2, V.TLSv1_3, "eNULL:HIGH:@SECLEVEL=0", WEAK, hello.TLS12, "NULL"),
        (V.TLSv1_2, V.TLSv1_3, "aNULL:HIGH:@SECLEVEL=0", WEAK, hello.TLS12, "aNULL"),
    ],
)
def test_openssl_answers_what_it_is_configured_for(
    authority: Authority, lowest: V, highest: V, suites: str, offer: hello.Offer, version: int, kind: str
) -> None:
    with served(openssl(authority, lowest, highest, suites)) as connection:
        answer = hello.say(connection, offer, "x.test")
    assert (answer.version, answer.accepted) == (version, bool(version))
    assert answer.accepted or answer.alert in {"protocol_version", "handshake_failure"}
    assert not kind or answer.suite in hello.WEAK[kind]


def test_a_hello_over_several_records_is_put_together() -> None:
    body = b"\3\3" + b"r" * 32 + b"\0\xc0\x2b\0\0\6\0\x2b\0\2\3\4"
    message = b"\2" + len(body).to_bytes(3, "big") + body
    parts = b"".join(b"\x16\3\3\0\1" + bytes([octet]) for octet in message)

    def answer(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"\x15\3\3\0\2\1\x70" + parts)  # and before it: the name is not known, only a warning

    with served(answer) as connection:
        assert hello.say(connection, hello.MODERN, "x.test") == hello.Answer(hello.TLS13, 0xC02B)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"220 mail.test ESMTP\r\n", ProtocolError),
        (b"\x16\3\3\0\0", ProtocolError),
        (b"\x16\3\3\xff\xff" + b"x" * 65535, ProtocolError),
        (b"\x16\3\3\0\4\x0b\0\0\0", ProtocolError),  # a certificate first
        (b"\x16\3\3\0\4\2\0\0\0", ProtocolError),  # an empty ServerHello
        (
            b"\x16\3\3\0\x2a\2\0\0\x26\x7f\x12" + b"r" * 32 + b"\xff\0\0\0",
            ProtocolError,
        ),  # ends in its session id
        (b"\x16\3\3\0\x2a\2\0\0\x26\x7f\x12" + b"r" * 32 + b"\0\0\x2f\0", ProtocolError),  # version 0x7f12
        (b"\x15\3\3\0\1\2", ProtocolError),
        (b"\x16\3\3\0\x2a\2\xff\xff\xff" + b"r" * 38, ConnectionClosed),  # the rest of 16 MiB never comes
        (b"\x16\3\3\x40\0\2\xff\xff\xff" + (b"x" * 16380 + b"\x16\3\3\x40\0") * 9, ProtocolError),
        (b"", ConnectionClosed),
    ],
)
def test_what_is_no_answer_is_an_error(said: bytes, error: type[Exception]) -> None:
    def answer(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(said)

    with served(answer) as connection, pytest.raises(error):
        hello.say(connection, hello.MODERN, "x.test")


def test_each_suite_is_asked_for_once_and_by_its_key_exchange() -> None:
    weak = [suite for kind in hello.WEAK.values() for suite in kind]
    assert len(weak) == len(set(weak))
    curves, rsa, dh = hello.apart(weak)
    assert sorted((*curves, *rsa, *dh)) == sorted(weak)
    assert {0x0018, 0x0034, 0x006D, 0x0016, 0x0015, 0x0011, 0x000B, 0x0089} <= set(dh)
    assert {0x0001, 0x0003, 0x0005, 0x0009, 0x000A, 0x0062} <= set(rsa)
    assert all(len(offer.suites) <= 64 for offer in hello.old(hello.TLS11))
