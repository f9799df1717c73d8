"""A key is changed while another host, which sends under DANE, keeps sending: each message arrives, all are verified.

mx1 (Debian 12) and mx2 (Debian 13) have certificates from a real ACME server and zones that BIND signs (dnssec-policy).
Each asks a validating resolver of its own (unbound), whose trust begins at the keys of these zones, as there is no zone
above them. Whose records are about to change is sent to; the other one's Postfix has `smtp_tls_security_level = dane`.
The tests build on each other in their order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.exception
import dns.message
import dns.query
import dns.update
import pytest

from mailprov import lab
from mailprov.inventory import load
from tests.lab.labs import run_on, wait_until
from tests.lab.program import act_when, run

INVENTORY = """\
dns: {provider: rfc2136, server: 192.0.2.9, tsig: {name: k, secret: {env: K}}, ttl: 5}
tls: {mode: acme, email: ana@alpha.test}
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}, tls: {key_type: both}}
domains:
  alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: EVA}}}}
"""
ADDRESS = {"mx1": "ana@alpha.test", "mx2": "eva@beta.test"}
ZONE = {"mx1": "alpha.test", "mx2": "beta.test"}
NAME = {"mx1": "_25._tcp.mx1.alpha.test", "mx2": "_25._tcp.mx2.beta.test"}
OTHER = {"mx1": "mx2", "mx2": "mx1"}

RESOLVER = """
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update && apt-get -qq -y -o Dpkg::Use-Pty=0 install unbound >/dev/null
cat >/etc/unbound/unbound.conf <<END
server:
  interface: 127.0.0.1
  access-control: 127.0.0.0/8 allow
  do-ip6: no
  local-zone: "test." nodefault
  local-zone: "internal." nodefault
  cache-max-negative-ttl: 2
{anchors}
forward-zone:
  name: "."
  forward-addr: {server}
