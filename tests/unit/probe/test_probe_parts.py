"""The parts that judge without a network, the stream on a socket pair, and the catalogue."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import socket
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprov.model.findings import Verdict
from mailprov.probe import catalogue
from mailprov.probe.clients import connection
from mailprov.probe.clients.connection import Connection, Deadline, Transcript
from mailprov.probe.clients.errors import ConnectionClosed, ProtocolError, ReadTimeout, ResponseInjection
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.clients.resolver import Answer
from mailprov.probe.clients.smtp import Smtp
from mailprov.probe.clients.tls import Leaf, looking_context, remaining_fraction
from mailprov.probe.mailauth import message, received, spf

POSTFIX = (
    b"Return-Path: <ana@alpha.test>\r\nDelivered-To: eva@beta.test\r\n"
    b"Received: from mx2.beta.test\r\n\tby mx2.beta.test (Dovecot) with LMTP id a\r\n\tfor <e@b.test>; x\r\n"
    b"Received: from mx1.alpha.test (mx1.alpha.test [IPv6:fd00:77::140])\r\n"
    b"\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n"
    b"\t key-exchange X25519 server-signature ECDSA (P-256) server-digest SHA256)\r\n"
    b"\t(No client certificate requested)\r\n"
    b"\tby mx2.beta.test (Postfix) with ESMTPS id 4F0\r\n\tfor <eva@beta.test>; Tue, 24 Nov 2026\r\n"
    b"Received: from [10.0.0.9] (by-the-way.example [10.0.0.9])\r\n"
    b"\tby mx1.alpha.test (Postfix) with ESMTPSA id 4F1\r\n\tfor <eva@beta.test>; Tue, 24 Nov 2026\r\n"
    b"Subject: x\r\n\r\nReceived: from nowhere by nobody with SMTP\r\n"
)
EXIM = (
    b"Received: from [192.0.2.5] (helo=mx1.alpha.test)\r\n"
    b"\tby mx2.beta.test with esmtps  (TLS1.3) tls TLS_AES_256_GCM\r\n\t(Exim 4.96)\r\n\tid 1x; x\r\n\r\n"
)
ROUTE = received.Route("mx1.alpha.test", ("10.0.0.1", "fd00:77::140"), ("mx2.beta.test",))


def test_received_fields_of_postfix_and_dovecot() -> None:
    lmtp, transfer, submission = received.hops(POSTFIX)
    assert (lmtp.by, lmtp.protocol) == ("mx2.beta.test", "LMTP")
    assert transfer == received.Hop("mx1.alpha.test", "fd00:77::140", "mx2.beta.test", "ESMTPS")
    assert submission == received.Hop("[10.0.0.9]", "10.0.0.9", "mx1.alpha.test", "ESMTPSA")
    assert received.judge(received.hops(POSTFIX), ROUTE)[0] is Verdict.PASS


def test_received_field_of_exim() -> None:
    (hop,) = received.hops(EXIM)
    # Where it could not verify the name in EHLO, it shows the address, and that name in a comment.
    assert hop == received.Hop("mx1.alpha.test", "192.0.2.5", "mx2.beta.test", "ESMTPS")


def test_received_field_of_courier() -> None:
    """IPv4 addresses are of IPv6's form there."""
    text = b"Received: from mx1.alpha.test ([::ffff:192.0.2.5])\r\n  by mx2.beta.test with ESMTPS; x\r\n\r\n"
    (hop,) = received.hops(text)
    assert hop == received.Hop("mx1.alpha.test", "192.0.2.5", "mx2.beta.test", "ESMTPS")


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_chain_needs_both_hops(gone: int) -> None:
    chain = [hop for i, hop in enumerate(received.hops(POSTFIX)) if i != gone]
    assert (received.judge(chain, ROUTE)[0] is Verdict.PASS) == (gone == 0)


def test_the_transfer_must_come_after_the_submission() -> None:
    _, transfer, submission = received.hops(POSTFIX)
    assert received.judge([submission, transfer], ROUTE)[0] is Verdict.FAIL


@given(st.binary(max_size=300))
def test_received_never_breaks_on_garbage(text: bytes) -> None:
    received.judge(received.hops(b"Received: " + text), ROUTE)


def test_the_message_holds_what_careless_software_alters() -> None:
    text = message.build("token", "run", "a@x.test", "b@y.test", eight_bit=True)
    lines = text.split(b"\r\n")
    assert {b".", b".."} <= set(lines)
    assert max(map(len, lines)) == 998
    assert any(line.startswith(b"From ") for line in lines)
    assert any(line.endswith(b" ") for line in lines)
    assert text.count(b"\n") == text.count(b"\r\n")
    assert not message.body_of(text).isascii()
    assert message.build("token", "run", "a@x.test", "b@y.test", eight_bit=False).isascii()
    assert message.first_difference(text, text) == ""
    assert "byte 5" in message.first_difference(b"abcdef", b"abcdeX")


