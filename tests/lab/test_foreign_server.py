"""verify against servers that mailprov did not build: what a student configures by hand on a stock Debian.

The first works (logins, delivery, no open relay) and has one mistake that a user would not notice: whoever is logged in
may send in anybody's name. verify must prove all that works and name exactly that.

The other two, on two releases, are Debian's packages as they come, with system users and mbox: what these do by default
is a warning where it could be better, and a failure only where it harms somebody.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from ruamel.yaml import YAML

from mailprov import lab
from mailprov.inventory import SecretMode, load
from tests.lab.labs import run_on
from tests.lab.program import Result, run

INVENTORY = """\
managed: false
tls: {mode: self-signed}
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.gamma.test, lab: {release: debian-12}}
  s1: {address: 192.0.2.2, fqdn: s1.delta.test, lab: {release: debian-12}}
  s2: {address: 192.0.2.3, fqdn: s2.epsilon.test, lab: {release: debian-13}}
domains:
  gamma.test:
    hosts: [mx1]
    accounts:
      ana: {password: {env: ANA}}
      luis: {password: {env: LUIS}}
  delta.test:
    hosts: [s1]
    accounts:
      eva: {password: {env: EVA}, login: eva}
      ivo: {password: {env: IVO}, login: ivo}
  epsilon.test:
    hosts: [s2]
    accounts:
      eva: {password: {env: EVA}, login: eva}
      ivo: {password: {env: IVO}, login: ivo}
"""

BY_HAND = """
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq -y --no-install-recommends install postfix dovecot-imapd dovecot-pop3d openssl >/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=mx1.gamma.test \
  -addext subjectAltName=DNS:mx1.gamma.test \
  -keyout /etc/ssl/private/mail.key -out /etc/ssl/certs/mail.pem 2>/dev/null
for user in ana luis; do useradd -m $user; done
echo "ana:$ANA" | chpasswd
echo "luis:$LUIS" | chpasswd
postconf -e myhostname=mx1.gamma.test 'mydestination=gamma.test, localhost' 'mynetworks=127.0.0.0/8 [::1]/128' \
  smtpd_relay_restrictions=permit_mynetworks,permit_sasl_authenticated,reject_unauth_destination \
  inet_interfaces=all home_mailbox=Maildir/ smtpd_tls_auth_only=yes disable_vrfy_command=yes \
  smtpd_forbid_bare_newline=normalize smtpd_forbid_unauth_pipelining=yes \
  smtpd_sasl_type=dovecot smtpd_sasl_path=private/auth \
  smtpd_tls_cert_file=/etc/ssl/certs/mail.pem smtpd_tls_key_file=/etc/ssl/private/mail.key smtpd_tls_security_level=may
echo '/^Authentication-Results: *mx1[.]gamma[.]test/ IGNORE' >/etc/postfix/forged
postconf -e header_checks=regexp:/etc/postfix/forged
postconf -M 'submission/inet=submission inet n - y - - smtpd'
postconf -P submission/inet/smtpd_tls_security_level=encrypt submission/inet/smtpd_sasl_auth_enable=yes \
  submission/inet/smtpd_client_restrictions=permit_sasl_authenticated,reject
postconf -M 'submissions/inet=submissions inet n - y - - smtpd'
postconf -P submissions/inet/smtpd_tls_wrappermode=yes submissions/inet/smtpd_sasl_auth_enable=yes \
  submissions/inet/smtpd_client_restrictions=permit_sasl_authenticated,reject
cat > /etc/dovecot/conf.d/99-by-hand.conf <<'END'
protocols = imap pop3
mail_location = maildir:~/Maildir
auth_username_format = %Ln
auth_mechanisms = plain login
ssl_cert = </etc/ssl/certs/mail.pem
ssl_key = </etc/ssl/private/mail.key
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
END
systemctl restart postfix dovecot
"""


# Debian's packages as they come (PAM, mbox in /var/mail, the snakeoil certificate), and what a student adds: the
# domain, the two ports of submission, and Dovecot's answers for their logins.
AS_PACKAGED = """
set -e
make-ssl-cert generate-default-snakeoil --force-overwrite
postconf -e "myhostname=$HOST" "mydestination=$DOMAIN, $HOST, localhost" \
  smtpd_sasl_type=dovecot smtpd_sasl_path=private/auth
for service in submission submissions; do
  postconf -M "$service/inet=$service inet n - y - - smtpd"
  postconf -P "$service/inet/smtpd_sasl_auth_enable=yes"
