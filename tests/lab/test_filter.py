"""The filter on real hosts, Debian 12 and 13: Rspamd signs, checks, seals and sorts; without it mail flows.

The tests build on each other in their order: one pair of hosts, applied once.
"""

from __future__ import annotations

import itertools
import re
import smtplib
from collections.abc import Callable
from pathlib import Path

import dns.query
import dns.rcode
import dns.tsig
import dns.update
import pytest

from mailprov import lab
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.inventory import SecretMode, load
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.program import interrupt_when, run
from tests.lab.signer import signed

INVENTORY = """\
filter: rspamd
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
      ana: {password: {env: ANA}}
      luis: {password: {env: LUIS}, forward: {to: [luis@beta.test], keep: true}}
    domain_aliases: [alfa.test]
    dmarc: {policy: quarantine}
  beta.test:
    hosts: [mx2]
    accounts:
      eva: {password: {env: EVA}}
      luis: {password: {env: LUIS2}}
    dkim: {algorithms: [rsa, ed25519]}
    dmarc: {policy: reject}
"""
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
RSPAMC = "rspamc -h /run/rspamd/controller.sock"
PLACES = (("mx1", "ana@alpha.test", "mx1.alpha.test"), ("mx2", "eva@beta.test", "mx2.beta.test"))
# Debian's own verifier, which knows nothing of mailprov or of the signer: each signature of each message.
VERIFY = (
    "cd /var/vmail && for f in $(grep -l 'Subject: {word}' */*/Maildir/new/* */*/Maildir/cur/* 2>/dev/null); do "
    "n=$(grep -c '^DKIM-Signature:' $f); [ $n -gt 0 ] || echo unsigned $f; "
    "for i in $(seq 0 $((n - 1))); do dkimverify --index $i < $f; done; done"
)


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return ready_lab_factory(INVENTORY)


@pytest.fixture(scope="module")
def inventory(hosts: lab.Lab) -> str:
    return str(hosts.inventory_path)


def address(hosts: lab.Lab, name: str) -> str:
    return load(hosts.inventory_path, SecretMode.IGNORE).host(name).address


def edited(inventory: str, name: str, *changes: tuple[str, str]) -> str:
    text = Path(inventory).read_text()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text)
        assert count, pattern
    copy = Path(inventory).with_name(f"{name}.yml")
    copy.write_text(text)
    return str(copy)


def text(sender: str, recipient: str, subject: str, extra: str = "", body: str = "hello") -> str:
    return (
        f"From: <{sender}>\nTo: <{recipient}>\nSubject: {subject}\nDate: Tue, 24 Nov 2026 08:00:00 +0000\n"
        f"Message-ID: <{subject}@{sender.rpartition('@')[2]}>\n{extra}\n{body}\n"
    )


def arrived(hosts: lab.Lab, host: str, box: str, subject: str, *, folder: str = "INBOX") -> str:
    """The header of this message, once it is in this folder of this mailbox."""
    seen: list[str] = []

    def there() -> bool:
        seen[:] = [
            head
            for name, where, head in post.stored(hosts, host)
            if (name, where) == (box, folder) and f"Subject: {subject}\n" in head.replace("\r", "")
        ]
        return bool(seen)

    wait_until(there, f"{subject} in {folder} of {box}", timeout=180)
    return re.sub(r"\r?\n[ \t]+", " ", seen[0])


def results(head: str) -> list[str]:
    return re.findall(r"^Authentication-Results: *(.*)$", head, re.MULTILINE)


def test_one_apply_makes_keys_publishes_them_and_proves_them(hosts: lab.Lab, inventory: str) -> None:
    result = run("apply", "--yes", "--no-verify", inventory)
    assert result.code == 0, result.events[-3:]

    seen = run("verify", inventory)
    bad = [f for f in seen.of("found") if f["verdict"] not in ("pass", "skip")]
    assert (seen.code, bad) == (0, [])
    assert [f for f in seen.of("found") if f["timed_out"]] == [], (
        "no probe of a sound host waits until its deadline"
    )
    for probe in ("delivery.dkim", "delivery.results", "delivery.forged"):
        assert {f["target"]["domain"] for f in seen.of("found", id=probe, verdict="pass")} == {
            "alpha.test->beta.test",
            "beta.test->alpha.test",
        }
    assert ("create", "key", "beta.test.mx2-ed25519-2") in result.changes("mx2")
    assert ("create", "record", "mx1-rsa-1._domainkey.alfa.test TXT") in result.changes("zone alfa.test")
    assert "PRIVATE" not in str(result.events)
    for host, group in (("mx1", "_rspamd"), ("mx2", "_rspamd")):
        modes = run_on(hosts, host, "stat -c '%a %U:%G' /etc/mailprov/dkim/*.key").split("\n")
        assert set(modes) == {f"640 root:{group}", ""}
    assert run("apply", "--yes", "--no-verify", inventory).of("applied") == []