END
systemctl restart unbound
rm -f /etc/resolv.conf
printf 'nameserver 127.0.0.1\\noptions edns0 trust-ad\\n' >/etc/resolv.conf
"""
SENDS = """
cp -a /etc/postfix/main.cf /root/main.cf
postconf -e smtp_tls_security_level=dane smtp_dns_support_level=dnssec smtp_tls_loglevel=1 minimal_backoff_time=5s
postconf -e maximal_backoff_time=5s queue_run_delay=5s
systemctl restart postfix
"""
LETTER = "printf 'Subject: {number}\\n\\ntext\\n' | sendmail -f {sender} {to}"


def standing(where: lab.Lab, host: str) -> set[str]:
    question = dns.message.make_query(NAME[host], "TLSA")
    answer = dns.query.udp(question, where.dns.address, timeout=10)
    return {str(rdata) for rrset in answer.answer for rdata in rrset}


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    where = ready_lab_factory(INVENTORY)
    signed = "dnssec-policy default; inline-signing yes; "
    for zone in ZONE.values():
        run_on(where, where.dns.name, f"sed -i 's/^zone \"{zone}\" {{ /&{signed}/' /etc/bind/named.conf")
    run_on(where, where.dns.name, "systemctl restart named")
    anchors: list[str] = []

    def keys() -> bool:
        anchors.clear()
        for zone in ZONE.values():
            try:
                answer = dns.query.udp(dns.message.make_query(zone, "DNSKEY"), where.dns.address, timeout=2)
            except (dns.exception.DNSException, OSError):
                return False  # it restarts
            anchors.extend(
                f'  trust-anchor: "{zone}. DNSKEY {rdata}"' for rrset in answer.answer for rdata in rrset
            )
        return len(anchors) == len(ZONE)

    wait_until(keys, "the zones are signed", 60)
    for host in ADDRESS:
        run_on(where, host, RESOLVER.format(anchors="\n".join(anchors), server=where.dns.address))
    return where


def test_records_come_with_the_first_apply(hosts: lab.Lab) -> None:
    """They follow the certificates, which follow the other records."""
    applied = run("apply", "--yes", "--no-verify", str(hosts.inventory_path))
    assert applied.code == 0, [event["error"] for event in applied.of("ended")]
    assert [len(standing(hosts, host)) for host in ADDRESS] == [1, 2]  # mx2 has keys of both kinds
    again = run("apply", "--yes", "--no-verify", str(hosts.inventory_path))
    assert not [event["changes"] for event in again.of("planned") if event["changes"]]
    judged = run("verify", "--probe", "dane", str(hosts.inventory_path))
    assert {found["verdict"] for found in judged.of("found")} == {"pass"}, judged.of("found")


class Letters:
    """Sends about one a second until it is stopped."""

    def __init__(self, where: lab.Lab, sender: str, receiver: str, label: str = "n") -> None:
        self.where, self.sender, self.receiver, self.label = where, sender, receiver, label
        self.count = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def one(self) -> None:
        who = {"sender": ADDRESS[self.sender], "to": ADDRESS[self.receiver]}
        run_on(self.where, self.sender, LETTER.format(number=f"{self.label}{self.count + 1}", **who))
        self.count += 1

    def _send(self) -> None:
        while not self._stop.wait(1):
            self.one()

    def __enter__(self) -> Letters:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(120)

    def arrived(self) -> int:
        local, domain = ADDRESS[self.receiver].split("@")
        told = run_on(
            self.where,
            self.receiver,
            f"grep -rhoE '^Subject: {self.label}[0-9]+$' /var/vmail/{domain}/{local}/Maildir/new | sort -u | wc -l",
        )
        return int(told)


@contextmanager
def sending_under_dane(where: lab.Lab, sender: str) -> Iterator[None]:
    run_on(where, sender, SENDS)
    try:
        yield
    finally:
        run_on(where, sender, "cp -a /root/main.cf /etc/postfix/main.cf && systemctl restart postfix")


def log(where: lab.Lab, host: str, words: str) -> int:
    return int(run_on(where, host, f"journalctl --no-pager -u 'postfix*' | grep -cE '{words}' || true"))


@pytest.mark.parametrize("receiver", ADDRESS)
def test_each_message_arrives_while_the_key_changes_and_a_renewal_happens(
    hosts: lab.Lab, receiver: str
) -> None:
    sender = OTHER[receiver]
    before = standing(hosts, receiver)
    verified = rf"Verified TLS connection established to mx[12]\.{ZONE[receiver]}"
    renewed: list[str] = []

    def renew(process: object) -> None:
        """By certbot's timer, in the middle of the wait: the new key is not served yet."""
        assert before < standing(hosts, receiver)
        due = "sed -i '1i renew_before_expiry = 3650 days' /etc/letsencrypt/renewal/*.conf"
        run_on(hosts, receiver, f"{due} && systemctl start certbot.service")
        judged = run("verify", "--probe", "dane", "--host", receiver, str(hosts.inventory_path))
        renewed.extend(found["verdict"] for found in judged.of("found"))

    with sending_under_dane(hosts, sender), Letters(hosts, sender, receiver) as letters:
        wait_until(lambda: log(hosts, sender, verified), "a message was delivered, verified", 60)
        rotated = act_when(
            lambda event: "may be used in" in event.get("text", ""),
            renew,
            *("tls", "rotate", "--yes", "--wait", "20", "--host", receiver, str(hosts.inventory_path)),
        )
        time.sleep(5)  # some more letters, for the key that is served now
    assert rotated.code == 0, rotated.of("ended")
    assert set(renewed) == {"pass"}
    after = standing(hosts, receiver)
    assert len(after) == len(before)
    assert not after & before
    wait_until(lambda: letters.arrived() == letters.count, f"all of {letters.count} arrived", 60)
    assert log(hosts, sender, "status=(deferred|bounced)") == 0
    assert log(hosts, sender, r"(Untrusted|Anonymous|Trusted) TLS connection established to mx") == 0
    judged = run("verify", "--probe", "dane", str(hosts.inventory_path))
    assert {found["verdict"] for found in judged.of("found")} == {"pass"}, judged.of("found")
    # The timer renews with the new key, and serves it at once.
    run_on(hosts, receiver, "systemctl start certbot.service")
    assert standing(hosts, receiver) == after
    again = run("verify", "--probe", "dane", "--host", receiver, str(hosts.inventory_path))
    assert {found["verdict"] for found in again.of("found")} == {"pass"}, again.of("found")


def test_with_a_wrong_record_nothing_is_delivered(hosts: lab.Lab) -> None:
    read = load(hosts.inventory_path)
    right = standing(hosts, "mx1")

    def publish(*records: str) -> None:
        tsig = read.dns.provider.tsig  # type: ignore[attr-defined]
        key = dns.tsig.Key(tsig.name, tsig.secret.reveal(), tsig.algorithm)
        message = dns.update.UpdateMessage("alpha.test", keyring=key)
        message.delete(f"{NAME['mx1']}.", "TLSA")
        for record in records:
            message.add(f"{NAME['mx1']}.", 5, "TLSA", record)
        dns.query.tcp(message, hosts.dns.address, timeout=10)
        wait_until(lambda: standing(hosts, "mx1") == set(records), "the record is in the signed zone")
        run_on(hosts, "mx2", "systemctl restart unbound")

    publish("3 1 1 " + "00" * 32)
    judged = run("verify", "--probe", "dane", "--host", "mx1", str(hosts.inventory_path))
    assert {found["verdict"] for found in judged.of("found")} == {"fail"}
    letters = Letters(hosts, "mx2", "mx1", "wrong")
    with sending_under_dane(hosts, "mx2"):
        letters.one()
        wait_until(
            lambda: log(hosts, "mx2", "status=deferred .Server certificate not (trusted|verified)"),
            "the message is deferred",
            60,
        )
        assert letters.arrived() == 0
        publish(*right)
        run_on(hosts, "mx2", "postqueue -f")
        wait_until(lambda: letters.arrived() == 1, "with the right record it arrives", 60)
