"""Probes whose pass rests on a refusal, or on nothing having come: the same run shows what would have been seen."""

from __future__ import annotations

import dataclasses
import re
import ssl
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from mailprov.model.findings import Verdict
from mailprov.probe import clients
from mailprov.probe.checks import certificate_keys
from mailprov.probe.clients import tls
from mailprov.probe.clients.resolver import Answer
from mailprov.probe.mailauth import copies, dkim, message, spf
from mailprov.selftest.address_cases import gone

# A curve of 224 bits, signed by SHA-1: `cryptography` makes no such certificates any more.
_WEAK = b"""-----BEGIN CERTIFICATE-----
MIIBDjCBtgIUeOzf0GL8mkrJtdDvc96okS5RJ/IwCQYHKoZIzj0EATANMQswCQYD
VQQDDAJjYTAgFw0yNjExMzAwODE5MDRaGA8yMTI2MTEwNjA4MTkwNFowEjEQMA4G
A1UEAwwHbXgudGVzdDBOMBAGByqGSM49AgEGBSuBBAAhAzoABIKlaNWih0lN81Nt
r8/5Bsr0OQZYUeMiny2p7VRzMt+xERNSfXNPSKABOt/a3tFB5Hd33YOr1bQMMAkG
ByqGSM49BAEDSAAwRQIgVZj3w1c6Kv5G+modxPI2jBUoloUdMuOBb4odnCimMVsC
IQDDH/q+2XOdVklNYaLvHemB+thsDPzlAbgVSkj1o0vHsw==
-----END CERTIFICATE-----
"""


def test_a_signature_that_holds_for_anything_proves_nothing(lab, monkeypatch):
    monkeypatch.setattr(dkim, "verify", lambda *_: None)
    found = [each for each in lab.verify("delivery.dkim") if each.id == "delivery.dkim"]
    assert {each.verdict for each in found} == {Verdict.ERROR}
    assert all("the check is no good" in each.observed for each in found)


def test_the_altered_messages_of_that_control_differ_in_what_is_signed():
    text = b"To: b\r\nFrom: <a@alpha.test>\r\n\r\nbody\r\n"
    body, header = dkim.tampered(text)
    assert body == b"To: b\r\nFrom: <a@alpha.test>\r\n\r\nxbody\r\n"
    assert header == b"To: b\r\nFrom: x<a@alpha.test>\r\n\r\nbody\r\n"


def test_a_short_curve_and_a_signature_by_sha1_are_weak():
    certificate = x509.load_pem_x509_certificate(_WEAK)
    assert certificate_keys.kind_of(certificate) == ("ECDSA secp224r1, 224 bits", True)
    assert certificate_keys.digest_of(certificate) in certificate_keys.BROKEN


def test_what_is_slipped_in_behind_starttls_goes_out_in_one_piece(lab):
    lab.verify("tls.injection", 25)
    assert (
        "NOOP" not in lab.world.commands
    )  # the server threw it away; a second write would have been too late
    lab.world.faults = frozenset({"obeys-slipped"})
    lab.verify("tls.injection", 25)
    assert lab.world.commands.count("NOOP") == 2  # of two hosts


def test_no_stranger_who_says_to_be_somebody_else_ever_sends_data(lab):
    lab.verify("relay.forged-client relay.after-login smtp.helo smtp.postmaster spoof.envelope")
    assert "DATA" not in lab.world.commands
    assert not any(lab.world.boxes[user] for user in lab.world.boxes if user != "ana@alpha.test")


def test_near_misses_come_between_two_right_logins_and_none_of_them_is_the_right_one(lab):
    found = [each for each in lab.verify("auth.near-miss") if each.id == "auth.near-miss"]
    assert [each.verdict for each in found] == [Verdict.PASS, Verdict.PASS]
    mine = [pair for pair in lab.world.attempts if pair[0].partition("@")[0] == "ana"]
    assert mine[0] == mine[-1] == ("ana@alpha.test", "right-ana")
    assert sorted(mine[1:-1]) == [
        ("ana@alpha.test", ""),
        ("ana@alpha.test", "RIGHT-ANA"),
        ("ana@alpha.test", "right-an"),
        ("ana@alpha.test", "right-anax"),
        ("ana@example.invalid", "right-ana"),
    ]
    assert not any("right-an" in line.lower() for each in found for line in each.evidence)


def test_a_server_of_others_is_not_guessed_at(lab):
    hosts = tuple(dataclasses.replace(host, managed=False) for host in lab.inventory.hosts)
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    found = lab.verify("auth.near-miss")
    assert {each.verdict for each in found} == {Verdict.SKIP}
    assert lab.world.attempts == []