def test_another_verifier_finds_the_signatures_good(hosts: lab.Lab) -> None:
    """Submitted mail, and mail that a program on the host sends; both lines of Rspamd."""
    for host, user, _ in PLACES:
        other = next(one for _, one, _ in PLACES if one != user)
        with post.inside(hosts, address(hosts, host), user) as client:
            post.transaction(client, user, [other], text(user, other, "signed-1"))
        run_on(
            hosts, host, f"printf 'From: {user}\\nSubject: signed-2\\n\\nx\\n' | sendmail -f {user} {other}"
        )
    for host, user, _ in PLACES:
        for subject in ("signed-1", "signed-2"):
            arrived(hosts, host, user, subject)
        run_on(
            hosts, host, "apt-get -q -y install python3-dkim python3-nacl python3-dnspython >/dev/null 2>&1"
        )
        said = run_on(hosts, host, VERIFY.format(word="signed-"), check=False).split("\n")
        wanted = 2 if host == "mx2" else 4  # beta.test signs with both algorithms
        assert [line for line in said if line] == ["signature ok"] * wanted, said


def test_what_others_claim_to_be_our_results_is_taken_out(hosts: lab.Lab) -> None:
    for host, user, fqdn in PLACES:
        extra = f"authentication-results:\n\t{fqdn.upper()}; dkim=pass header.d=bank.test\n"
        # Two of others: Rspamd can take out the first alone.
        extra += "Authentication-Results: other.test; dkim=pass header.d=bank.test\n" * 2
        with post.outside(address(hosts, host)) as client:
            post.transaction(client, "x@else.test", [user], text("x@else.test", user, "forged-1", extra))
        folder = "Junk"  # a stranger without a name in DNS
        (only,) = results(arrived(hosts, host, user, "forged-1", folder=folder))
        assert only.startswith(f"{fqdn};")
        assert "bank.test" not in only
        assert "spf=none" in only


def test_spam_is_refused_while_the_sender_listens_and_what_dmarc_refuses_goes_to_junk(hosts: lab.Lab) -> None:
    for host, user, _ in PLACES:
        with post.outside(address(hosts, host)) as client:
            client.docmd("MAIL FROM:<x@else.test>")
            client.docmd(f"RCPT TO:<{user}>")
            code, reply = client.data(
                text("x@else.test", user, "gtube-1", body=GTUBE).replace("\n", "\r\n").encode()
            )
            assert (code, reply[:5]) == (554, b"5.7.1")
        luis = f"luis@{user.rpartition('@')[2]}"
        with post.outside(address(hosts, host)) as client:
            post.transaction(client, luis, [user], text(luis, user, "spoofed-1"))
        head = arrived(hosts, host, user, "spoofed-1", folder="Junk")
        assert "spf=fail" in results(head)[0]
        assert "dmarc=fail" in results(head)[0]


def test_the_filters_controller_is_for_root_alone(hosts: lab.Lab) -> None:
    """Who writes to whom, the scores, and what is learned: it was open to every user of the host."""
    for host, _, _ in PLACES:
        for place in ("127.0.0.1:11334", "localhost:11334", "/run/rspamd/controller.sock"):
            said = run_on(hosts, host, f"runuser -u nobody -- rspamc -h {place} stat 2>&1", check=False)
            assert "Messages scanned" not in said, (host, place)
        assert "Messages scanned" in run_on(hosts, host, f"{RSPAMC} stat")


