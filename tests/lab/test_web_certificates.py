"""Where a web server has port 80: certificates from a real ACME server change over and renew; MTA-STS is published.

mx1 (Debian 12) and mx2 (Debian 13) first have none, as mailprov 0.1.0 left its hosts: certbot answers on port 80. Then
the web server comes and goes. The tests build on each other in their order.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import dns.message
import dns.query
import dns.tsig
import dns.update
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailprov import lab
from mailprov.inventory import load
from mailprov.lab.acme_server import UNIT
from mailprov.model import pacc
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
  alpha.test:
    {hosts: [mx1], mta_sts: enforce, domain_aliases: [alfa.test], accounts: {ana: {password: {env: ANA}}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: EVA}}}}
"""
HOSTS = {"mx1": ("mx1.alpha.test", "alpha.test"), "mx2": ("mx2.beta.test", "beta.test")}
ZONES = ("alpha.test", "alfa.test", "beta.test")
LABELS = ("autoconfig", "autodiscover", "mta-sts", "ua-auto-config")  # the last is of no alias
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
    kept = [line for line in lines if line.strip() not in ("web: true", "mta_sts: enforce")]
    assert len(kept) < len(lines) - 1
    path.write_text("".join(kept))
    return path


def leaf(where: lab.Lab, host: str, port: int, name: str) -> x509.Certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection((where.host(host).address, port), timeout=120)
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
        wanted = [f"{label}.{domain}" for label in LABELS]
        for name in wanted:
            assert names(leaf(hosts, host, 443, name)) == wanted
    assert names(leaf(hosts, "mx1", 443, "mta-sts.alfa.test")) == [f"{one}.alfa.test" for one in LABELS[:3]]
    assert issues(hosts) == 5  # one for the names of each domain and alias, and none for the hosts' own
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

        wait_until(renewed, f"{host} serves a renewed certificate for {name}")
        # Of names that TLSA records may be of; certbot may have to leave out one of the others.
        assert (key(leaf(hosts, host, 443, name)) == key(old)) is (name == HOSTS[host][0])
    for host, (fqdn, __) in HOSTS.items():
        assert leaf(hosts, host, 993, fqdn) == leaf(hosts, host, 443, fqdn)
    after = run("plan", str(hosts.inventory_path))
    assert [after.changes(host) for host in HOSTS] == [[], []]


RESOLVER = """
export DEBIAN_FRONTEND=noninteractive
cp /etc/mailprov/tls/acme-roots.pem /root/roots.pem
csplit -s -z -f /usr/local/share/ca-certificates/lab- -b '%d.crt' /root/roots.pem '/BEGIN CERT/' '{*}'
update-ca-certificates >/dev/null 2>&1
apt-get -qq update && apt-get -qq -y -o Dpkg::Use-Pty=0 install postfix-mta-sts-resolver >/dev/null
systemctl restart postfix-mta-sts-resolver
cp -a /etc/postfix/main.cf /root/main.cf
postconf -e smtp_tls_policy_maps=socketmap:inet:127.0.0.1:8461:postfix
postconf -e smtp_tls_CAfile=/etc/ssl/certs/ca-certificates.crt
postconf -e smtp_tls_loglevel=1 minimal_backoff_time=5s maximal_backoff_time=5s queue_run_delay=5s
systemctl restart postfix
"""
LETTER = "printf 'Subject: {subject}\\n\\ntext\\n' | sendmail -f eva@beta.test ana@alpha.test"
LOG = "journalctl --no-pager -u 'postfix*'"


def record(where: lab.Lab, domain: str, label: str = "_mta-sts") -> list[str]:
    answer = dns.query.udp(dns.message.make_query(f"{label}.{domain}", "TXT"), where.dns.address, timeout=120)
    return [str(rdata).strip('"') for rrset in answer.answer for rdata in rrset]


def policy(where: lab.Lab, domain: str) -> str:
    return fetched(where, domain, f"https://mta-sts.{domain}/.well-known/mta-sts.txt")