done
postconf -P submission/inet/smtpd_tls_security_level=encrypt submissions/inet/smtpd_tls_wrappermode=yes
cat > /etc/dovecot/conf.d/99-by-hand.conf <<'END'
auth_mechanisms = plain login
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
END
for user in eva ivo; do useradd -m $user; done
echo "eva:$EVA" | chpasswd
echo "ivo:$IVO" | chpasswd
systemctl restart postfix dovecot
"""


@pytest.fixture(scope="module")
def made(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    """Three servers that hands built, and their records."""
    made = ready_lab_factory(INVENTORY)

    def build(host: str, domain: str, users: tuple[str, str], script: str) -> None:
        passwords = {user: made.directory / "secrets" / f"{user}@{domain}" for user in users}
        words = " ".join(f"{user.upper()}={path.read_text().strip()}" for user, path in passwords.items())
        run_on(made, host, f"export HOST={host}.{domain} DOMAIN={domain} {words}\n{script}")

    with ThreadPoolExecutor(3) as pool:
        done = [
            pool.submit(build, "mx1", "gamma.test", ("ana", "luis"), BY_HAND),
            pool.submit(build, "s1", "delta.test", ("eva", "ivo"), AS_PACKAGED),
            pool.submit(build, "s2", "epsilon.test", ("eva", "ivo"), AS_PACKAGED),
        ]
        for each in done:
            each.result()
    assert run("dns", "apply", "--yes", str(made.inventory_path)).code == 0
    return made


def only(made: lab.Lab, *hosts: str) -> str:
    """The path of an inventory of these hosts and their domains alone: others are no partners for its mail."""
    yaml = YAML()
    body = yaml.load(made.inventory_path)
    body["hosts"] = {name: entry for name, entry in body["hosts"].items() if name in hosts}
    body["domains"] = {name: entry for name, entry in body["domains"].items() if entry["hosts"][0] in hosts}
    path = made.inventory_path.with_name(f"{'-'.join(hosts)}.yml")
    yaml.dump(body, path)
    return str(path)


@pytest.fixture(scope="module")
def result(made: lab.Lab) -> Result:
    return run("verify", only(made, "mx1"))


@pytest.fixture(scope="module")
def packaged(made: lab.Lab) -> Result:
    return run("verify", only(made, "s1", "s2"))


def test_the_one_mistake_is_named_and_nothing_else_fails(result: Result) -> None:
    bad = {f["id"] for f in result.of("found") if f["verdict"] in ("fail", "error")}

    assert bad == {"spoof.envelope"}
    assert [f for f in result.of("found") if f["timed_out"]] == []
    assert result.code == 1
    advice = result.of("found", id="spoof.envelope", verdict="fail")[0]["advice"]
    assert "smtpd_sender_login_maps" in advice


def test_what_works_is_proved(result: Result) -> None:
    passed = {(f["id"], f["target"]["port"]) for f in result.of("found", verdict="pass")}

    assert {port for probe, port in passed if probe == "net.tcp"} == {25, 465, 587, 110, 995, 143, 993}
    assert {port for probe, port in passed if probe == "auth.ok"} == {465, 587, 110, 995, 143, 993}
    assert {port for probe, port in passed if probe == "auth.bad-password"} == {465, 587, 110, 995, 143, 993}
    # No ManageSieve here, which is no fault: said once for each address.
    sieve = {(f["id"], f["verdict"]) for f in result.of("found") if f["target"]["port"] == 4190}
    assert sieve == {("net.tcp", "skip")}
    assert ("unknown.user", 25) in passed
    assert ("relay.classic", 25) in passed
    assert {"dns.mx", "dns.spf", "dns.a"} <= {probe for probe, _ in passed}
    # One host has no way to another one to prove, and nobody can change that: no warning.
    paths = result.of("found", id="delivery.path")
    assert {f["verdict"] for f in paths} == {"skip"}
    assert all("local only" in f["observed"] for f in paths)


def test_the_self_signed_certificate_is_a_warning_because_the_inventory_says_so(result: Result) -> None:
    assert {f["verdict"] for f in result.of("found", id="tls.chain")} == {"warn"}
    assert {f["verdict"] for f in result.of("found", id="tls.name")} == {"pass"}


FQDN = {"s1": "s1.delta.test", "s2": "s2.epsilon.test"}
# What is wrong with Debian's packages as they come, and no more. 12: before 3.9 Postfix hides a second message in the
# first (CVE-2023-51764) if nobody says otherwise.
WRONG = {"s1": {"smuggle.in", "spoof.envelope"}, "s2": {"spoof.envelope"}}
# What could be better. Forged results of checks are judged where the mail arrives, for the sender's row.
DEFAULTS = {
    "smtp.vrfy",
    "tls.chain",
    "tls.ciphers",
    "tls.versions",
    "delivery.dkim",
    "delivery.fetch",
    "delivery.forged",
    "delivery.header",
    "imap.programs",
    "smtp.helo",
    "smtp.postmaster",
    "spoof.header",
    "stranger.own-domain",
    "stranger.results",
    "stranger.spam",
}
# 13 opens port 2000 as well, where ManageSieve was long ago.
BETTER = {"s1": {*DEFAULTS, "smuggle.pipelining"}, "s2": {*DEFAULTS, "net.stray"}}


@pytest.mark.parametrize("host", ["s1", "s2"])
def test_packages_as_they_come_are_judged_fairly(packaged: Result, host: str) -> None:
    found = [f for f in packaged.of("found") if f["target"]["host"] == host]

    def ids(*verdicts: str) -> set[str]:
        return {f["id"] for f in found if f["verdict"] in verdicts}

    assert ids("fail", "error") == WRONG[host]
    assert ids("warn") == BETTER[host]
    (partner,) = {"s1", "s2"} - {host}
    # Where verify stands is told as well, in words that hang on the lab's network.
    skipped = {f["observed"] for f in found if f["verdict"] == "skip" and f["id"] != "net.vantage"}
    assert skipped == {
        f"`filter: none` on {partner}: nothing is checked there",
        "no public address: other mail servers do not see it",
        f"no account of {FQDN[host].partition('.')[2]} is marked `probe: true`",
        f"the zone of _25._tcp.{FQDN[host]} is not signed with DNSSEC",
        f"{host} has `managed: false`: it may make whoever guesses wait",
    }


@pytest.mark.parametrize("host", ["s1", "s2"])
def test_system_users_mbox_and_deferred_relaying_are_proved(packaged: Result, host: str) -> None:
    passed = [f for f in packaged.of("found", verdict="pass") if f["target"]["host"] == host]
    ports = {(f["id"], f["target"]["port"]) for f in passed}

    assert {port for probe, port in ports if probe == "auth.ok"} >= {465, 587, 110, 995, 143, 993}
    assert {port for probe, port in ports if probe == "auth.bad-password"} >= {465, 587, 110, 995, 143, 993}
    assert {port for probe, port in ports if probe == "delivery.path"} == {465, 587}
    relaying = [f["observed"] for f in passed if f["id"] == "relay.classic"]
    assert len(relaying) == 6  # three ports, two addresses
    assert all("454 4.7.1" in seen for seen in relaying)


def test_a_greater_than_sign_of_mbox_is_named(packaged: Result) -> None:
    fetched = packaged.of("found", id="delivery.fetch")

    assert {f["verdict"] for f in fetched} == {"warn"}
    assert all("mbox" in f["advice"] for f in fetched)


def strange(made: lab.Lab, server: str, login: str, *more: str) -> Result:
    """Without an inventory; records come from the lab's own name server, as nobody else knows these domains."""
    name_server = load(made.inventory_path, SecretMode.IGNORE).dns.at(server).provider.name_server
    assert name_server is not None
    password = f"{login}=file:{made.directory / 'secrets' / login}"
    words = ("--server", server, "--account", password, "--self-signed", "--name-server", name_server.address)
    return run("verify", *words, *more)


