"""Certificates by ACME on real hosts, from a real ACME server: refusal, first issue, no change, renewal by the timer.

mx1 (Debian 12, Dovecot 2.3) shows its names over HTTP, has keys of both kinds and a name of its own for its domain; mx2
(Debian 13, Dovecot 2.4) shows them by DNS with the TSIG key. The tests build on each other in their order.
"""

from __future__ import annotations

import imaplib
import socket
import ssl
from collections.abc import Callable

import pytest
from cryptography import x509

from mailprov import lab
from mailprov.lab.acme_server import UNIT, trust
from mailprov.lab.paths import paths
from mailprov.lab.state import load as load_state
from tests.lab.labs import run_on, wait_until
from tests.lab.program import run

INVENTORY = """\
dns: {provider: rfc2136, server: 192.0.2.9, tsig: {name: k, secret: {env: K}}}
tls: {mode: acme, email: ana@alpha.test}
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}, tls: {key_type: both}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}, tls: {challenge: dns-01}}
domains:
  alpha.test: {hosts: [mx1], mail_name: mail.alpha.test, accounts: {ana: {password: {env: ANA}}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: EVA}}}}
"""
NAMES = {"mx1": ("mx1.alpha.test", "mail.alpha.test"), "mx2": ("mx2.beta.test",)}


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return ready_lab_factory(INVENTORY)


def served(where: lab.Lab, host: str, port: int, name: str, *, rsa: bool = False) -> x509.Certificate:
    """The leaf that a client gets which asks for this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if rsa:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE+aRSA")
    plain = socket.create_connection((where.host(host).address, port), timeout=60)
    with plain, context.wrap_socket(plain, server_hostname=name) as secured:
        return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")


def all_served(where: lab.Lab) -> dict[tuple[str, int, str], int]:
    """Serial numbers: what both daemons of both hosts serve now, by name."""
    return {
        (host, port, name): served(where, host, port, name).serial_number
        for host, names in NAMES.items()
        for name in names
        for port in (465, 993)
    }


def test_a_plan_asks_no_authority(hosts: lab.Lab) -> None:
    planned = run("plan", str(hosts.inventory_path))
    assert planned.code == 0
    assert ("run", "certificate", "mail.alpha.test-rsa") in planned.changes("mx1")
    assert "certificate" not in run_on(
        hosts, hosts.dns.name, f"journalctl -u {UNIT} | grep -i finaliz || true"
    )


def test_an_authority_that_fails_leaves_a_mail_service_with_its_own_certificate(hosts: lab.Lab) -> None:
    run_on(hosts, hosts.dns.name, f"systemctl stop {UNIT}")
    applied = run("apply", "--yes", "--no-verify", str(hosts.inventory_path))
    run_on(hosts, hosts.dns.name, f"systemctl start {UNIT}")

    assert applied.code == 1
    for host in NAMES:
        assert "issued no certificate for" in applied.ended(host)["error"]
        assert "mail goes on with the certificate that was there" in applied.ended(host)["error"]
        leaf = served(hosts, host, 993, NAMES[host][0])
        assert leaf.issuer == leaf.subject
    password = (hosts.directory / "secrets" / "eva@beta.test").read_text().strip()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with imaplib.IMAP4_SSL(hosts.host("mx2").address, ssl_context=context, timeout=120) as client:
        assert client.login("eva@beta.test", password)[0] == "OK"


def test_the_next_apply_does_what_is_left_and_users_trust_it(hosts: lab.Lab) -> None:
    where = paths(hosts.name)
    state = load_state(where)
    assert state is not None
    trust(where, state)  # pebble has a new root since it was started again
    applied = run("apply", "--yes", "--no-verify", str(hosts.inventory_path))

    assert applied.code == 0, applied.of("ended")
    kinds = {change[1:] for host in NAMES for change in applied.changes(host)}
    assert {kind for kind, _ in kinds} == {"certificate", "file"}
    assert {name for kind, name in kinds if kind == "file"} == {"/etc/mailprov/tls/acme-roots.pem"}
    verified = run("verify", "--probe", "tls", str(hosts.inventory_path))
    assert verified.code == 0, [event for event in verified.of("found") if event.get("verdict") != "pass"]
    assert {found["target"]["port"] for found in verified.of("found", id="tls.sni")} == {
        *(25, 465, 587, 110, 995, 143, 993, 4190)
    }
    run_on(
        hosts,
        "mx1",
        "cp -a /etc/postfix/main.cf /root/ && postconf -e tls_server_sni_maps= && postfix reload",
    )
    red = run("verify", "--probe", "tls.sni", str(hosts.inventory_path))
    run_on(hosts, "mx1", "cp -a /root/main.cf /etc/postfix/ && postfix reload")
    seen = {found["target"]["port"]: found["verdict"] for found in red.of("found")}
    assert seen == {25: "warn", 465: "fail", 587: "fail", **dict.fromkeys((110, 995, 143, 993, 4190), "pass")}
    for (host, port, name), serial in all_served(hosts).items():
        leaf = served(hosts, host, port, name)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [name]
        assert leaf.issuer != leaf.subject
        if host == "mx1":
            other = served(hosts, host, port, name, rsa=True)
            assert other.serial_number != serial
            assert getattr(other.public_key(), "key_size", 0) == 3072
    assert "600" in run_on(hosts, "mx2", "stat -c '%a %U' /etc/mailprov/tls/dns-01.ini")


def test_without_changes_certbot_is_not_called(hosts: lab.Lab) -> None:
    log = "stat -c %Y%s /var/log/letsencrypt/letsencrypt.log"
    before = [run_on(hosts, host, log) for host in NAMES]
    applied = run("apply", "--yes", str(hosts.inventory_path))
    assert applied.code == 0
    assert [applied.changes(host) for host in NAMES] == [[], []]
    assert [run_on(hosts, host, log) for host in NAMES] == before


def test_the_timers_service_renews_and_both_daemons_serve_it(hosts: lab.Lab) -> None:
    before = all_served(hosts)
    due = "sed -i '1i renew_before_expiry = 3650 days' /etc/letsencrypt/renewal/*.conf"
    for host in NAMES:
        assert run_on(hosts, host, "systemctl is-active certbot.timer").strip() == "active"
        run_on(hosts, host, f"{due} && systemctl start certbot.service")
    wait_until(
        lambda: not set(before.values()) & set(all_served(hosts).values()),
        "the renewed certificates are served",
    )
    after = run("plan", str(hosts.inventory_path))
    assert [after.changes(host) for host in NAMES] == [[], []]


def test_a_renewal_that_fails_leaves_the_old_certificate_in_place(hosts: lab.Lab) -> None:
    before = all_served(hosts)
    run_on(hosts, hosts.dns.name, f"systemctl stop {UNIT}")
    for host in NAMES:
        failed = run_on(hosts, host, "systemctl start certbot.service || echo failed", check=False)
        assert "failed" in failed
    assert all_served(hosts) == before
    assert run("plan", str(hosts.inventory_path)).changes("mx1") == []