def fetched(where: lab.Lab, domain: str, url: str) -> str:
    host = {domain: host for host, (__, domain) in HOSTS.items()}[domain]
    ask = f"curl -sS --fail --cacert /etc/mailprov/tls/acme-roots.pem {url}"
    return run_on(
        where,
        host,
        f"command -v curl >/dev/null || apt-get -qq -y install curl >/dev/null; {ask}",
        check=False,
    )


def test_the_policy_is_there_before_the_record_that_tells_of_it(hosts: lab.Lab) -> None:
    """The first apply with a web server published both, the record last; and verify finds them in step."""
    judged = run("verify", "--probe", "dns.mta-sts", str(hosts.inventory_path))
    assert {found["verdict"] for found in judged.of("found")} == {"pass"}, judged.of("found")
    assert record(hosts, "alfa.test") == record(hosts, "alpha.test")
    modes = {
        found["target"]["domain"]: found["observed"].split("mode: ")[1][:7] for found in judged.of("found")
    }
    assert modes == {"alpha.test": "enforce", "alfa.test": "enforce", "beta.test": "testing"}
    assert [len(record(hosts, domain)) for __, domain in HOSTS.values()] == [1, 1]


def test_each_file_leads_programs_in(hosts: lab.Lab) -> None:
    """Those of a domain alias too; that of PACC by its digest, over HTTPS that others trust."""
    judged = run("verify", "--probe", "web", str(hosts.inventory_path))
    seen = {(found["id"], found["target"]["domain"]): found["verdict"] for found in judged.of("found")}
    ids = ("web.autoconfig", "web.autodiscover", "web.mobileconfig")
    assert seen == dict.fromkeys(
        [(id_, name) for id_ in ids for name in ("alpha.test", "alfa.test", "beta.test")]
        + [("web.pacc", name) for name in ("alpha.test", "beta.test")]
        + [("web.tls", "")],
        "pass",
    ), judged.of("found")


def test_a_new_file_of_pacc_and_its_digest_stay_together(hosts: lab.Lab) -> None:
    """First the digest, then, when all know it, the file; at the end the old digest goes."""
    url, label = (
        "https://ua-auto-config.beta.test/.well-known/user-agent-configuration.json",
        "_ua-auto-config",
    )
    old, before = fetched(hosts, "beta.test", url), record(hosts, "beta.test", label)
    assert before == [pacc.record(old)]
    other = hosts.inventory_path.with_name("without-pop.yml")
    services = "services: [imap, imaps, submission, submissions]\n"
    other.write_text(services + hosts.inventory_path.read_text())
    for hours, count in ((0, 2), (0, 2), (3, 1)):
        applied = run("apply", "--yes", "--no-verify", str(other), hours_later=hours)
        assert applied.code == 0, [event["error"] for event in applied.of("ended")]
        now, digests = fetched(hosts, "beta.test", url), record(hosts, "beta.test", label)
        assert len(digests) == count
        assert pacc.digest(now) in pacc.stated(digests)
        assert (now == old) is (count == 2)
        told = [
            event["text"] for event in applied.of("notice") if "PACC of beta.test: another" in event["text"]
        ]
        judged = run("verify", "--probe", "web.pacc", "--domain", "beta.test", str(other))
        verdict = {found["verdict"] for found in judged.of("found")}
        assert (len(told), verdict) == ((1, {"warn"}) if count == 2 else (0, {"pass"})), judged.of("found")
    assert "pop3" not in now
    again = run("plan", str(other))
    assert not [event["changes"] for event in again.of("planned") if event["changes"]]


