"""Domains with everything on, in signed zones: what mail tests ask of records is green; and a key is changed, killed
and rolled back while another host, which sends under DANE, keeps sending: each message arrives, all are verified.

mx1 (Debian 12) and mx2 (Debian 13) have certificates from a real ACME server and zones that BIND signs (dnssec-policy).
Each asks a validating resolver of its own (unbound), whose trust begins at the keys of these zones, as there is no zone
above them. Whose records are about to change is sent to; the other one's Postfix has `smtp_tls_security_level = dane`.
The tests build on each other in their order.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import signal
import smtplib
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.update
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from ruamel.yaml import YAML

from mailprov import lab
from mailprov.inventory import load
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.program import COMMAND, Result, act_when, run
from tests.unit.dns import servers
from tests.unit.probe.test_all_green import CHECKDMARC

INVENTORY = """\
dns: {provider: rfc2136, server: 192.0.2.9, tsig: {name: k, secret: {env: K}}, ttl: 5, reverse: true}
tls: {mode: acme, email: ana@alpha.test}
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}, tls: {key_type: both}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts: {ana: {password: {env: ANA}}}
    aliases: {postmaster: ana}
    dmarc: {policy: reject, rua: postmaster}
    tls_rpt: postmaster
    srv: true
  beta.test:
    hosts: [mx2]
    accounts: {eva: {password: {env: EVA}}}
    aliases: {postmaster: eva}
    dmarc: {policy: reject, rua: postmaster}
    tls_rpt: postmaster
    srv: true
"""
AUTHORITY = "pebble.test"  # as CAA records name it
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
    answer = dns.query.udp(question, where.dns.address, timeout=30)
    return {str(rdata) for rrset in answer.answer for rdata in rrset}


def address_of(where: lab.Lab, host: str) -> str:
    return load(where.inventory_path).host(host).address


def served(address: str) -> str:
    """The key on port 25, as a TLSA record names it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP(address, 25, timeout=120) as client:
        client.starttls(context=context)
        certificate = x509.load_der_x509_certificate(client.sock.getpeercert(binary_form=True))  # type: ignore[union-attr]
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"3 1 1 {hashlib.sha256(key).hexdigest()}"


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

    wait_until(keys, "the zones are signed")
    for host in ADDRESS:
        run_on(where, host, RESOLVER.format(anchors="\n".join(anchors), server=where.dns.address))
    # The name of the lab's authority in CAA records is nobody's, so its inventory does not say it.
    text = where.inventory_path.read_text()
    assert text.count("mode: acme") == len(ADDRESS)
    where.inventory_path.write_text(text.replace("mode: acme", f"mode: acme\n      caa: {AUTHORITY}"))
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


class Asked:
    """What the lab's name server says of a domain and its host, with the proof that it is signed."""

    def __init__(self, where: lab.Lab, host: str) -> None:
        self.where, self.zone, self.host = where, ZONE[host], f"{host}.{ZONE[host]}"

    def answer(self, name: str, kind: str) -> dns.message.Message:
        question = dns.message.make_query(name, kind, want_dnssec=True)
        return dns.query.tcp(question, self.where.dns.address, timeout=120)

    def values(self, name: str, kind: str) -> list[str]:
        wanted = dns.rdatatype.from_text(kind)
        return [
            str(rdata)
            for rrset in self.answer(name, kind).answer
            if rrset.rdtype == wanted
            for rdata in rrset
        ]

    def valid(self, name: str, kind: str) -> bool:
        """The set is there, and signed by a key of the zone."""
        owner, wanted = dns.name.from_text(name), dns.rdatatype.from_text(kind)
        keys = self.answer(self.zone, "DNSKEY").get_rrset(
            dns.message.ANSWER, dns.name.from_text(self.zone), dns.rdataclass.IN, dns.rdatatype.DNSKEY
        )
        reply = self.answer(name, kind)
        found = [
            reply.get_rrset(dns.message.ANSWER, owner, dns.rdataclass.IN, kind, covers=covers)
            for kind, covers in ((wanted, dns.rdatatype.NONE), (dns.rdatatype.RRSIG, wanted))
        ]
        if keys is None or None in found:
            return False
        dns.dnssec.validate(*found, {keys.name: keys})
        return True

    def served(self) -> str:
        """As a record names it."""
        return served(address_of(self.where, self.host.partition(".")[0]))


