"""What the fuzzer and a careful look have found in the clients: each was red once, and keeps what was mended."""

from __future__ import annotations

import datetime
import socket
import struct
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from mailprov.probe.clients import connection as connections
from mailprov.probe.clients import https, tls
from mailprov.probe.clients.connection import Connection, Deadline, Transcript
from mailprov.probe.clients.errors import ConnectionClosed, ProtocolError, TlsError
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.managesieve import ManageSieve
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.clients.smtp import Smtp
from mailprov.probe.mailauth import dkim, received
from mailprov.records.spf_text import SpfError, parse

_LONG = 3600.0
_DIGITS = b"9" * 5000


class Sayings:
    """A socket that has said all of this, and closes."""

    def __init__(self, *said: bytes, times: int = 1) -> None:
        self._said, self._times, self._at = b"".join(said), times, 0

    def recv(self, most: int) -> bytes:
        if not self._times:
            return b""
        chunk = self._said[self._at : self._at + most]
        self._at += len(chunk)
        if self._at >= len(self._said):
            self._at, self._times = 0, self._times - 1
        return chunk

    def send(self, data: bytes) -> int:
        return len(data)

    def settimeout(self, seconds: float | None) -> None:
        pass

    def close(self) -> None:
        pass


def connection(*said: bytes, times: int = 1) -> Connection:
    sayings = Sayings(*said, times=times)
    return Connection(sayings, Deadline(_LONG), Transcript())  # type: ignore[arg-type]


def test_a_number_of_five_thousand_digits_is_no_number() -> None:
    assert Pop3(connection(b"+OK\r\n" + _DIGITS + b" a\r\n7 b\r\n.\r\n")).identifiers() == [(7, "b")]
    said = b"* SEARCH " + _DIGITS + " \u00b2 \u0661 7\r\n".encode() + b"m1 OK x\r\n"
    assert Imap(connection(said)).search("ALL") == [7]


def test_a_nul_in_a_received_field_is_not_taken_for_a_mark() -> None:
    text = b"Received: from a.test \0" + _DIGITS + b"\0 (x [192.0.2.1]) by b.test with ESMTPS id 1\r\n\r\n"
    assert received.hops(text)[0].from_address == "192.0.2.1"


@pytest.mark.parametrize("kind", [Imap, ManageSieve])
def test_literals_without_end_take_no_time(kind: type[Imap | ManageSieve]) -> None:
    """Sixteen times as many took 250 times as long, within one deadline that nobody looked at."""
    spent = []
    for count in (2_000, 32_000):
        began = time.process_time()
        with pytest.raises(ConnectionClosed):
            kind(connection(b"{1}\r\n" + b"x" * 60, times=count)).greet()
        spent.append(time.process_time() - began)
    assert spent[1] < 100 * spent[0] + 0.5


ENDLESS = {
    "smtp": (b"220-ab\r\n", lambda one: Smtp(one).greet()),
    "imap": (b"* OK\r\n", lambda one: Imap(one).command("NOOP")),
    "sieve": (b'"X"\r\n', lambda one: ManageSieve(one).greet()),
    "pop": (b"+OK\r\n", lambda one: Pop3(one).capabilities()),
}


@pytest.mark.parametrize("protocol", ENDLESS)
def test_a_reply_of_short_lines_without_end_has_an_end(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, ask = ENDLESS[protocol]
    monkeypatch.setattr(connections, "_REPLY_LIMIT", 1000)
    with pytest.raises(ProtocolError, match="more than 1000 lines"):
        ask(connection(line, times=2000))


def test_a_server_that_resets_the_connection_before_the_handshake_is_told_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = Connection.connect("127.0.0.1", listening.getsockname()[1], Deadline(_LONG), Transcript())
        server = listening.accept()[0]
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.close()
        while client._sock.getsockopt(socket.SOL_TCP, socket.TCP_INFO, 1)[0] == 1:  # established
            time.sleep(0.01)
        with client, pytest.raises(ConnectionClosed):
            client.start_tls(tls.looking_context(), "mx.test")


@pytest.mark.parametrize("name", [".", "a" * 64 + ".test", ".test"])
def test_a_name_that_no_certificate_can_have_is_told_so(name: str) -> None:
    here, there = socket.socketpair()
    with (
        there,
        Connection(here, Deadline(_LONG), Transcript()) as client,
        pytest.raises(TlsError, match="no name"),
    ):
        client.start_tls(tls.looking_context(), name)


@pytest.mark.parametrize("term", ["a/33", "mx/99999999999", "a//129", "a/24//200"])
def test_a_network_that_there_is_not_is_an_error_of_the_record(term: str) -> None:
    with pytest.raises(SpfError, match="names a network that there is not"):
        parse(f"v=spf1 {term} -all")
    assert parse("v=spf1 a/24//64 mx/32 a//128 -all")


@pytest.mark.parametrize(("tag", "why"), [("h=sha1", "SHA-256"), ("s=tlsrpt", "not for mail")])
def test_a_key_that_receivers_do_not_take_for_mail_is_none(tag: str, why: str) -> None:
    """RFC 6376 section 3.6.1."""
    key = "A" * 43 + "="
    with pytest.raises(dkim.BadSignature, match=why):
        dkim.key_of(f"v=DKIM1; {tag}; k=ed25519; p={key}")
    for right in ("h=sha1:sha256; ", "s=email; ", "s=*; ", ""):
        assert dkim.key_of(f"v=DKIM1; {right}k=ed25519; p={key}").kind == "ed25519"


def test_a_path_outside_of_ascii_is_told_so() -> None:
    with pytest.raises(ProtocolError, match="not all of the request is ASCII"):
        https.ask(connection(b"HTTP/1.1 200 OK\r\n\r\n"), "a.test", "/\u00e9", 10)


def test_a_certificate_that_openssl_takes_and_nobody_can_read_is_told_so() -> None:
    with pytest.raises(ProtocolError, match="cannot be read"):
        tls.Leaf.parse(_with_an_extension_twice())
    with pytest.raises(ProtocolError, match="cannot be read"):
        tls.Leaf.parse(b"\x30\x82\x01")


def _with_an_extension_twice() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.test")])
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(day).not_valid_after(day.replace(year=2030))
    for oid in ("2.5.29.99", "2.5.29.98"):
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x04\x00"), critical=False
        )
    der = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    return der.replace(b"\x06\x03\x55\x1d\x62", b"\x06\x03\x55\x1d\x63")