def test_another_server_honours_the_policy_and_refuses_a_wrong_certificate(hosts: lab.Lab) -> None:
    run_on(hosts, "mx2", RESOLVER)

    def told(words: str) -> bool:
        return words in run_on(hosts, "mx2", LOG)

    run_on(hosts, "mx2", LETTER.format(subject="right"))
    wait_until(lambda: told("Verified TLS connection established to mx1.alpha.test"), "TLS is verified")
    wait_until(lambda: told("status=sent"), "it is delivered")
    sent = run_on(hosts, "mx2", LOG).count("status=sent")
    wrong = "openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=mx1.alpha.test -keyout /root/k -out /root/c"
    chain = "cat /root/k /root/c >/root/wrong.pem && cp -a /etc/postfix/main.cf /root/main.cf"
    served = "postconf -e smtpd_tls_chain_files=/root/wrong.pem && systemctl restart postfix"
    run_on(hosts, "mx1", f"{wrong} 2>/dev/null && {chain} && {served}")
    run_on(hosts, "mx2", LETTER.format(subject="wrong"))
    wait_until(lambda: told("status=deferred (Server certificate not "), "it is held back")
    assert run_on(hosts, "mx2", LOG).count("status=sent") == sent
    judged = run("verify", "--probe", "dns.mta-sts", "--domain", "alpha.test", str(hosts.inventory_path))
    assert {found["verdict"] for found in judged.of("found")} == {"fail"}, judged.of("found")
    run_on(hosts, "mx1", "cp -a /root/main.cf /etc/postfix/main.cf && systemctl restart postfix")
    run_on(hosts, "mx2", "postqueue -f")
    wait_until(
        lambda: run_on(hosts, "mx2", LOG).count("status=sent") > sent, "it goes when that is right", 120
    )
    run_on(hosts, "mx2", "cp -a /root/main.cf /etc/postfix/main.cf && systemctl restart postfix")


def test_another_policy_comes_with_another_record_and_leaves_by_way_of_none(hosts: lab.Lab) -> None:
    before, text = record(hosts, "alpha.test"), hosts.inventory_path.read_text()
    assert text.count("mta_sts: enforce") == 1
    other = hosts.inventory_path.with_name("other-policy.yml")
    for key, mode in (("testing", "testing"), ("'off'", "none")):
        other.write_text(text.replace("mta_sts: enforce", f"mta_sts: {key}"))
        applied = run("apply", "--yes", "--no-verify", str(other))
        assert applied.code == 0, [event["error"] for event in applied.of("ended")]
        now = record(hosts, "alpha.test")
        assert len(now) == 1
        assert now != before
        assert f"mode: {mode}" in policy(hosts, "alpha.test")
        judged = run("verify", "--probe", "dns.mta-sts", str(other))
        assert {found["verdict"] for found in judged.of("found")} == {"pass"}, judged.of("found")
        before = now
    assert before[0].startswith("v=STSv1; id=none20")
    again = run("plan", str(other))  # the zone knows until when
    assert not [event["changes"] for event in again.of("planned") if event["changes"]]
    assert any("MTA-STS of alpha.test ends: until 20" in event["text"] for event in again.of("notice"))
    # When all have forgotten the policy before, both go.
    applied = run("apply", "--yes", "--no-verify", str(other), hours_later=24 * 15)
    assert applied.code == 0, [event["error"] for event in applied.of("ended")]
    assert (record(hosts, "alpha.test"), record(hosts, "alfa.test")) == ([], [])
    assert "404" in policy(hosts, "alpha.test") or policy(hosts, "alpha.test") == ""
    again = run("plan", str(other))
    assert not [event["changes"] for event in again.of("planned") if event["changes"]]
    assert run("apply", "--yes", "--no-verify", str(hosts.inventory_path)).code == 0
    assert "mode: enforce" in policy(hosts, "alpha.test")