# Internet.nl's mail test: what of it records decide (categories IPv6, DNSSEC, Auth and STARTTLS of its
# checks/categories.py; a DKIM record is there if `_domainkey` is no missing name, as its checks/tasks/mail.py asks).
ITEMS: dict[str, Callable[[Asked], object]] = {
    "mx": lambda asked: asked.values(asked.zone, "MX") == [f"10 {asked.host}."],
    "address of the MX": lambda asked: asked.values(asked.host, "A"),
    "DNSSEC of the domain": lambda asked: asked.valid(asked.zone, "MX"),
    "DNSSEC of the MX": lambda asked: asked.valid(asked.host, "A"),
    "DKIM": lambda asked: asked.answer(f"_domainkey.{asked.zone}", "TXT").rcode() == dns.rcode.NOERROR,
    "DMARC": lambda asked: asked.valid(f"_dmarc.{asked.zone}", "TXT"),
    "DMARC policy": lambda asked: '"v=DMARC1; p=reject' in asked.values(f"_dmarc.{asked.zone}", "TXT")[0],
    "SPF": lambda asked: [text for text in asked.values(asked.zone, "TXT") if text.startswith('"v=spf1 ')],
    "SPF policy": lambda asked: [text for text in asked.values(asked.zone, "TXT") if text.endswith(' -all"')],
    "CAA": lambda asked: f'0 issue "{AUTHORITY}"' in str(asked.values(asked.host, "CAA")),
    "DANE": lambda asked: asked.valid(f"_25._tcp.{asked.host}", "TLSA"),
    "DANE is right": lambda asked: asked.served() in asked.values(f"_25._tcp.{asked.host}", "TLSA"),
}
# And what the large receivers or mail programs ask besides (Gmail: PTR).
MORE: dict[str, Callable[[Asked], object]] = {
    "TLS-RPT": lambda asked: asked.valid(f"_smtp._tls.{asked.zone}", "TXT"),
    "SRV": lambda asked: asked.values(f"_imaps._tcp.{asked.zone}", "SRV") == [f"0 1 993 {asked.host}."],
    "PTR": lambda asked: (
        asked.values(ipaddress.ip_address(asked.values(asked.host, "A")[0]).reverse_pointer, "PTR")
        == [f"{asked.host}."]
    ),
}
TASKS = (
    "DS at the zone above; IPv6 and addresses of the name servers; IPv6 of the host; RPKI of their addresses"
)


@pytest.mark.parametrize("item", [*ITEMS, *MORE])
def test_every_item_that_records_decide_is_green(hosts: lab.Lab, item: str) -> None:
    """The rest is not mailprov's to do: TASKS, which `verify` prints."""
    for host in ADDRESS:
        assert {**ITEMS, **MORE}[item](Asked(hosts, host)), (item, host)


# Why something is not tested in the lab. All else of `verify` and `dns check` passes.
SKIPS = {
    "dns.delegation": "no public zone delegates a name below test.",
    "dns.dnssec": "no zone above vouches for the keys, as it would; every signature fits them",
    "dns.dnssec-mx": "each MX is in its domain's own zone",
    "dns.mta-sts": "these hosts have no `web`; test_web_certificates.py has one",
    "dns.ipv6": "the name servers are the lab's",
    "dns.rpki": "the addresses are private, so there is no route to sign",
    **dict.fromkeys(
        ("address.attachment", "address.bcc", "delivery.within", "dsn.success"),
        "each domain has one account",
    ),
    **dict.fromkeys(
        ("imap.keep", "imap.shared", "pop.delete", "quota.full", "quota.warn"), "no account is for tests"
    ),
}


