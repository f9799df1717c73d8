"""The verifier of DKIM signatures, on a message that Rspamd signed (RSA-2048, Ed25519) and a second host sealed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailprov.probe.mailauth import dkim

MESSAGE = (Path(__file__).parent / "data" / "signed.eml").read_bytes().replace(b"\n", b"\r\n")
RSA = (
    "v=DKIM1; k=rsa; p="
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAl6aSK1mncnTbHBP5KeAdSBoBMDwL9trDj17f"
    "b9+dm1rFb5Hg+dMQh0xBDEffzAQbSUVi/cstIwaji+8M1C3osdGnJ18aSz1LYSosV9+VrTq51g5utmgQ"
    "mJGRwWpDPUUmOkdpZm561gOsuE4bOlfgPr+GKx0LGPDqeVmD2xyl/6eVMYu6ZsgpN3V92653nQFHurN9"
    "v4utT4ZzAA4CWlVWAj+6P3YZlQXpy7nV4Z86TRaOFhY/J2uDa8I1K2GCG2triZe1pdK5Q437VjvULaez"
    "6sCLso5P9vIZk0/nOITOF1ipjUkD/vSu80YxacKVnR0/M93XMEDgiOLDjmX6GcQdvQIDAQAB"
)
EDWARDS = "v=DKIM1; k=ed25519; p=XBjkVg8DUEyRSZNiqvaod5/4gK94nQTYM85U4CUu2r4="


def check(message: bytes, key: str, which: int) -> str:
    """Why it does not hold, or nothing."""
    try:
        dkim.verify(message, dkim.signatures(message)[which], dkim.key_of(key))
    except dkim.BadSignature as reason:
        return str(reason)
    return ""


def test_both_signatures_hold() -> None:
    rsa, edwards = dkim.signatures(MESSAGE)
    assert (rsa.record, edwards.record) == (
        "mx2-rsa-1._domainkey.beta.test",
        "mx2-ed25519-2._domainkey.beta.test",
    )
    assert {"from", "subject", "date", "to", "message-id"} <= set(rsa.signed)
    assert check(MESSAGE, RSA, 0) == check(MESSAGE, EDWARDS, 1) == ""
    assert (dkim.key_of(RSA).bits, dkim.key_of(EDWARDS).bits) == (2048, 0)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"Subject: test", b"Subject: tost", "header field"),
        (b"From: <eva@beta.test>", b"From: <eva@beta.tent>", "header field"),
        (b"\r\n\r\nhello", b"\r\n\r\nhallo", "the body"),
        (b"Subject: test\r\n", b"Subject: test\r\nSubject: more\r\n", "header field"),  # it is oversigned
        (b"a=rsa-sha256", b"a=rsa-sha1", "rsa-sha1"),
        (b"h=from:from:", b"h=", "does not cover From"),
        (b"h=from:from:", b"h=from:", "header field"),
        (b"; d=beta.test; s=mx2-rsa-1;", b"; d=beta.test; l=2; s=mx2-rsa-1;", "l="),
    ],
)
def test_what_was_altered_is_seen(old: bytes, new: bytes, reason: str) -> None:
    assert old in MESSAGE
    head, mark, rest = MESSAGE.partition(b"DKIM-Signature:")
    assert reason in check(head + mark + rest.replace(old, new, 1), RSA, 0)


def test_blanks_that_relaxed_form_allows_do_no_harm() -> None:
    altered = MESSAGE.replace(b"Subject: test", b"SUBJECT:   test  ").replace(b"hello", b"hello  ")
    assert check(altered + b"\r\n\r\n", RSA, 0) == ""


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("v=DKIM1; k=rsa; p=", "revoked"),
        ("v=DKIM2; p=AAAA", "no DKIM key"),
        ("v=DKIM1; k=rsa; p=AAAA", "no readable key"),
        ("v=DKIM1; k=rsa; p=***", "no readable key"),
        (EDWARDS, "the published key is of type ed25519"),
        (RSA[:-20], "no readable key"),
    ],
)
def test_a_key_that_is_none_or_another_is_named(record: str, reason: str) -> None:
    assert reason in check(MESSAGE, record, 0)


def test_a_key_may_be_cut_and_a_test() -> None:
    """Blanks in p= are allowed (RFC 6376 section 3.6.1)."""
    assert dkim.key_of(RSA.replace("MIIB", "MI IB") + "; t=y:s").testing
    assert not dkim.key_of(RSA).testing


def test_the_canonical_forms_are_those_of_the_rfc() -> None:
    """RFC 6376 section 3.4.6, examples 1 and 2."""
    fields, body = [b"A: X\r\n", b"B : Y\t\r\n\tZ  \r\n"], b" C \r\nD \t E\r\n\r\n\r\n"
    assert [dkim._field(field, "relaxed") for field in fields] == [b"a:X\r\n", b"b:Y Z\r\n"]
    assert [dkim._field(field, "simple") for field in fields] == fields
    assert dkim._body(body, "relaxed") == b" C\r\nD E\r\n"
    assert dkim._body(body, "simple") == b" C \r\nD \t E\r\n"
    assert (dkim._body(b"", "simple"), dkim._body(b"", "relaxed")) == (b"\r\n", b"")