def test_a_name_that_leads_elsewhere_is_left_out_and_told(hosts: lab.Lab) -> None:
    """The authority is not asked for it; the others are served. Here it is the address of another host, mx2."""
    zone = "alpha.test"
    read, elsewhere = load(hosts.inventory_path), hosts.host("mx2").address
    tsig = read.dns.provider.tsig  # type: ignore[attr-defined]
    message = dns.update.UpdateMessage(
        zone, keyring=dns.tsig.Key(tsig.name, tsig.secret.reveal(), tsig.algorithm)
    )
    message.delete(f"autoconfig.{zone}.", "CNAME")
    message.add(f"autoconfig.{zone}.", 5, "A", elsewhere)
    dns.query.tcp(message, hosts.dns.address, timeout=120)
    wait_until(
        lambda: elsewhere in run_on(hosts, "mx1", f"getent ahostsv4 autoconfig.{zone} || true"),
        "mx1 sees the other address",
    )
    run_on(hosts, "mx1", f"certbot delete -n --cert-name {zone}-web && rm /etc/mailprov/tls/{zone}-web.pem")
    applied = run("apply", "--yes", "--no-verify", str(hosts.inventory_path))
    assert applied.code == 0, [event["error"] for event in applied.of("ended")]
    told = [event["text"] for event in applied.of("notice") if "certificate of this host" in event["text"]]
    assert told == [f"autoconfig.{zone} leads to {elsewhere}, so it is in no certificate of this host"]
    assert names(leaf(hosts, "mx1", 443, f"mta-sts.{zone}")) == [f"{label}.{zone}" for label in LABELS[1:]]
    again = run("plan", str(hosts.inventory_path))
    assert again.changes("mx1") == []
    assert told[0] in [event["text"] for event in again.of("notice")]


def test_a_name_that_the_authority_refuses_is_not_asked_for_at_each_apply(hosts: lab.Lab) -> None:
    """The host sees it lead here, by its own file; the authority does not, and issues for the others."""
    zone, here = "alpha.test", hosts.host("mx1").address
    run_on(hosts, "mx1", f"echo '{here} autoconfig.{zone}' >>/etc/hosts")
    asked = issues(hosts)
    applied = run("apply", "--yes", "--no-verify", str(hosts.inventory_path))
    assert applied.code == 1
    error = applied.ended("mx1")["error"]
    assert f"refused autoconfig.{zone} (" in error, error
    assert names(leaf(hosts, "mx1", 443, f"mta-sts.{zone}")) == [f"{label}.{zone}" for label in LABELS[1:]]
    assert issues(hosts) == asked + 1
    again = run("apply", "--yes", "--no-verify", str(hosts.inventory_path))
    assert (again.code, again.changes("mx1"), issues(hosts)) == (0, [], asked + 1)
    told = [
        event["text"] for event in again.of("notice") if f"autoconfig.{zone} was refused by" in event["text"]
    ]
    assert len(told) == 1
    assert "to ask at once, remove /var/lib/mailprov/refused-names.json" in told[0]
    run_on(hosts, "mx1", "rm /var/lib/mailprov/refused-names.json")
    assert ("run", "certificate", f"{zone}-web") in run("plan", str(hosts.inventory_path)).changes("mx1")
    run_on(hosts, "mx1", f"sed -i '/ autoconfig.{zone}$/d' /etc/hosts")


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
        )
    after = run("plan", str(without))
    assert [after.changes(host) for host in HOSTS] == [[], []]


def test_no_name_is_published_that_would_lead_to_somebody_elses_server(hosts: lab.Lab) -> None:
    run_on(hosts, "mx1", "systemd-run --unit=foreign python3 -m http.server 80")
    wait_until(lambda: run_on(hosts, "mx1", "ss -Hltn 'sport = :80'"), "the other server listens")
    plan = run("plan", str(hosts.inventory_path))
    published = {
        zone: {name.partition(" ")[0] for __, ___, name in plan.changes(f"zone {zone}")} for zone in ZONES
    }
    assert not [name for name in published["alpha.test"] if name.startswith(LABELS)], published
    assert not [name for name in published["alfa.test"] if name.startswith(LABELS)], published
    assert {f"{label}.beta.test" for label in LABELS} <= published["beta.test"]
    told = [event["text"] for event in plan.of("notice") if event["text"].startswith("web: not set up")]
    assert len(told) == 1
    assert "names in DNS that would lead to it are not published" in told[0]