# Ways in which other programs have passed what is wrong, and failed what is right.


def test_no_probe_speaks_through_clients_that_verify_nothing_and_hide_octets():
    package = Path(clients.__file__).parents[2]
    found = [
        path.name
        for path in (package / "probe").rglob("*.py")
        if re.search(
            r"^\s*(import|from) (smtplib|imaplib|poplib|telnetlib)\b", path.read_text(), re.MULTILINE
        )
    ]
    assert found == []


def test_verdicts_on_certificates_are_the_same_on_each_python():
    context = tls.verifying_context(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_a_flat_spf_record_with_eleven_terms_that_cost_a_lookup_is_an_error():
    record = f"v=spf1 {' '.join(f'a:h{number}.test' for number in range(11))} -all"

    def ask(name: str, kind: str) -> Answer:
        return Answer(name, kind, (record,) if kind == "TXT" else ("192.0.2.9",), "ns")

    with pytest.raises(spf.SpfError, match="more than 10"):
        spf.check_host("192.0.2.1", "alpha.test", ask)


def test_one_530_does_not_end_the_search_for_a_relay(lab):
    """nmap stops there, and says that it is none."""
    lab.spoil("sender-4xx", "")
    found = lab.verify("relay.classic", 25)
    assert {each.verdict for each in found} == {Verdict.ERROR}
    asked = [line for line in lab.world.commands if line.startswith("MAIL ")]
    assert len(asked) == 2  # of two hosts: where a user of the server is refused, nothing else tells
    lab.spoil("percent-hack", "")
    found = lab.verify("relay.classic", 25)
    assert {each.verdict for each in found} == {Verdict.FAIL}


def test_a_name_server_that_fails_is_no_clean_bill(lab):
    lab.spoil("dns-servfail", "")
    found = lab.verify("dns.mx dns.spf dns.dmarc dns.dkim")
    assert found
    assert {each.verdict for each in found} == {Verdict.ERROR}


def test_a_server_that_is_down_is_not_green(lab):
    lab.spoil("refused", "")
    found = lab.verify("tls auth.mechanisms smtp relay stranger")
    assert found
    assert not [each.id for each in found if each.verdict is Verdict.PASS]


def test_mail_that_arrived_before_the_run_proves_nothing(lab):
    """What is looked for is what this run has sent, by a name that nobody can know before."""
    old = b"X-Mailprov-Probe: 00\r\nDate: x\r\n\r\nold\r\n"
    lab.world.boxes["ana@alpha.test"].append(old)
    lab.spoil("loses-mail", "")
    found = lab.verify("stranger.mail", domains=("alpha.test",), queues=gone)
    assert [each.verdict for each in found if each.id == "stranger.mail"] == [Verdict.FAIL]
    assert old in lab.world.boxes["ana@alpha.test"]


def test_where_wrong_passwords_make_others_wait_near_misses_come_after_them(lab):
    lab.spoil("penalty", "")
    found = lab.verify("auth.bad-password auth.near-miss", in_order_of_arrival=True)
    assert {each.verdict for each in found} == {Verdict.PASS}
    for host in ("mx1", "mx2"):
        order = [each.id for each in found if each.target.host == host]
        assert order[-1] == "auth.near-miss"


@pytest.mark.parametrize("lines", [rb"(?m)^From ", rb"(?m)^>*From "], ids=["mboxo", "mboxrd"])
def test_what_mbox_does_to_lines_is_no_altered_attachment(lines):
    sent = copies.build("aa", "r", "a@b.test", ("a@b.test", "c@b.test"))
    quoted = re.sub(lines, rb">\g<0>", sent.partition(b"\r\n\r\n")[2])
    arrived = b"Received: x\r\n" + sent.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + quoted
    assert copies.attached(arrived) != copies.ATTACHED
    assert copies.attached(message.without_mbox_quotes(arrived, sent)) == copies.ATTACHED


def test_an_rsa_key_of_2048_bits_passes_and_a_strict_profile_can_tell(lab, monkeypatch):
    monkeypatch.setattr(certificate_keys, "_short", lambda certificate: True)
    assert {each.case for each in lab.verify("tls.key", 993) if each.id == "tls.key"} == {"rsa-below-3072"}
    public = rsa.generate_private_key(65537, 2048).public_key()
    monkeypatch.undo()
    assert certificate_keys._short(SimpleNamespace(public_key=lambda: public))