def test_without_an_inventory_the_same_is_found(made: lab.Lab) -> None:
    found = strange(made, "mx1.gamma.test", "ana@gamma.test").of("found")

    bad = {f["id"] for f in found if f["verdict"] in ("fail", "error")}
    assert bad == {"spoof.envelope", "zone.dmarc"}  # there is no such record
    passed = {(f["id"], f["target"]["port"]) for f in found if f["verdict"] == "pass"}
    assert {port for probe, port in passed if probe == "auth.ok"} == {465, 587, 110, 995, 143, 993}
    assert {("relay.classic", 25), ("unknown.user", 25)} <= passed
    assert {"zone.mx", "zone.spf", "dns.a"} <= {probe for probe, _port in passed}


@pytest.mark.parametrize("server", FQDN.values())
def test_without_an_inventory_system_users_log_in_by_name(made: lab.Lab, server: str) -> None:
    login = f"eva@{server.partition('.')[2]}"
    found = strange(made, server, login, "--login-as", "name", "--probe", "auth.ok").of("found")
    assert {f["target"]["port"] for f in found if f["verdict"] == "pass"} >= {465, 587, 110, 995, 143, 993}
    assert {f["verdict"] for f in found} == {"pass"}


def test_nothing_there_is_changed_asked_or_advised_by_mailprov(made: lab.Lab, packaged: Result) -> None:
    advice = [f["advice"] for f in packaged.of("found") if f["verdict"] != "pass"]
    assert [text for text in advice if "mailprov" in text or "hosts." in text] == []

    planned = run("plan", only(made, "s1", "s2"))
    assert planned.code == 0
    assert all(event["subject"].startswith("zone ") for event in planned.of("planned"))
    told = [event["text"] for event in planned.of("notice") if "managed: false" in event["text"]]
    assert told == ["s1 and s2: built by others (`managed: false`), so nothing is changed or asked there"]
    assert run_on(made, "s1", "ls -d /etc/mailprov /var/lib/mailprov 2>/dev/null || true") == ""

    asked = run("history", only(made, "s1", "s2"), "--host", "s1")
    assert asked.code == 2
    assert "managed: false" in asked.stderr