@pytest.mark.parametrize("command", [["verify"], ["dns", "check"]], ids=" ".join)
def test_verification_is_green(hosts: lab.Lab, command: list[str]) -> None:
    seen = run(*command, str(hosts.inventory_path))
    bad = [
        (one["id"], one["verdict"], one["target"], one["observed"])
        for one in seen.of("found")
        if one["verdict"] != "pass" and one["id"] not in SKIPS
    ]
    assert bad == []
    assert {one["verdict"] for one in seen.of("found")} <= {"pass", "skip"}
    assert seen.code == 0


def test_checkdmarc_agrees(hosts: lab.Lab) -> None:
    python = Path(__file__).resolve().parents[2] / ".venv/opinion/bin/python"
    if not python.exists():
        pytest.skip("needs checkdmarc: make test-releases installs it (requirements-opinion.lock)")
    for zone in ZONE.values():
        command = [str(python), "-W", "ignore", "-c", CHECKDMARC, zone, hosts.dns.address, "53"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        assert json.loads(done.stdout) == [True, True, True], zone


@pytest.mark.parametrize("sender", ADDRESS)
def test_a_message_passes_under_a_policy_that_rejects(hosts: lab.Lab, sender: str) -> None:
    receiver = OTHER[sender]
    trusted = ssl.create_default_context(cafile=str(hosts.directory / "acme-ca.pem"))
    trusted.check_hostname = False  # it goes to the address
    address = address_of(hosts, sender)
    with smtplib.SMTP_SSL(address, 465, timeout=60, context=trusted) as client:
        client.login(ADDRESS[sender], post.password(hosts, ADDRESS[sender]))
        text = f"From: <{ADDRESS[sender]}>\r\nTo: <{ADDRESS[receiver]}>\r\nSubject: strict {sender}\r\n\r\ntext\r\n"
        client.sendmail(ADDRESS[sender], [ADDRESS[receiver]], text)
    heads: list[str] = []

    def there() -> bool:
        heads[:] = [
            head for box, _, head in post.stored(hosts, receiver) if f"Subject: strict {sender}" in head
        ]
        return bool(heads)

    wait_until(there, "it arrived")
    results = re.sub(r"\s+", " ", heads[0].partition("Authentication-Results:")[2])
    for word in ("dkim=pass", "spf=pass", "dmarc=pass (policy=reject)"):
        assert word in results, results[:600]


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

    def all_arrive(self) -> None:
        """What was put off is tried again until it does: by itself Postfix would after minutes. The receiver, too, puts
        off what it cannot give to a Dovecot that goes down.
        """
        deadline = time.monotonic() + 240
        while (there := self.arrived()) != self.count:
            queue = "".join(
                run_on(self.where, host, "postqueue -p; postqueue -f")
                for host in (self.sender, self.receiver)
            )
            assert time.monotonic() < deadline, f"{there} of {self.count} arrived; {queue}"
            time.sleep(1)


@contextmanager
def sending_under_dane(where: lab.Lab, sender: str) -> Iterator[str]:
    """Gives the place in the sender's journal, for `log`: before it other messages went without DANE. What was put off
    in between (Postfix of the receiver restarts, a host boots) is tried again at the end: by the configuration that
    comes back that would be after minutes.
    """
    run_on(where, sender, SENDS)
    try:
        yield run_on(where, sender, "journalctl -n 0 --show-cursor").partition("cursor: ")[2].strip()
    finally:
        run_on(
            where,
            sender,
            "cp -a /root/main.cf /etc/postfix/main.cf && systemctl restart postfix && postqueue -f",
        )


# Looked for while DANE is asked for: what is put off until it no longer is goes out without.
UNVERIFIED = r"(Untrusted|Anonymous|Trusted) TLS connection established to mx"


def logged(where: lab.Lab, host: str, since: str, words: str) -> list[str]:
    """Lines of Postfix's log with these words, since a place in the journal."""
    lines = f"journalctl --no-pager -u 'postfix*' --after-cursor '{since}'"
    return run_on(where, host, f"{lines} | grep -E '{words}' || true").splitlines()


def log(where: lab.Lab, host: str, since: str, words: str) -> int:
    return len(logged(where, host, since, words))


def sent_unverified(where: lab.Lab, host: str, since: str) -> list[str]:
    """Deliveries over a connection whose key no record proved: what a process of smtp(8) says of its last connection
    holds for the message of which it speaks next. With a wait shorter than the TTL of the records there are connections
    that prove nothing, as the resolver still has the old record; what is to go over them is put off.
    """
    verified: dict[str, bool] = {}
    found = []
    for line in logged(where, host, since, "postfix/smtp.*(TLS connection established to|status=sent)"):
        process, _, text = line.partition("postfix/smtp[")[2].partition("]: ")
        if "TLS connection established to" in text:
            verified[process] = text.startswith("Verified ")
        elif not verified.get(process):
            found.append(line)
    return found


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

    with sending_under_dane(hosts, sender) as since:
        with Letters(hosts, sender, receiver) as letters:
            wait_until(lambda: log(hosts, sender, since, verified), "a message was delivered, verified")
            rotated = act_when(
                lambda event: "may be used in" in event.get("text", ""),
                renew,
                *("tls", "rotate", "--yes", "--wait", "20", "--host", receiver, str(hosts.inventory_path)),
            )
            time.sleep(5)  # some more letters, for the key that is served now
        letters.all_arrive()
        assert log(hosts, sender, since, "status=(deferred|bounced)") == 0
        assert logged(hosts, sender, since, UNVERIFIED) == []
    assert rotated.code == 0, rotated.of("ended")
    assert set(renewed) == {"pass"}
    after = standing(hosts, receiver)
    assert len(after) == len(before)
    assert not after & before
    judged = run("verify", "--probe", "dane", str(hosts.inventory_path))
    assert {found["verdict"] for found in judged.of("found")} == {"pass"}, judged.of("found")
    # The timer renews with the new key, and serves it at once.
    run_on(hosts, receiver, "systemctl start certbot.service")
    assert standing(hosts, receiver) == after
    again = run("verify", "--probe", "dane", "--host", receiver, str(hosts.inventory_path))
    assert {found["verdict"] for found in again.of("found")} == {"pass"}, again.of("found")


class Watch:
    """Looks all the time whether the key that a host serves is one that its records name."""

    def __init__(self, where: lab.Lab, host: str) -> None:
        self.where, self.host = where, host
        self.address = address_of(where, host)
        self.looks, self.unpublished = 0, list[str]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._stop.wait(0.3):
            with suppress(OSError, dns.exception.DNSException, smtplib.SMTPException):  # it boots
                before, key = standing(self.where, self.host), served(self.address)
                self.looks += 1
                if key not in before and key not in standing(self.where, self.host):
                    self.unpublished.append(key)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(120)


def disturbed(
    words: list[str], when: Callable[[dict[str, Any]], bool], strike: Callable[[Any], None]
) -> None:
    """Run it, and strike once, when the event comes; how it ends then is its own affair, but that it ends."""
    process = subprocess.Popen(
        [*COMMAND, *words, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        if when(json.loads(line)):
            strike(process)
            break
    else:
        pytest.fail(f"the event never came; the last were {seen[-3:]}")
    said, wrong = process.communicate(timeout=300)
    assert "Traceback" not in said + wrong


@pytest.mark.parametrize("receiver", ADDRESS)
def test_whatever_ends_a_rotation_mail_flows_and_it_goes_on(hosts: lab.Lab, receiver: str) -> None:
    """Each fault at another step of one rotation, which the same command takes up again each time. On mx1 also a
    rollback after the first step; mx2 is cut off and reboots.
    """
    sender = OTHER[receiver]
    quick = ["tls", "rotate", "--yes", "--wait", "1", "--host", receiver, str(hosts.inventory_path)]
    words = [*quick[:4], "20", *quick[5:]]  # long enough to be ended in the wait

    def text(begin: str) -> Callable[[dict[str, Any]], bool]:
        return lambda event: begin in event.get("text", "")

    def behind_switch(wanted: Callable[[dict[str, Any]], bool]) -> Callable[[dict[str, Any]], bool]:
        seen: list[bool] = []

        def look(event: dict[str, Any]) -> bool:
            seen.append("step 2 of 2" in event.get("text", ""))
            return any(seen) and wanted(event)

        return look

    def kill_controller(process: Any) -> None:
        process.kill()

    def on_host(command: str) -> Callable[[Any], None]:
        return lambda process: (run_on(hosts, receiver, command, check=False), None)[1]

    def frozen(strike: Callable[[Any], None]) -> Callable[[Any], None]:
        """While the controller stands still: on a busy machine it would be past that step before the strike comes."""

        def struck(process: Any) -> None:
            process.send_signal(signal.SIGSTOP)
            try:
                strike(process)
            finally:
                process.send_signal(signal.SIGCONT)

        return struck

    agent = on_host("pkill -KILL -f 'python3 -I -u -c'")
    cut = frozen(on_host("pkill -KILL -f 'sshd.*@notty'"))
    address = address_of(hosts, receiver)
    before, old = standing(hosts, receiver), served(address)
    with sending_under_dane(hosts, sender) as since:
        with Letters(hosts, sender, receiver, "f") as letters, Watch(hosts, receiver) as watch:
            wait_until(lambda: letters.arrived() > 0, "a message arrived")
            if receiver == "mx1":
                disturbed(words, text("asking https"), agent)
                wait_until(lambda: not run_on(hosts, "mx1", "pgrep -x certbot || true"), "certbot has ended")
                disturbed(words, text("may be used in"), kill_controller)
                wait_until(lambda: before < standing(hosts, "mx1"), "the new key is published")
                back = run("rollback", "--yes", "--host", "mx1", str(hosts.inventory_path))
                assert back.code == 0, back.events[-4:]
                assert standing(hosts, "mx1") == before
                assert served(address) == old
                disturbed(quick, behind_switch(lambda event: event["event"] == "applied"), kill_controller)
            else:
                disturbed(words, text("may be used in"), on_host("systemctl reboot"))
                wait_until(lambda: reachable(hosts, "mx2"), "it has booted")
                disturbed(quick, behind_switch(lambda event: "reading facts" in event.get("text", "")), cut)
                disturbed(quick, behind_switch(lambda event: event["event"] == "applied"), agent)
            for _try in range(3):  # one that was killed may still hold the lock of the host
                if (done := run(*quick, "--lock-timeout", "60")).code == 0:
                    break
            assert done.code == 0, done.events[-4:]
            after = standing(hosts, receiver)
            time.sleep(2)
        letters.all_arrive()
        assert sent_unverified(hosts, sender, since) == []
    assert not after & before
    assert len(after) == len(before)
    assert watch.looks > 10
    assert watch.unpublished == []
    # The old key does not come back: its record has gone, and an authority's certificate stays.
    back = run("rollback", "--yes", "--host", receiver, str(hosts.inventory_path))
    assert standing(hosts, receiver) == after, back.events[-4:]
    assert served(address) in after
    judged = run("verify", "--probe", "dane", "--host", receiver, str(hosts.inventory_path))
    assert {found["verdict"] for found in judged.of("found")} == {"pass"}, judged.of("found")


def reachable(where: lab.Lab, host: str) -> bool:
    done = subprocess.run(where.ssh_argv(host, ["true"]), capture_output=True, timeout=60, check=False)
    return done.returncode == 0


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
        dns.query.tcp(message, hosts.dns.address, timeout=120)
        wait_until(lambda: standing(hosts, "mx1") == set(records), "the record is in the signed zone")
        run_on(hosts, "mx2", "systemctl restart unbound")

    publish("3 1 1 " + "00" * 32)
    judged = run("verify", "--probe", "dane", "--host", "mx1", str(hosts.inventory_path))
    assert {found["verdict"] for found in judged.of("found")} == {"fail"}
    letters = Letters(hosts, "mx2", "mx1", "wrong")
    with sending_under_dane(hosts, "mx2") as since:
        letters.one()
        wait_until(
            lambda: log(hosts, "mx2", since, "status=deferred .Server certificate not (trusted|verified)"),
            "the message is deferred",
        )
        assert letters.arrived() == 0
        publish(*right)
        run_on(hosts, "mx2", "postqueue -f")
        wait_until(lambda: letters.arrived() == 1, "with the right record it arrives")


def test_another_domain_is_at_another_provider(
    hosts: lab.Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real PowerDNS, by its HTTP API, beside the lab's BIND; when it is down its zone alone stops, and is named."""
    if missing := servers.KINDS["powerdns"].missing():
        pytest.skip(missing)
    monkeypatch.setenv("PDNS", servers.API_KEY)
    (tmp_path / "powerdns").mkdir()
    there, process = servers.start("powerdns", tmp_path / "powerdns", {"gamma.test": 'www TXT "theirs"\n'})
    path = hosts.inventory_path.with_name("two.yml")
    made = YAML(typ="safe").load(hosts.inventory_path.read_text())
    entry = {"provider": "powerdns", "url": there.api(), "token": {"env": "PDNS"}}
    made["dns"]["zones"] = {"gamma.test": entry}
    made["domains"]["gamma.test"] = {"hosts": ["mx1"], "accounts": made["domains"]["alpha.test"]["accounts"]}

    def apply(*, srv: bool) -> Result:
        made["domains"]["alpha.test"]["srv"] = made["domains"]["gamma.test"]["srv"] = srv
        YAML(typ="safe").dump(made, path)
        return run("apply", "--yes", "--no-verify", str(path))

    def stands(kind: str = "SRV", name: str = "_imaps._tcp.") -> tuple[bool, bool]:
        here = Asked(hosts, "mx1").values(f"{name}alpha.test", kind)
        return bool(here), bool(there.values(f"{name}gamma.test", kind))

    try:
        applied = apply(srv=False)
        assert applied.code == 0, applied.events[-4:]
        assert there.values("gamma.test", "MX") == {"10 mx1.alpha.test."}
        assert stands() == (False, False)
        assert run("plan", "--exit-code", str(path)).code == 0

        servers.stop(process)
        halted = apply(srv=True)
        assert halted.code != 0
        assert [one["subject"] for one in halted.of("ended") if one["error"]] == ["zone gamma.test"]
        assert bool(Asked(hosts, "mx1").values("_imaps._tcp.alpha.test", "SRV"))
        refused = run("rollback", "--yes", str(path))  # all or nothing
        process = subprocess.Popen(process.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers() -> bool:
            with suppress(OSError, dns.exception.DNSException):
                return bool(there.values("gamma.test", "SOA"))
            return False

        wait_until(answers, "PowerDNS answers again")
        assert (refused.code == 0, stands()) == (True, (False, False)) or stands() == (True, False), (
            refused.events[-4:]
        )

        healed = apply(srv=True)
        assert healed.code == 0, healed.events[-4:]
        assert stands() == (True, True)
        assert run("rollback", "--yes", str(path)).code == 0
        assert stands()[1] is False
        assert there.values("www.gamma.test", "TXT") == {'"theirs"'}
    finally:
        servers.stop(process)