ZONE = {
    ("a.test", "TXT"): ["v=spf1 ip4:10.0.0.0/24 ip6:fd00::/16 mx include:b.test ~all"],
    ("a.test", "MX"): ["10 mx.a.test"],
    ("mx.a.test", "A"): ["10.1.1.1"],
    ("b.test", "TXT"): ["v=spf1 a:h.b.test/24//64 exists:e.b.test -all", "v=spf10 no"],
    ("h.b.test", "A"): ["10.2.2.2"],
    ("h.b.test", "AAAA"): ["fd01::1"],
    ("r.test", "TXT"): ["v=spf1 redirect=a.test exp=x.test"],
    ("q.test", "TXT"): ["v=spf1 ?ip4:10.9.9.9"],
    ("loop.test", "TXT"): ["v=spf1 include:loop.test -all"],
    ("two.test", "TXT"): ["v=spf1 -all", "V=SPF1 a -all"],
    ("none.test", "TXT"): ["hello"],
    ("lost.test", "TXT"): ["v=spf1 include:none.test -all"],
    ("late.test", "TXT"): ["v=spf1 ip4:10.0.0.1 bogus -all"],
    ("six.test", "TXT"): ["v=spf1 ip4:fd00::1 -all"],
    ("many.test", "TXT"): ["v=spf1 " + " ".join(f"a:h{i}.test" for i in range(11)) + " -all"],
    ("ptr.test", "TXT"): ["v=spf1 ptr -all"],
}


def ask(name: str, kind: str) -> Answer:
    return Answer(name, kind, tuple(ZONE.get((name, kind), [])), "test")


@pytest.mark.parametrize(
    ("address", "domain", "result"),
    [
        ("10.0.0.77", "a.test", "pass"),
        ("fd00::9", "a.test", "pass"),
        ("10.1.1.1", "a.test", "pass"),
        ("10.2.2.9", "a.test", "pass"),
        ("fd01::99", "a.test", "pass"),
        ("10.3.3.3", "a.test", "softfail"),
        ("10.0.0.77", "r.test", "pass"),
        ("10.3.3.3", "b.test", "fail"),
        ("10.9.9.9", "q.test", "neutral"),
        ("10.3.3.3", "q.test", "neutral"),
        ("10.3.3.3", "none.test", "none"),
    ],
)
def test_spf_results(address: str, domain: str, result: str) -> None:
    assert spf.check_host(address, domain, ask) == result


@pytest.mark.parametrize(
    "domain", ["loop.test", "two.test", "lost.test", "late.test", "six.test", "many.test"]
)
def test_spf_permanent_errors(domain: str) -> None:
    with pytest.raises(spf.SpfError):
        spf.check_host("10.3.3.3", domain, ask)


def test_spf_ptr_is_not_evaluated() -> None:
    with pytest.raises(spf.NotEvaluated):
        spf.check_host("10.3.3.3", "ptr.test", ask)


def test_remaining_fraction_is_the_same_for_short_and_long_lives() -> None:
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    for days in (6, 45, 3650):
        life = datetime.timedelta(days=days)
        leaf = Leaf(b"", "", "", (), now - life / 4, now + life * 3 / 4, False)
        assert remaining_fraction(leaf, now) == pytest.approx(0.75)
        assert remaining_fraction(dataclasses.replace(leaf, not_after=now - life / 8), now) < 0


class Wire:
    """A stream, and the other end of its socket."""

    def __init__(self, seconds: float = 5) -> None:
        ours, self.peer = socket.socketpair()
        self.transcript = Transcript()
        self.connection = Connection(ours, Deadline(seconds), self.transcript)


@pytest.mark.parametrize(
    "said",
    [
        b"250-one\r\n251 two\r\n",
        b"hello\r\n",
        b"25\r\n",
        b"999 x\r\n",
        b"\r\n",
        b"250-a\r\nb\r\n",
        b"2500 x\r\n",
    ],
)
def test_what_is_no_smtp_reply_is_garbage(said: bytes) -> None:
    wire = Wire()
    wire.peer.sendall(said)
    with pytest.raises(ProtocolError):
        Smtp(wire.connection).reply()


def test_smtp_reply_and_enhanced_code() -> None:
    wire = Wire()
    wire.peer.sendall(b"550-5.1.1 first\r\n550 5.1.1 second\r\n250\r\n")
    reply = Smtp(wire.connection).reply()
    assert (reply.code, reply.enhanced, reply.lines) == (550, "5.1.1", ("5.1.1 first", "5.1.1 second"))
    assert Smtp(wire.connection).reply().enhanced == ""


