"""What an advice says as exact changes: each can be copied as it is, and is what it claims to be."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import dns.name
import dns.rdata
import pytest

from mailprov.inventory import json_schema
from mailprov.model.findings import Finding, Remedy, Target, Verdict
from mailprov.probe.exact_changes import exact, with_remedies
from mailprov.selftest.scripted_lab import ScriptedLab

POSTFIX = {
    "local_header_rewrite_clients", "smtpd_authorized_xclient_hosts", "smtpd_helo_required",
    "smtpd_sasl_security_options", "disable_vrfy_command", "header_checks",
    "message_drop_headers", "message_size_limit", "myhostname",
    "smtp_helo_name", "smtp_tls_security_level", "smtpd_banner", "smtpd_data_restrictions",
    "smtpd_forbid_bare_newline", "smtpd_forbid_unauth_pipelining", "smtpd_reject_unlisted_recipient",
    "smtpd_relay_restrictions", "smtpd_sasl_auth_enable", "smtpd_sender_login_maps", "smtpd_tls_auth_only",
    "smtpd_tls_exclude_ciphers", "smtpd_tls_mandatory_ciphers", "smtpd_tls_mandatory_protocols",
    "smtpd_tls_protocols", "smtpd_tls_security_level", "smtpd_tls_wrappermode", "unknown_local_recipient_reject_code",
}  # fmt: skip
DOVECOT = {
    "ssl", "ssl_min_protocol", "ssl_cipher_list", "auth_allow_cleartext", "disable_plaintext_auth", "mail_location",
    "mail_path", "mail_driver", "protocols",
}  # fmt: skip
KEYS = {
    key for entry in [json_schema(), *json_schema()["$defs"].values()] for key in entry.get("properties", {})
}


def check(remedy: Remedy) -> None:
    """It is what it says: a parameter that Postfix knows, a record that can be parsed, a key of the inventory."""
    text = remedy.text
    assert text == text.strip()
    if remedy.kind == "postfix":
        settings = shlex.split(text)[2:]
        assert settings
        for each in settings:
            name = re.split(r"\s*=\s*", each, maxsplit=1)[0].rpartition("/")[2]
            assert name in POSTFIX, text
    elif remedy.kind == "dovecot":
        assert text.partition(" = ")[0] in DOVECOT, text
    elif remedy.kind == "record":
        name, kind, value = text.split(" ", 2)
        assert dns.name.from_text(name, None).is_absolute()
        dns.rdata.from_text("IN", kind, value)
    elif remedy.kind == "inventory":
        # Behind `domains.` stands a domain, whose dots look like those of the path.
        assert text.startswith(("--", "domains.")) or re.split(r"[:.]", text.rpartition(".")[2])[0] in KEYS, (
            text
        )
    elif remedy.kind == "command":
        assert shlex.split(text)
    else:
        assert remedy.kind in ("file", "task")


@pytest.mark.parametrize(
    ("advice", "kind", "text"),
    [
        ("postconf -e 'a = b' 'c = d', and a certificate", "postfix", "postconf -e 'a = b' 'c = d'"),
        ("set ssl_min_protocol = TLSv1.2 in dovecot.conf", "dovecot", "ssl_min_protocol = TLSv1.2"),
        ("set auth_allow_cleartext = no (Dovecot 2.4) or", "dovecot", "auth_allow_cleartext = no"),
        ('publish a.test. TXT "v=spf1 -all", and nothing', "record", 'a.test. TXT "v=spf1 -all"'),
        ("publish a.test. MX 10 mx.a.test.", "record", "a.test. MX 10 mx.a.test."),
        ("run mailprov dns apply", "command", "mailprov dns apply"),
        ("run mailprov apply --host mx1, and see", "command", "mailprov apply --host mx1"),
        ("see (ss -ltnp 'sport = :110') and stop it", "command", "ss -ltnp 'sport = :110'"),
        ("write `mta_sts: off`", "inventory", "mta_sts: off"),
        ("set hosts.mx1.tls to files", "inventory", "hosts.mx1.tls"),
    ],
)
def test_what_can_be_copied_is_found(advice: str, kind: str, text: str) -> None:
    assert exact(advice) == (Remedy(kind, text),)


def test_prose_has_nothing_to_copy() -> None:
    assert exact("see what stands in front of the server: it closes the session. A = B.") == ()


def test_a_host_that_mailprov_built_is_written_anew(lab: ScriptedLab) -> None:
    finding = Finding(
        "tls.versions",
        Target("mx1", port=25),
        Verdict.FAIL,
        "t",
        advice="postconf -e 'smtpd_tls_protocols = x'",
    )
    built = with_remedies(finding, lab.inventory)
    assert [each.text for each in built.remedies] == [
        "mailprov apply --host mx1",
        "postconf -e 'smtpd_tls_protocols = x'",
    ]
    assert built.advice.endswith("; or run mailprov apply --host mx1, which writes the host's settings anew")
    hosts = tuple(replace(host, managed=False) for host in lab.inventory.hosts)
    others = with_remedies(finding, replace(lab.inventory, hosts=hosts))
    assert others.remedies == (Remedy("postfix", "postconf -e 'smtpd_tls_protocols = x'", "mx1"),)
    assert others.advice == finding.advice


def test_who_is_told_only_to_look_is_told_the_command(lab: ScriptedLab) -> None:
    def told(probe: str, port: int) -> str:
        finding = Finding(probe, Target("mx1", port=port), Verdict.FAIL, "t", advice="see the log")
        return with_remedies(finding, lab.inventory).remedies[0].text

    assert told("imap.greeting", 143) == "ss -ltnp 'sport = :143'"
    assert told("auth.ok", 993) == "journalctl -u dovecot"
    assert told("auth.ok", 587) == "journalctl -u postfix"
    assert told("tls.expiry", 587) == "mailprov apply --host mx1"


def test_what_is_right_needs_no_remedy(lab: ScriptedLab) -> None:
    finding = Finding("dns.mx", Target(domain="a.test"), Verdict.PASS, "t", advice="run mailprov dns apply")
    assert with_remedies(finding, lab.inventory).remedies == ()
