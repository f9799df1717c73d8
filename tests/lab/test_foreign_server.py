"""verify against a server that mailprov did not build: what a student configures by hand on a stock Debian.

The hand-made server works (logins, delivery, no open relay) and has one mistake that a user would not notice: whoever
is logged in may send in anybody's name. verify must prove all that works and name exactly that.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailprov import lab
from tests.lab.labs import run_on
from tests.lab.program import Result, run

INVENTORY = """\
tls: {mode: self-signed}
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.gamma.test, lab: {release: debian-12}}
domains:
  gamma.test:
    hosts: [mx1]
    accounts:
      ana: {password: {env: ANA}}
      luis: {password: {env: LUIS}}
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


@pytest.fixture(scope="module")
def result(ready_lab_factory: Callable[[str], lab.Lab]) -> Result:
    made = ready_lab_factory(INVENTORY)
    secrets = made.directory / "secrets"
    # The lab gives its hosts certificates of its CA; this server has its own, as the user's inventory says.
    text = made.inventory_path.read_text()
    head, _, rest = text.partition("    tls:\n")
    inventory = made.inventory_path.with_name("by-hand.yml")
    inventory.write_text(head + "    tls: {mode: self-signed}\n" + rest.partition("ca.pem\n")[2])
    words = " ".join(
        f"{name.upper()}={(secrets / f'{name}@gamma.test').read_text().strip()}" for name in ("ana", "luis")
    )
    run_on(made, "mx1", f"export {words}\n{BY_HAND}")
    assert run("dns", "apply", "--yes", str(inventory)).code == 0
    return run("verify", str(inventory))


def test_the_one_mistake_is_named_and_nothing_else_fails(result: Result) -> None:
    bad = {f["id"] for f in result.of("found") if f["verdict"] in ("fail", "error")}

    assert bad == {"spoof.envelope"}
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


def test_the_self_signed_certificate_is_a_warning_because_the_inventory_says_so(result: Result) -> None:
    assert {f["verdict"] for f in result.of("found", id="tls.chain")} == {"warn"}
    assert {f["verdict"] for f in result.of("found", id="tls.name")} == {"pass"}