@given(st.lists(st.sampled_from([b".", b"..", b".x", b"x", b"", b"x."]), max_size=8))
def test_dots_survive_smtp_and_pop(lines: list[bytes]) -> None:
    body = b"".join(line + b"\r\n" for line in lines)
    out = Wire()
    out.peer.sendall(b"354 go on\r\n250 ok\r\n")
    assert Smtp(out.connection).data(body).code == 250
    sent = out.peer.recv(65536).removeprefix(b"DATA\r\n")
    assert sent.endswith(b".\r\n")
    back = Wire()
    back.peer.sendall(b"+OK\r\n" + sent)  # both protocols stuff alike
    assert Pop3(back.connection).retrieve(1) == body
    for wire in (out, back):
        wire.connection.close()
        wire.peer.close()


def test_imap_literals_and_folder_names() -> None:
    wire = Wire()
    wire.peer.sendall(
        b'* LIST () "/" INBOX\r\n* LIST (\\Noselect) "/" "x"\r\n'
        b'* LIST () "." "a \\"b\\""\r\n* LIST () NIL {3}\r\nc d\r\n'
        b"m1 OK done\r\n* 1 FETCH (UID 7 BODY[] {4}\r\na\r\nb)\r\nm2 OK done\r\n"
    )
    client = Imap(wire.connection)
    assert client.folders() == ["INBOX", 'a "b"', "c d"]
    assert client.fetch(7) == b"a\r\nb"


def test_a_server_that_dribbles_does_not_outlive_the_deadline() -> None:
    wire = Wire(seconds=0.3)
    stop = threading.Event()

    def dribble() -> None:
        while not stop.wait(0.02):
            wire.peer.sendall(b"xxx")

    thread = threading.Thread(target=dribble, daemon=True)
    wire.peer.sendall(b"xxx")
    assert wire.connection.surplus() == b"xxx"  # read, however late this machine is
    thread.start()
    with pytest.raises(ReadTimeout):
        wire.connection.line()
    stop.set()
    thread.join()
    assert "xxx" in wire.transcript.lines[-1]


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (b"250-and so on\r\n", lambda connection: Smtp(connection).reply()),
        (b"* OK still here\r\n", lambda connection: Imap(connection).command("NOOP")),
        (b"+OK and so on\r\n", lambda connection: Pop3(connection).retrieve(1)),
        (b"* OK {999999999}\r\n", lambda connection: Imap(connection).command("NOOP")),
    ],
    ids=["smtp", "imap", "pop", "literal"],
)
def test_a_server_that_talks_without_end_is_stopped(
    said: bytes, read: Callable[[Connection], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_TOTAL_LIMIT", 2**20)
    wire = Wire(seconds=60)
    given = [0]

    def flood() -> None:
        with contextlib.suppress(OSError):
            while given[0] < 2**26:
                given[0] += wire.peer.send(said * 1000)

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    with pytest.raises(ProtocolError, match=r"without an end|is announced"):
        read(wire.connection)
    wire.connection.close()
    thread.join(30)
    assert given[0] < 2**23, "it was not listened to"


def test_half_a_line_and_then_nothing_is_dropped() -> None:
    wire = Wire()
    wire.peer.sendall(b"220 half")
    wire.peer.close()
    with pytest.raises(ConnectionClosed):
        wire.connection.line()
    assert "220 half (no line end)" in wire.transcript.lines[-1]


def test_bytes_before_the_handshake_are_never_taken_over() -> None:
    wire = Wire()
    wire.peer.sendall(b"220 ready\r\n")
    assert wire.connection.line() == "220 ready"
    wire.peer.sendall(b"250 evil\r\n")
    with pytest.raises(ResponseInjection, match="10 bytes"):
        wire.connection.start_tls(looking_context(), "x.test")


def test_transcripts_are_safe_to_print_and_bounded() -> None:
    transcript = Transcript()
    transcript.hide("hunter2")
    transcript.add("S", "\x1b[2J hunter2 aHVudGVyMg== \x07")
    assert transcript.lines == ["S: \\x1b[2J **** **** \\x07"]
    for _ in range(1000):
        transcript.add("S", "x" * 10_000)
    assert len(transcript.lines) <= 201
    assert max(map(len, transcript.lines)) < 400


def test_the_catalogue_explains_every_probe() -> None:
    entries = catalogue()
    names = [entry.id for entry in entries]
    assert len(set(names)) == len(names)
    for entry in entries:
        assert entry.title
        assert entry.expected
        assert entry.steps
        assert entry.refs
        verdicts = dict(entry.verdicts)
        assert set(verdicts) <= {"pass", "warn", "fail", "error", "skip"}
        if entry.id in ("hosted.mail", "dns.rpki"):  # say what nobody looked at, and nothing else
            assert set(verdicts) <= {"skip", "error"}
            continue
        assert verdicts["pass"]
        assert "fail" in verdicts or "warn" in verdicts or entry.id == "net.vantage"  # of verify itself
        assert "error" in verdicts or entry.id in {"net.tcp"}