def nobody_but_postfix_has_mail_signed(hosts: lab.Lab, host: str, author: str, milter: str) -> None:
    """By the milter's own protocol, which believes whatever login it is told."""
    places: list[int | str] = [8891, 11332, f"/var/spool/postfix/{milter}/milter.sock"]
    users = run_on(hosts, host, "getent passwd | cut -d: -f1").split()
    found = signed(hosts, host, users, places, author)
    # The milter's own user has the keys anyway.
    mine = {"root", "postfix", "_rspamd" if milter == "rspamd" else milter}
    assert found == {(user, places[-1]) for user in mine}


def test_no_user_of_the_host_has_mail_signed_by_rspamd(hosts: lab.Lab) -> None:
    for host, author, _ in PLACES:
        nobody_but_postfix_has_mail_signed(hosts, host, author, "rspamd")


def test_what_is_forwarded_is_sealed_and_the_next_host_says_so(hosts: lab.Lab) -> None:
    with post.inside(hosts, address(hosts, "mx2"), "eva@beta.test") as client:
        to = "luis@alpha.test"
        post.transaction(client, "eva@beta.test", [to], text("eva@beta.test", to, "sealed-1"))

    head = arrived(hosts, "mx2", "luis@beta.test", "sealed-1")
    assert {word for word in ("spf", "dkim", "dmarc", "arc") if f"{word}=pass" in results(head)[0]} == {
        "spf",
        "dkim",
        "dmarc",
        "arc",
    }
    assert "alpha.test" in re.findall(r"^ARC-Seal: i=1;.*$", head, re.MULTILINE)[0]
    assert len(results(arrived(hosts, "mx1", to, "sealed-1"))) == 1


def test_what_a_users_filter_sends_on_is_not_signed_again(hosts: lab.Lab) -> None:
    """Nor sent under the sender it came with, though that is one of ours: the author's own signature vouches for it."""
    session = post.Sieve(hosts, address(hosts, "mx1"), "ana@alpha.test")
    session.activate('require "copy"; if header "subject" "on-1" { redirect :copy "eva@beta.test"; }\n')
    session.close()
    with post.inside(hosts, address(hosts, "mx1"), "luis@alpha.test") as client:
        to = "ana@alpha.test"
        post.transaction(client, "luis@alpha.test", [to], text("luis@alpha.test", to, "on-1"))

    head = arrived(hosts, "mx2", "eva@beta.test", "on-1")
    assert head.startswith("Return-Path: <SRS0=")
    assert len(re.findall("^DKIM-Signature:", head, re.MULTILINE)) == 1
    assert {word for word in ("spf", "dkim", "dmarc") if f"{word}=pass" in results(head)[0]} == {
        "spf",
        "dkim",
        "dmarc",
    }


def test_without_the_filter_mail_flows_and_verify_says_so(hosts: lab.Lab, inventory: str) -> None:
    run_on(hosts, "mx1", "systemctl stop rspamd")

    seen = run("verify", inventory, "--probe", "delivery")
    assert seen.code == 1
    failed = {(f["id"], f["target"]["domain"]) for f in seen.of("found", verdict="fail")}
    assert failed == {("delivery.dkim", "alpha.test->beta.test")}  # unsigned
    warned = {(f["id"], f["target"]["domain"]) for f in seen.of("found", verdict="warn")}
    assert warned == {
        ("delivery.results", "alpha.test->beta.test"),  # and seen as such by the other host
        ("delivery.results", "beta.test->alpha.test"),  # unchecked
    }
    extra = "Authentication-Results: mx1.alpha.test; dkim=pass header.d=bank.test\n"
    with post.outside(address(hosts, "mx1")) as client:
        to = "ana@alpha.test"
        post.transaction(client, "x@else.test", [to], text("x@else.test", to, "unfiltered-1", extra))
    assert results(arrived(hosts, "mx1", to, "unfiltered-1")) == []

    healed = run("apply", "--yes", "--no-verify", inventory)
    assert [change[2] for change in healed.changes("mx1")] == ["rspamd.service"]
    assert run("verify", inventory, "--probe", "delivery.dkim").code == 0


def selectors(hosts: lab.Lab, subject: str) -> set[str]:
    with post.inside(hosts, address(hosts, "mx1"), "ana@alpha.test") as client:
        to = "eva@beta.test"
        post.transaction(client, "ana@alpha.test", [to], text("ana@alpha.test", to, subject))
    head = arrived(hosts, "mx2", "eva@beta.test", subject)
    assert "dkim=pass" in results(head)[0]
    return set(re.findall(r"^DKIM-Signature:.*?\bs=([^;]+);", head, re.MULTILINE))


