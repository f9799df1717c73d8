"""Certificates where a web server has port 80, from a real ACME server: those that were there change over, and renew.

mx1 (Debian 12) and mx2 (Debian 13) first have none, as mailprov 0.1.0 left its hosts: certbot answers on port 80 itself.
Then the web server comes and goes. The tests build on each other in their order.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailprov import lab
from mailprov.lab.acme_server import UNIT
from tests.lab.labs import run_on, wait_until
from tests.lab.program import run

INVENTORY = """\
dns: {provider: rfc2136, server: 192.0.2.9, tsig: {name: k, secret: {env: K}}, ttl: 5}
tls: {mode: acme, email: ana@alpha.test}
filter: none
web: true
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: EVA}}}}
"""
HOSTS = {"mx1": ("mx1.alpha.test", "alpha.test"), "mx2": ("mx2.beta.test", "beta.test")}
RENEWAL = "/etc/letsencrypt/renewal"
DUE = f"sed -i '1i renew_before_expiry = 3650 days' {RENEWAL}/*.conf"


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return ready_lab_factory(INVENTORY)


@pytest.fixture(scope="module")
def without(hosts: lab.Lab) -> Path:
    """The same inventory without a web server."""
    path = hosts.inventory_path.with_name("without-web.yml")
    lines = hosts.inventory_path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.strip() != "web: true"]
    assert len(kept) < len(lines)
    path.write_text("".join(kept))
    return path


def leaf(where: lab.Lab, host: str, port: int, name: str) -> x509.Certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection((where.host(host).address, port), timeout=20)
    with plain, context.wrap_socket(plain, server_hostname=name) as secured:
        return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")


def key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def names(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted(found.get_values_for_type(x509.DNSName))


def issues(where: lab.Lab) -> int:
    """How many certificates the authority has issued until now."""
    return int(run_on(where, where.dns.name, f"journalctl -u {UNIT} | grep -c 'Issued certificate' || true"))


def test_the_web_server_takes_the_challenges_over_and_no_certificate_is_issued_for_that(
    hosts: lab.Lab, without: Path
) -> None:
    applied = run("apply", "--yes", "--no-verify", str(without))
    assert applied.code == 0, [event["error"] for event in applied.of("ended")]
    before = {host: leaf(hosts, host, 993, fqdn) for host, (fqdn, __) in HOSTS.items()}
    assert issues(hosts) == 2

    applied = run("apply", "--yes", "--no-verify", str(hosts.inventory_path))
    assert applied.code == 0, [event["error"] for event in applied.of("ended")]
    for host, (fqdn, domain) in HOSTS.items():
        assert ("run", "certificate", fqdn) in applied.changes(host)
        assert leaf(hosts, host, 993, fqdn) == before[host]
        assert leaf(hosts, host, 443, fqdn) == before[host]
        assert "authenticator = webroot" in run_on(hosts, host, f"cat {RENEWAL}/{fqdn}.conf")
        wanted = sorted(f"{label}.{domain}" for label in ("autoconfig", "autodiscover", "mta-sts"))
        for name in wanted:
            assert names(leaf(hosts, host, 443, name)) == wanted
    assert issues(hosts) == 4  # one for the names of each domain, and none for the hosts' own
    again = run("plan", str(hosts.inventory_path))
    assert [again.changes(host) for host in HOSTS] == [[], []]


def test_the_timers_service_renews_while_nginx_has_port_80(hosts: lab.Lab) -> None:
    served = {
        (host, name): leaf(hosts, host, 443, name)
        for host, (fqdn, domain) in HOSTS.items()
        for name in (fqdn, f"autoconfig.{domain}")
    }
    for host in HOSTS:
        assert run_on(hosts, host, "systemctl is-active nginx.service").strip() == "active"
        run_on(hosts, host, f"{DUE} && systemctl start certbot.service")
    for (host, name), old in served.items():

        def renewed(host: str = host, name: str = name, old: x509.Certificate = old) -> bool:
            return leaf(hosts, host, 443, name).serial_number != old.serial_number

        wait_until(renewed, f"{host} serves a renewed certificate for {name}", 120)
        assert key(leaf(hosts, host, 443, name)) == key(old)
    for host, (fqdn, __) in HOSTS.items():
        assert leaf(hosts, host, 993, fqdn) == leaf(hosts, host, 443, fqdn)
    after = run("plan", str(hosts.inventory_path))
    assert [after.changes(host) for host in HOSTS] == [[], []]


def test_a_name_that_leads_elsewhere_is_left_out_and_told(hosts: lab.Lab) -> None:
    """The authority is not asked for it; the others are served."""
    zone = "alpha.test"
    script = f"server 127.0.0.1\\nzone {zone}\\nupdate delete autoconfig.{zone} CNAME\\n"
    script += f"update add autoconfig.{zone} 5 A 198.51.100.7\\nsend\\n"
    secret = "$(sed -n 's/.*secret \"\\(.*\\)\".*/\\1/p' /etc/bind/named.conf | head -1)"
    run_on(
        hosts,
        hosts.dns.name,
        f"printf '{script}' | nsupdate -l 2>/dev/null || printf '{script}' | nsupdate -y hmac-sha256:mailprov:{secret}",
    )
    wait_until(
        lambda: "198.51.100.7" in run_on(hosts, "mx1", f"getent ahostsv4 autoconfig.{zone} || true"),
        "mx1 sees the other address",
        60,
    )
    run_on(hosts, "mx1", f"certbot delete -n --cert-name {zone}-web && rm /etc/mailprov/tls/{zone}-web.pem")
    applied = run("apply", "--yes", "--no-verify", str(hosts.inventory_path))
    assert applied.code == 0, [event["error"] for event in applied.of("ended")]
    told = [event["text"] for event in applied.of("notice") if "certificate of this host" in event["text"]]
    assert told == [f"autoconfig.{zone} leads to 198.51.100.7, so it is in no certificate of this host"]
    assert names(leaf(hosts, "mx1", 443, f"mta-sts.{zone}")) == [f"autodiscover.{zone}", f"mta-sts.{zone}"]
    again = run("plan", str(hosts.inventory_path))
    assert again.changes("mx1") == []
    assert told[0] in [event["text"] for event in again.of("notice")]


def test_the_way_back(hosts: lab.Lab, without: Path) -> None:
    before = {host: leaf(hosts, host, 993, fqdn) for host, (fqdn, __) in HOSTS.items()}
    applied = run("apply", "--yes", "--no-verify", str(without))
    assert applied.code == 0, [event["error"] for event in applied.of("ended")]
    for host, (fqdn, domain) in HOSTS.items():
        assert ("delete", "certificate", f"{domain}-web") in applied.changes(host)
        assert leaf(hosts, host, 993, fqdn) == before[host]
        left = run_on(hosts, host, f"ls {RENEWAL} /etc/letsencrypt/live /etc/mailprov/tls")
        assert f"{domain}-web" not in left
        run_on(hosts, host, "systemctl start certbot.service")  # still due
        wait_until(
            lambda host=host, fqdn=fqdn: leaf(hosts, host, 993, fqdn) != before[host],  # type: ignore[misc]
            f"{host} renews on port 80 by itself",
            120,
        )
    after = run("plan", str(without))
    assert [after.changes(host) for host in HOSTS] == [[], []]
