"""What messages, records and certificates of hypothesis say, against what reads them: each ends with an answer, or with
the error that its contract names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprov.model import mta_sts
from mailprov.probe.clients import tls
from mailprov.probe.clients.answers import Answer
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.mailauth import copies, dkim, dmarc, received
from mailprov.records.spf_check import NotEvaluated, SpfError, check_host
from mailprov.selftest.certificates import make
from tests.unit.probe.fuzz.feeds import COUNTS, Departure, departed, examples

_TEXTS = (
    "v=spf1 ", "v=DMARC1; ", "v=DKIM1; ", "k=rsa; ", "k=ed25519; ", "p=", "p=reject; ", "sp=none; ",
    "rua=mailto:a@b.test", "t=y; ",
    "a ", "mx ", "ip4:192.0.2.0/24 ", "ip6:::1/200 ", "include:b.test ", "redirect=b.test ", "exists:%{i}.x ", "-all",
    "?all ", "+a:",
    "ip4:1.2.3.4/999999 ", "a/33//200 ", "mailto:%00@%ff", "!10m", ",", ";", "=", ":", "/", "..", "@", "b.test",
    "h=sha1; ",
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP", "AAAA", "==", "\u00e9", "\u0661", "\ud7ff", "\0", "9" * 5000,
    "x" * 300, " ", "\t",
)  # fmt: skip
_RIGHT = (
    b"Return-Path: <a@b.test>\r\nReceived: from a.test (a.test [IPv6:2001:db8::1])\r\n\tby b.test (Postfix) with ESMTPS"
    b" (using TLSv1.3 with cipher X)\r\n\tid 4ABC for <x@y.test>; Mon, 30 Nov 2026 08:00:00 +0000 (UTC)\r\n"
    b"Received: from [192.0.2.9] (unknown [192.0.2.9]) by a.test with ESMTPSA id 1; date\r\n"
    b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/simple; d=b.test; s=x; h=from:to;\r\n\tbh=AAAA; b=AAAA\r\n"
    b'From: <a@b.test>\r\nTo: <x@y.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n'
    b"--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhello=\r\n"
    b'--x\r\nContent-Type: application/octet-stream; name="probe.bin"\r\nContent-Transfer-Encoding: base64\r\n'
    b'Content-Disposition: attachment; filename="probe.bin"\r\n\r\nAAECAw==\r\n--x--\r\n'
)
_ODD = (
    b"\0" + b"9" * 5000 + b"\0", b"\0000\0", b"(", b")", b"((((", b"[IPv6:", b";", b"\r\n", b"\n", b"\r\n\r\n",
    b"=?utf-8?b?", b"?=",
    b"filename*0*=utf-8''%ff; filename*1=", b"filename*=", b"filename=", b"message/rfc822", b"\xff", b"\xe2\x80\xae",
    b'"', b"\\",
    b",", b":", b"'", b"%", b"*", b"=", b"<", b"@", b"c=odd/form; ", b"l=1; ", b"h=; ", b"charset=\xff",
    b"a=rsa-sha256; ", b" ", b"\t",
)  # fmt: skip
RECORDS = st.lists(st.one_of(st.sampled_from(_TEXTS), st.text(max_size=8)), max_size=14).map("".join)
DEPARTURES = st.lists(
    st.tuples(
        st.sampled_from(("insert", "replace", "cut", "flip", "double")),
        st.integers(0, len(_RIGHT)),
        st.one_of(st.sampled_from(_ODD), st.binary(max_size=8)),
    ),
    max_size=4,
)


@examples(0.06)
@given(st.lists(RECORDS, min_size=1, max_size=3))
def test_no_record_breaks_who_reads_it(texts: Sequence[str]) -> None:
    def ask(name: str, kind: str) -> Answer:
        values = {"TXT": tuple(texts), "MX": ("10 b.test",), "A": ("192.0.2.1",)}.get(kind, ())
        return Answer(name, kind, values, "ns.test")

    for text in texts:
        dmarc.policy(text), dmarc.doubts(text), dmarc.tags(text)
        dmarc.without_consent("a.b.test", text, ask)
        with contextlib.suppress(dkim.BadSignature):
            dkim.key_of(text)
        with contextlib.suppress(mta_sts.BadPolicy):
            mta_sts.parse(text)
    dmarc.found_above("a.b.c.test", ask)
    with contextlib.suppress(SpfError, NotEvaluated):
        check_host("192.0.2.1", "b.test", ask)
    COUNTS["records"] += 1


@pytest.fixture(scope="module")
def key() -> dkim.PublicKey:
    return dkim.key_of("v=DKIM1; k=ed25519; p=" + "A" * 43 + "=")


def test_no_message_breaks_who_reads_it(key: dkim.PublicKey) -> None:
    @examples(0.06)
    @given(DEPARTURES)
    def hold(departures: list[Departure]) -> None:
        text = _RIGHT
        for departure in departures:
            text = departed(text, departure)
        chain = received.hops(text)
        [str(hop) for hop in chain]
        received.judge(chain, received.Route("a.test", ("192.0.2.1",), ("b.test",)))
        received.judge_local(chain, "a.test")
        copies.attached(text)
        for signature in dkim.signatures(text):
            with contextlib.suppress(dkim.BadSignature):
                dkim.verify(text, signature, key)
        COUNTS["messages"] += 1

    hold()


def test_no_certificate_breaks_who_reads_it() -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    right = make(("a.test", "b.test"), None).certificate.public_bytes(Encoding.DER)

    @examples(0.04)
    @given(st.lists(st.tuples(st.integers(0, len(right) - 1), st.integers(0, 255)), max_size=3))
    def hold(changes: list[tuple[int, int]]) -> None:
        octets = bytearray(right)
        for at, octet in changes:
            octets[at] = octet
        try:
            leaf = tls.Leaf.parse(bytes(octets))
            leaf.is_for("a.test")
        except ProbeError as error:
            str(error)
        COUNTS["certificates"] += 1

    hold()