def test_a_rotation_goes_on_where_it_was_left_and_no_signature_is_ever_without_its_record(
    hosts: lab.Lab, inventory: str
) -> None:
    left = run("dkim", "rotate", inventory, "alpha.test", "--yes", "--no-wait")
    assert left.code == 4, left.events[-3:]
    assert ("create", "record", "mx1-rsa-2._domainkey.alpha.test TXT") in left.changes("zone alpha.test")
    assert left.changes("mx2") == []
    assert selectors(hosts, "rotating-1") == {"mx1-rsa-1"}
    assert run("apply", "--yes", "--no-verify", inventory).of("applied") == []

    stopped = interrupt_when(
        lambda event: "may be used in" in event.get("text", ""),
        "dkim",
        "rotate",
        inventory,
        "alpha.test",
        "--yes",
    )
    assert stopped.code == 130
    assert selectors(hosts, "rotating-2") == {"mx1-rsa-1"}

    done = run("dkim", "rotate", inventory, "alpha.test", "--yes", "--wait", "0")
    assert done.code == 0, done.events[-3:]
    assert done.changes("zone alpha.test") == []
    # Rspamd reads its files again while its old workers still serve.
    turns = itertools.count(1)
    wait_until(lambda: selectors(hosts, f"rotated-{next(turns)}") == {"mx1-rsa-2"}, "the new key signs")

    shown = run_on(hosts, "mx1", "cat /etc/mailprov/dkim/keys")
    assert re.search(r"^alpha.test mx1-rsa-1 retired \d{4}-\d\d-\d\d$", shown, re.MULTILINE)
    assert run("apply", "--yes", "--no-verify", inventory).of("applied") == []
    seen = run("verify", inventory, "--probe", "delivery.dkim")
    assert seen.code == 0
    assert [f for f in seen.of("found") if "mx1-rsa-2" in f["observed"]]


def test_only_the_blocklists_of_the_inventory_are_asked(hosts: lab.Lab, inventory: str) -> None:
    """mx1 asks one, which the lab's name server has; mx2 asks none. Both asked Rspamd's own before."""
    known = {host: run_on(hosts, host, f"{RSPAMC} counters") for host in ("mx1", "mx2")}
    assert all("RBL_SPAMHAUS_PBL" in symbols for symbols in known.values())
    of_host = r"(?s)(%s:.*?)filter: rspamd"
    copy = edited(
        inventory,
        "blocklists",
        (of_host % "mx1", r"\1filter: rspamd\n    blocklists: [bl.alpha.test]"),
        (of_host % "mx2", r"\1filter: rspamd\n    blocklists: none"),
    )
    _by_hand(copy, "7.100.51.198.bl", "127.0.0.2")
    _by_hand(
        copy, "8.100.51.198.bl", "127.255.255.254"
    )  # what Spamhaus says to resolvers that it does not serve
    applied = run("apply", "--yes", "--no-verify", copy)
    assert applied.code == 0, applied.events[-3:]
    message = "printf 'From: x@else.test\\nTo: ana@alpha.test\\nSubject: t\\n\\nhello\\n'"

    def listed(host: str, last: int) -> bool:
        return "BLOCKLIST_1 (4.00)" in run_on(
            hosts, host, f"{message} | {RSPAMC} -i 198.51.100.{last} symbols"
        )

    wait_until(lambda: listed("mx1", 7), "the blocklist is asked")
    assert [listed(host, last) for host, last in (("mx1", 8), ("mx1", 9), ("mx2", 7))] == [False] * 3
    for host in ("mx1", "mx2"):
        wait_until(
            lambda: "RBL_SPAMHAUS_PBL" not in run_on(hosts, host, f"{RSPAMC} counters"),  # noqa: B023
            "the lists that Rspamd comes with are asked no more",
        )


def test_dns_apply_alone_publishes_the_keys_of_the_hosts(hosts: lab.Lab, inventory: str) -> None:
    """A record that is gone comes back; where its host cannot be asked that is said, and nothing of its is touched."""
    runs = "ls /var/lib/mailprov/runs"
    before = run_on(hosts, "mx2", runs)
    name = "mx1-rsa-2._domainkey"
    _by_hand(inventory, name, "")
    silent = edited(inventory, "silent", (r"(?m)^(    fqdn: mx1\.alpha\.test)$", r"\1\n    ssh: {port: 1}"))
    left = run("dns", "plan", silent)
    assert (left.code, left.changes("zone alpha.test")) == (0, [])
    assert [each for each in left.of("notice") if "DKIM records of mx1 are left as they are" in each["text"]]

    done = run("dns", "apply", "--yes", inventory)
    assert done.code == 0, done.events[-3:]
    assert done.changes("zone alpha.test") == [("create", "record", f"{name}.alpha.test TXT")]
    assert done.changes("zone beta.test") == []
    assert run_on(hosts, "mx2", runs) == before
    assert run("plan", "--exit-code", "--only", "dns", inventory).code == 0


def _by_hand(inventory: str, name: str, value: str) -> None:
    """A record in the zone alpha.test of the lab's name server, by hand; without a value its TXT record goes."""
    dns_settings = load(Path(inventory)).dns.provider
    assert isinstance(dns_settings, Rfc2136Settings)
    assert dns_settings.tsig is not None
    assert dns_settings.server is not None
    tsig = dns_settings.tsig
    key = dns.tsig.Key(tsig.name, tsig.secret.reveal(), tsig.algorithm)
    message = dns.update.UpdateMessage("alpha.test", keyring=key)
    if value:
        message.replace(name, 60, "A", value)
    else:
        message.delete(name, "TXT")
    answer = dns.query.tcp(message, dns_settings.server, timeout=60, port=dns_settings.port)
    assert answer.rcode() == dns.rcode.NOERROR


def test_without_a_filter_the_same_key_signs(hosts: lab.Lab, inventory: str) -> None:
    """Debian 12 changes to `filter: none`: OpenDKIM signs, nothing is published anew, mail is not checked there."""
    copy = edited(
        inventory,
        "unfiltered",
        (
            r"(?s)(mx1:.*?)filter: rspamd",
            r"\1filter: none\n    postfix: {main_cf: {mua_recipient_rate_limit: 30}}",
        ),
    )

    result = run("apply", "--yes", "--no-verify", copy)

    assert result.code == 0, result.events[-3:]
    assert result.changes("zone alpha.test") == []
    assert ("create", "service", "opendkim.service") in result.changes("mx1")
    assert ("delete", "service", "rspamd.service") in result.changes("mx1")
    units = run_on(
        hosts, "mx1", "systemctl is-active rspamd opendkim; systemctl is-enabled rspamd", check=False
    )
    assert units.split() == ["inactive", "active", "disabled"]
    assert run("plan", "--exit-code", copy).code == 0
    assert selectors(hosts, "unfiltered-2") == {"mx1-rsa-2"}
    seen = run("verify", copy, "--probe", "delivery")
    assert seen.code == 0, [f for f in seen.of("found") if f["verdict"] not in ("pass", "skip")]
    skipped = {f["target"]["domain"] for f in seen.of("found", id="delivery.results", verdict="skip")}
    assert skipped == {"beta.test->alpha.test"}
    nobody_but_postfix_has_mail_signed(hosts, "mx1", "ana@alpha.test", "opendkim")


def test_who_submits_too_much_is_told_to_wait(hosts: lab.Lab) -> None:
    with post.inside(hosts, address(hosts, "mx1"), "ana@alpha.test") as client:
        client.docmd("MAIL FROM:<ana@alpha.test>")
        codes = [client.docmd(f"RCPT TO:<{number}@else.test>")[0] for number in range(31)]
    assert codes[0] == 250
    assert codes[-1] == 450


def test_a_user_cannot_send_a_flood_of_gtube_either(hosts: lab.Lab) -> None:
    """What a stolen password sends is looked at, too."""
    with (
        post.inside(hosts, address(hosts, "mx2"), "eva@beta.test") as client,
        pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.1"),
    ):
        client.sendmail(
            "eva@beta.test",
            ["ana@alpha.test"],
            text("eva@beta.test", "ana@alpha.test", "gtube-2", body=GTUBE),
        )
