"""Every probe goes green on right servers, and red or error on each kind of wrong one."""

from __future__ import annotations

import dataclasses
import time

import pytest

from mailprov.model.accounts import Forward
from mailprov.model.findings import Verdict
from mailprov.model.inventory import Domain
from mailprov.probe import catalogue
from mailprov.probe.accounts import chosen
from mailprov.probe.checks import probes
from mailprov.probe.clients import connection
from mailprov.probe.clients.connection import Peer
from mailprov.probe.clients.errors import Mute
from mailprov.probe.registry import Scope
from mailprov.selftest.scripted_lab import PATIENCE, SLOW_ONLY, ScriptedLab, account
from mailprov.selftest.state import PASSWORDS

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


def test_right_servers_pass_every_probe(lab: ScriptedLab) -> None:
    findings = lab.verify()
    # The others are in test_hosted_probes.py, test_state_probes.py, test_web_probes.py and test_zones.py.
    here = {
        each.entry.id
        for each in probes()
        if not each.by_name
        and not each.entry.id.startswith(("hosted.", "state.", "web.", "webmail."))
        and each.scope not in (Scope.FOREIGN, Scope.PORT_OFF)
    }
    assert {item.id for item in findings} == here
    # No domain of this world has a policy; test_own_mta_sts.py has those that do.
    assert [item for item in findings if item.verdict is not PASS and item.id != "dns.mta-sts"] == []
    assert {item.verdict for item in findings if item.id == "dns.mta-sts"} == {SKIP}
    # Both hosts on all seven ports and ManageSieve, each with each probe of the port.
    for entry in catalogue():
        seen = {(item.target.host, item.target.port) for item in findings if item.id == entry.id}
        if entry.ports and entry.id in here and not entry.id.startswith("delivery."):
            assert seen == {(host, port) for host in ("mx1", "mx2") for port in entry.ports}, entry.id
    deliveries = {(item.target.domain, item.target.port) for item in findings if item.id == "delivery.path"}
    assert deliveries == {
        (pair, port) for pair in ("alpha.test->beta.test", "beta.test->alpha.test") for port in (587, 465)
    }
    # The probe's own messages are gone, and nothing else was touched.
    assert lab.world.boxes["ana@alpha.test"][0] == b"old mail\r\n\r\nbody\r\n"
    assert [text for box in lab.world.boxes.values() for text in box if text] == [b"old mail\r\n\r\nbody\r\n"]
    assert not any(command.upper().startswith(("DELE", "QUIT ")) for command in lab.world.commands)


# (probe, port, fault, certificate, verdict, words that must be seen)
CASES = [
    ("net.tcp", 25, "refused", "", FAIL, "connection refused"),
    ("smtp.banner", 25, "banner-554", "", FAIL, "554 5.3.2"),
    ("smtp.banner", 465, "banner-name", "", WARN, "localhost"),
    ("smtp.banner", 587, "banner-version", "", WARN, "3.7.11"),
    ("smtp.banner", 25, "banner-stars", "", ERROR, "hides the greeting"),
    ("smtp.banner", 25, "garbage", "", FAIL, "SSH-2.0"),
    ("smtp.banner", 25, "silent", "", ERROR, "no answer within"),
    ("smtp.banner", 25, "dropped", "", ERROR, "closed the connection"),
    ("imap.greeting", 143, "preauth", "", FAIL, "PREAUTH"),
    ("imap.greeting", 993, "bye", "", FAIL, "the server ends the session"),
    ("imap.greeting", 143, "garbage", "", FAIL, "SSH-2.0"),
    ("imap.greeting", 143, "silent", "", ERROR, "no answer within"),
    ("imap.greeting", 993, "dropped", "", ERROR, "closed the connection"),
    ("pop.greeting", 110, "bye", "", FAIL, "the server ends the session"),
    ("pop.greeting", 995, "garbage", "", FAIL, "SSH-2.0"),
    ("pop.greeting", 110, "silent", "", ERROR, "no answer within"),
    ("smtp.ehlo", 587, "clear-auth", "", FAIL, "AUTH is offered without TLS"),
    ("smtp.ehlo", 25, "no-starttls", "", FAIL, "STARTTLS is not offered"),
    ("smtp.ehlo", 25, "starttls-twice", "", FAIL, "still offered under TLS"),
    ("smtp.ehlo", 465, "no-auth", "", FAIL, "AUTH is not offered under TLS"),
    ("smtp.ehlo", 25, "xclient", "", FAIL, "XCLIENT"),
    ("smtp.ehlo", 587, "no-8bitmime", "", WARN, "8BITMIME"),
    ("smtp.ehlo", 587, "clear-auth broken-handshake", "", FAIL, "AUTH is offered without TLS; then: TLS:"),
    ("smtp.ehlo", 587, "broken-handshake", "", ERROR, "TLS:"),
    ("smtp.ehlo", 25, "dropped", "", ERROR, "closed the connection"),
    ("imap.capability", 143, "clear-auth", "", FAIL, "LOGIN is allowed without TLS"),
    ("imap.capability", 143, "no-starttls", "", FAIL, "STARTTLS is not offered"),
    ("imap.capability", 143, "starttls-twice", "", FAIL, "still offered"),
    ("imap.capability", 993, "no-imap4", "", FAIL, "IMAP4rev1"),
    ("imap.capability", 143, "silent", "", ERROR, "no answer within"),
    ("pop.capa", 110, "clear-auth", "", FAIL, "without TLS"),
    ("imap.capability", 143, "clear-auth injected", "", FAIL, "then: 15 bytes in clear"),
    ("pop.capa", 110, "clear-auth injected", "", FAIL, "then: 14 bytes in clear"),
    ("pop.capa", 110, "no-starttls", "", FAIL, "STLS is not offered"),
    ("pop.capa", 110, "starttls-twice", "", FAIL, "still offered"),
    ("pop.capa", 995, "no-uidl", "", WARN, "UIDL"),
    ("pop.capa", 995, "no-capa", "", ERROR, "CAPA is not known"),
    ("sieve.capability", 4190, "clear-auth", "", FAIL, "SASL PLAIN is offered without TLS"),
    ("sieve.capability", 4190, "no-starttls", "", FAIL, "STARTTLS is not offered"),
    ("sieve.capability", 4190, "starttls-twice", "", FAIL, "still offered under TLS"),
    ("sieve.capability", 4190, "no-auth", "", FAIL, "no login is offered under TLS"),
    ("sieve.capability", 4190, "bye", "", FAIL, "the server ends the session: BYE"),
    ("sieve.capability", 4190, "garbage", "", FAIL, "SSH-2.0"),
    ("sieve.capability", 4190, "clear-auth injected", "", FAIL, "then: 12 bytes in clear"),
    ("sieve.capability", 4190, "silent", "", ERROR, "no answer within"),
    ("tls.starttls", 25, "injected", "", FAIL, "came before the handshake"),
    ("tls.starttls", 587, "starttls-refused", "", FAIL, "454 4.7.0"),
    ("tls.starttls", 25, "broken-handshake", "", FAIL, "TLS:"),
    ("tls.starttls", 143, "injected", "", FAIL, "injected"),
    ("tls.starttls", 110, "injected", "", FAIL, "injected"),
    ("tls.starttls", 110, "starttls-refused", "", FAIL, "-ERR not now"),
    ("tls.starttls", 4190, "injected", "", FAIL, "injected"),
    ("tls.starttls", 4190, "starttls-refused", "", FAIL, "NO not now"),
    ("tls.starttls", 143, "dropped", "", ERROR, "closed the connection"),
    ("tls.implicit", 465, "clear-first", "", FAIL, "in clear"),
    ("tls.implicit", 993, "silent", "", ERROR, "no answer within"),
    ("tls.chain", 993, "", "unknown-ca", FAIL, "not trusted: unable to get local issuer"),
    ("tls.chain", 25, "", "self-signed", FAIL, "not trusted: self"),
    ("tls.chain", 465, "", "expired", FAIL, "expired"),
    ("tls.chain", 465, "dropped", "", ERROR, "closed the connection"),
    ("tls.name", 993, "", "wrong-name", FAIL, "elsewhere.test"),
    ("tls.name", 25, "", "wrong-name", WARN, "elsewhere.test"),
    ("tls.name", 110, "silent", "", ERROR, "no answer within"),
    ("tls.chain", 4190, "", "unknown-ca", FAIL, "not trusted"),
    ("tls.name", 4190, "", "wrong-name", FAIL, "elsewhere.test"),
    ("tls.sni", 993, "no-sni", "", FAIL, "with SNI mail.alpha.test the certificate is for mx1.alpha.test"),
    ("tls.sni", 4190, "no-sni", "", FAIL, "with SNI mail.alpha.test"),
    ("tls.sni", 25, "no-sni", "", WARN, "with SNI mail.alpha.test"),
    ("tls.sni", 587, "sni-takes-over", "", FAIL, "without SNI the certificate is for mail.alpha.test"),
    ("tls.sni", 465, "sni-unknown-ca", "", FAIL, "not trusted"),
    ("tls.sni", 995, "sni-self-signed", "", FAIL, "not trusted: self"),
    ("tls.sni", 143, "sni-nearly-over", "", FAIL, "2% of the lifetime"),
    ("tls.sni", 110, "sni-ageing", "", WARN, "22% of the lifetime"),
    ("tls.sni", 993, "dropped", "", ERROR, "closed the connection"),
    ("dane.tlsa", 25, "", "self-signed", FAIL, "but the key that is served is 3 1 1"),
    ("dane.tlsa", 25, "dropped", "", ERROR, "closed the connection"),
    ("tls.expiry", 995, "", "expired", FAIL, "expired at"),
    ("tls.expiry", 587, "", "nearly-over", FAIL, "2% of the lifetime"),
    ("tls.expiry", 143, "", "ageing", WARN, "22% of the lifetime"),
    ("tls.expiry", 143, "", "early", FAIL, "not valid before"),
    ("tls.expiry", 993, "dropped", "", ERROR, "closed the connection"),
    ("tls.enforced", 587, "clear-auth anybody-gets-in", "", FAIL, "235"),
    ("tls.enforced", 143, "clear-auth anybody-gets-in", "", FAIL, "OK Logged in"),
    ("tls.enforced", 110, "clear-auth anybody-gets-in", "", FAIL, "+OK"),
    ("tls.enforced", 4190, "clear-auth anybody-gets-in", "", FAIL, "OK"),
    ("tls.enforced", 4190, "looks-in-clear", "", WARN, "Authentication failed"),
    ("tls.enforced", 4190, "looks-in-clear auth-later", "", ERROR, "TRYLATER"),
    ("tls.enforced", 587, "asks-in-clear", "", WARN, "looked at without TLS: 535"),
    ("tls.enforced", 143, "looks-in-clear", "", WARN, "AUTHENTICATIONFAILED"),
    ("tls.enforced", 110, "looks-in-clear", "", WARN, "-ERR [AUTH]"),
    ("tls.enforced", 587, "asks-in-clear auth-later", "", ERROR, "454"),
    ("tls.enforced", 143, "looks-in-clear auth-later", "", ERROR, "UNAVAILABLE"),
    ("tls.enforced", 110, "silent", "", ERROR, "no answer within"),
    ("auth.ok", 587, "nobody-gets-in", "", FAIL, "535"),
    ("auth.ok", 993, "nobody-gets-in", "", FAIL, "AUTHENTICATIONFAILED"),
    ("auth.ok", 110, "nobody-gets-in", "", FAIL, "-ERR"),
    ("auth.ok", 4190, "nobody-gets-in", "", FAIL, "Authentication failed"),
    ("auth.ok", 4190, "auth-does-nothing", "", FAIL, "logged in, but then"),
    ("auth.ok", 4190, "auth-later", "", ERROR, "TRYLATER"),
    ("auth.ok", 465, "auth-does-nothing", "", FAIL, "logged in, but then"),
    ("auth.ok", 143, "auth-does-nothing", "", FAIL, "logged in, but then"),
    ("auth.ok", 995, "auth-does-nothing", "", FAIL, "logged in, but then"),
    ("auth.ok", 587, "auth-later", "", ERROR, "454"),
    ("auth.ok", 143, "auth-later", "", ERROR, "UNAVAILABLE"),
    ("auth.ok", 995, "auth-later", "", ERROR, "SYS/TEMP"),
    ("auth.ok", 993, "", "unknown-ca", ERROR, "the password was not sent"),
    ("auth.ok", 587, "", "wrong-name", ERROR, "the password was not sent"),
    ("auth.not-on-25", 25, "auth-on-25", "", FAIL, "offered under TLS"),
    ("auth.not-on-25", 25, "hidden-auth-on-25 asks-in-clear", "", FAIL, "is answered: 334"),
    ("auth.not-on-25", 25, "dropped", "", ERROR, "closed the connection"),
    ("auth.bad-password", 587, "anybody-gets-in", "", FAIL, "a wrong password is accepted"),
    ("auth.bad-password", 143, "anybody-gets-in", "", FAIL, "a wrong password is accepted"),
    ("auth.bad-password", 4190, "anybody-gets-in", "", FAIL, "a wrong password is accepted"),
    ("auth.bad-password", 995, "anybody-gets-in", "", FAIL, "a wrong password is accepted"),
    ("auth.bad-password", 465, "nobody-gets-in", "", ERROR, "the right password does not work"),
    ("auth.bad-password", 993, "auth-later", "", ERROR, "UNAVAILABLE"),
    ("relay.classic", 25, "open-relay", "", FAIL, "16 of 18 recipients are accepted"),
    ("relay.classic", 587, "open-relay", "", FAIL, "recipients are accepted"),
    ("relay.classic", 465, "open-relay", "", FAIL, "recipients are accepted"),
    ("relay.classic", 25, "percent-hack", "", FAIL, "%example.invalid"),
    ("relay.classic", 25, "rcpt-4xx", "", ERROR, "temporarily"),
    ("relay.classic", 25, "sender-4xx", "", ERROR, "450 4.1.8"),
    ("relay.classic", 25, "refuses-all", "", ERROR, "a user of this server is refused as well"),
    ("relay.classic", 25, "silent", "", ERROR, "no answer within"),
    ("smtp.vrfy", 25, "tells-users", "", FAIL, "250 2.1.5"),
    ("smtp.vrfy", 25, "vrfy-4xx", "", ERROR, "450 4.3.0"),
    ("smuggle.pipelining", 25, "sent-ahead", "", FAIL, "354"),
    ("smuggle.pipelining", 25, "refuses-all", "", ERROR, "is not accepted: 554"),
    ("smuggle.in", 25, "smuggles", "", FAIL, "a second message is accepted after LF . LF"),
    ("smuggle.in", 25, "refuses-all", "", ERROR, "is not accepted: 554"),
    ("unknown.user", 25, "catch-all", "", FAIL, "is accepted"),
    ("unknown.user", 25, "odd-code", "", WARN, "550 5.7.0"),
    ("unknown.user", 25, "rcpt-4xx", "", ERROR, "450 4.7.1"),
    ("unknown.user", 25, "refuses-all", "", ERROR, "is refused as well"),
    ("spoof.envelope", 587, "spoof", "", FAIL, "may send as"),
    ("spoof.envelope", 465, "spoof-4xx", "", ERROR, "temporarily"),
    ("spoof.envelope", 465, "spoof-other", "", WARN, "550 5.1.0"),
    ("spoof.envelope", 587, "nobody-gets-in", "", ERROR, "the login is refused"),
    ("spoof.envelope", 587, "refuses-all", "", ERROR, "the user's own address is refused too"),
]


@pytest.mark.parametrize(("probe", "port", "faults", "certificate", "verdict", "words"), CASES)
def test_wrong_server(
    lab: ScriptedLab, probe: str, port: int, faults: str, certificate: str, verdict: Verdict, words: str
) -> None:
    lab.spoil(faults, certificate)
    mine = lab.verify(probe, port, wait=0.2 if SLOW_ONLY & set(faults.split()) else PATIENCE, hosts=["mx1"])
    assert mine
    for item in mine:
        assert item.id == probe
        assert (item.verdict, words in item.observed) == (verdict, True), (
            item.verdict,
            item.observed,
            item.evidence,
        )
        assert item.title
        assert item.refs
        # What can be mended comes with the exact change; an error may have nothing to mend.
        assert item.advice or verdict is ERROR


def test_every_probe_that_looks_at_ports_has_been_seen_red() -> None:
    # test_state_probes.py and others have these red.
    elsewhere = {"delivery", "dns", "hosted", "state", "web", "webmail", "zone"}
    loops_and_dns = {entry.id for entry in catalogue() if entry.id.partition(".")[0] in elsewhere}
    red = {case[0] for case in CASES if case[4] in {FAIL}}
    assert red == {entry.id for entry in catalogue()} - loops_and_dns - {"net.closed"}  # test_services_off.py
    could_not_tell = {case[0] for case in CASES if case[4] is ERROR}
    assert could_not_tell >= red - {"net.tcp"}


@pytest.mark.parametrize("faults", ["", "into-junk", "penalty"])
def test_no_probe_of_a_sound_host_waits_until_its_deadline(lab: ScriptedLab, faults: str) -> None:
    """What a filter takes for spam is looked for where it puts it, and refused logins wait for nothing."""
    lab.spoil(faults, "")
    findings = lab.verify("")
    assert not [item for item in findings if item.verdict in {FAIL, ERROR}]
    assert not [item for item in findings if item.timed_out]


def test_a_service_that_dies_keeps_nobody_waiting_until_a_deadline(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Postfix's submission where Dovecot is stopped: smtpd ends itself, and for a minute nobody greets."""
    monkeypatch.setattr(connection, "_AFTER_A_DROP", 0.5)
    monkeypatch.setattr(connection, "_WHEN_MUTE", 0.2)
    lab.spoil("submission-dies", "")
    findings = lab.verify("smtp tls auth spoof delivery")
    at_submission = [item for item in findings if item.target.port in (465, 587)]
    assert ERROR in {item.verdict for item in at_submission}
    assert not [item for item in findings if item.timed_out]
    mute = [
        item for item in at_submission if item.observed == "no greeting, as on other connections to this port"
    ]
    assert mute
    assert all("Dovecot, which checks the logins, does not run" in item.advice for item in mute)


def test_a_slow_greeting_is_waited_for_also_after_a_connection_that_broke(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    peer = Peer()
    peer.dropped()
    now += 50
    peer.check(began=1000)  # nobody was greeted before, so it is not known how slow this server is
    peer.spoke(seconds=30)
    now += 10
    peer.check(began=1000)
    now += 7
    with pytest.raises(Mute):
        peer.check(began=1000)
    peer.spoke(seconds=1)  # it is there again
    peer.check(began=now - 5)


def test_how_slow_a_server_greets_is_known_from_port_25(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    smtp = Peer()
    submission = Peer(like=smtp)
    now += 50
    submission.check(began=1000)
    smtp.spoke(seconds=20)
    submission.check(began=1000)
    now += 6
    with pytest.raises(Mute):
        submission.check(began=1000)
    smtp.check(began=1000)


@pytest.mark.parametrize(
    ("faults", "probe", "port"),
    [("silent", "smtp.banner", 25), ("dns-silent", "dns.mx", 0), ("loses-mail", "delivery.path", 0)],
)
def test_a_probe_tells_that_its_deadline_ended_it(
    lab: ScriptedLab, faults: str, probe: str, port: int
) -> None:
    lab.spoil(faults, "")
    wait = 0.3 if SLOW_ONLY & set(faults.split()) else PATIENCE
    findings = [item for item in lab.verify(probe, port, wait=wait, delivery=0.3) if item.id == probe]
    assert findings
    assert all(item.timed_out for item in findings)


def test_smuggling_is_not_judged_when_messages_are_missing(lab: ScriptedLab) -> None:
    lab.spoil("loses-repeats", "")
    (finding, *_) = lab.verify("smuggle.in", delivery=0.3)
    assert (finding.verdict, finding.timed_out) == (ERROR, True)
    assert "arrived in time" in finding.observed


def test_wrong_passwords_come_last_and_all_at_once(lab: ScriptedLab) -> None:
    order = [item.id for item in lab.verify("net tls auth", in_order_of_arrival=True)]
    late = {"tls.enforced", "auth.bad-password"}
    first = min(i for i, name in enumerate(order) if name in late)
    assert set(order[first:]) == late
    assert min(lab.world.most_wrong.values()) > 1
    wrong = [password for user, password in lab.world.attempts if PASSWORDS.get(user) != password]
    assert len(wrong) == 2 * 7
    assert len(set(wrong)) == 1


def test_only_one_login_of_each_host_sits_out_a_penalty(lab: ScriptedLab) -> None:
    lab.spoil("penalty", "")
    findings = lab.verify("auth")
    assert {item.verdict for item in findings} == {PASS}
    assert sorted(lab.world.penalties) == ["127.0.0.1", "127.0.0.2"]


def test_a_penalty_that_comes_late_costs_no_right_login_its_verdict(lab: ScriptedLab) -> None:
    """With PAM a wrong password is counted seconds after it was sent; Postfix says 454 to who then has to wait."""
    lab.spoil("penalty counts-late", "")
    findings = lab.verify("auth.bad*")
    assert {(item.verdict, item.observed) for item in findings if item.verdict is not PASS} == set()
    assert sorted(lab.world.penalties) == ["127.0.0.1", "127.0.0.2"]


def test_three_accounts_of_a_domain_log_in_and_are_named(lab: ScriptedLab) -> None:
    crowd = tuple(account(f"user{number}@alpha.test") for number in range(1, 6))
    hashed = account("hash@alpha.test", known=False)
    alpha = dataclasses.replace(lab.inventory.domains[0], accounts=(*crowd, hashed))
    lab.inventory = dataclasses.replace(lab.inventory, domains=(alpha, lab.inventory.domains[1]))

    def tried(ident: str, accounts: int | None = 3) -> tuple[set[str], list[str]]:
        findings = lab.verify("auth.ok", 993, hosts=["mx1"], ident=ident, accounts=accounts)
        assert {item.verdict for item in findings if item.target.port} == {PASS}
        skipped = [item.observed for item in findings if item.verdict is SKIP]
        return {item.target.account for item in findings if item.target.account}, skipped

    first, skipped = tried("run-1")
    assert len(first) == 3
    assert "3 of 5 accounts of alpha.test log in: " in skipped[0]
    assert "chosen by run run-1; --accounts all" in skipped[0]
    assert all(address in skipped[0] for address in first)
    assert skipped[1:] == ["not tried, as only a hash of the password is known: hash@alpha.test"]
    assert tried("run-1")[0] == first
    assert tried("run-2", 1)[0] < {each.address for each in crowd}
    assert tried("run-1", None) == ({each.address for each in crowd}, skipped[1:])


def test_every_account_has_its_turn_over_some_runs() -> None:
    crowd = tuple(account(f"user{number}@alpha.test") for number in range(1, 31))
    domain = Domain("alpha.test", ("mx1",), crowd)
    drawn = [each.address for run in range(100) for each in chosen(domain, f"run-{run}", 3)]
    assert len(drawn) == 300
    assert set(drawn) == {each.address for each in crowd}


def test_smuggling_removes_no_mail_that_its_user_has_marked(lab: ScriptedLab) -> None:
    """Without UIDPLUS there is only EXPUNGE, which removes what anybody marked: then the probe's messages stay."""
    lab.spoil("no-uidplus others-deleted", "")
    for finding in lab.verify("smuggle.in"):
        assert finding.verdict is PASS, finding.observed
        assert "messages of this probe could not be removed: the server has no UIDPLUS" in finding.observed
        assert not [line for line in finding.evidence if "EXPUNGE" in line or "STORE" in line]


def test_who_forwards_everything_is_not_told_to_have_no_password(lab: ScriptedLab) -> None:
    gone = dataclasses.replace(account("ana@alpha.test"), forward=Forward(("eva@beta.test",), keep=False))
    alpha = dataclasses.replace(lab.inventory.domains[0], accounts=(gone,))
    lab.inventory = dataclasses.replace(lab.inventory, domains=(alpha, lab.inventory.domains[1]))
    for probe in ("smuggle.in", "delivery"):
        skipped = [item.observed for item in lab.verify(probe) if item.verdict is SKIP]
        assert (
            "no account of alpha.test keeps mail: ana@alpha.test forwards all of it (keep: false)" in skipped
        )
        assert not [words for words in skipped if "password" in words]


def test_a_host_without_managesieve_says_so_once(lab: ScriptedLab) -> None:
    lab.spoil("no-sieve", "")
    findings = lab.verify("net sieve tls auth")
    there = [(item.id, item.verdict, item.target.host) for item in findings if item.target.port == 4190]
    assert there == [("net.tcp", SKIP, "mx1"), ("net.tcp", SKIP, "mx2")]
    assert {item.verdict for item in findings if item.target.port != 4190} == {PASS}


def test_a_host_that_was_just_made_misses_managesieve(lab: ScriptedLab) -> None:
    lab.spoil("no-sieve", "")
    findings = lab.verify("net", 4190, provisioned=["mx2"])
    assert [(item.target.host, item.verdict) for item in findings] == [("mx1", SKIP), ("mx2", WARN)]
    assert "local settings" in findings[1].advice


def test_the_name_of_a_domain_that_leads_elsewhere_is_not_asked_for(lab: ScriptedLab) -> None:
    lab.spoil("no-sni", "")
    alpha = dataclasses.replace(lab.inventory.domains[0], hosts=("mx2", "mx1"))
    lab.inventory = dataclasses.replace(lab.inventory, domains=(alpha,))
    seen = {(item.target.host, item.target.domain) for item in lab.verify("tls.sni", 993)}
    assert seen == {("mx2", "alpha.test")}


def test_no_more_than_four_mailbox_sessions_as_one_user(lab: ScriptedLab) -> None:
    lab.spoil("slow-login", "")
    # One account in two domains: eight mailbox logins want to start at once, and nobody else's take of the six
    # connections that an address may have.
    alpha = lab.inventory.domains[0]
    alpha = dataclasses.replace(alpha, accounts=alpha.accounts[:1])
    twin = dataclasses.replace(alpha, name="gamma.test", domain_aliases=())
    lab.inventory = dataclasses.replace(lab.inventory, domains=(alpha, *lab.inventory.domains[1:], twin))
    lab.verify("auth.ok", hosts=["mx1"])
    assert max(lab.world.most_sessions.values()) == 4


def test_no_real_password_travels_before_the_certificate_is_trusted(lab: ScriptedLab) -> None:
    lab.spoil("", "unknown-ca")
    lab.verify("auth")
    lab.verify("spoof")
    lab.verify("delivery")
    assert lab.world.attempts == []


def test_a_made_up_account_is_used_where_there_is_no_tls(lab: ScriptedLab) -> None:
    lab.spoil("clear-auth anybody-gets-in", "")
    lab.verify("tls.enforced")
    assert lab.world.attempts
    assert all(
        user.startswith("nobody-") and user.endswith("@example.invalid") for user, _ in lab.world.attempts
    )


def test_open_relay_is_never_given_a_message(lab: ScriptedLab) -> None:
    lab.spoil("open-relay catch-all", "")
    lab.verify("relay")
    lab.verify("unknown")
    assert "DATA" not in [command.upper() for command in lab.world.commands]
    foreign = [c for c in lab.world.commands if c.upper().startswith("RCPT") and "example" in c]
    assert foreign
    assert all("example.invalid" in command for command in foreign)


def test_self_signed_as_declared_is_a_warning_and_still_tested(lab: ScriptedLab) -> None:
    lab.spoil("", "self-signed")
    lab.declare_self_signed()
    findings = lab.verify("", 993)
    verdicts = {item.id: item.verdict for item in findings if not item.id.startswith(("delivery", "dns"))}
    assert verdicts.pop("tls.chain") is WARN
    assert set(verdicts.values()) == {PASS}
    assert "auth.ok" in verdicts


def test_unknown_authority_is_a_failure_also_where_self_signed_is_declared(lab: ScriptedLab) -> None:
    lab.spoil("", "unknown-ca")
    lab.declare_self_signed()
    assert {item.verdict for item in lab.verify("tls.chain")} == {FAIL}
    assert {item.verdict for item in lab.verify("auth.ok")} == {ERROR}
    assert lab.world.attempts == []


def test_passwords_are_in_no_finding_even_when_the_server_says_them(lab: ScriptedLab) -> None:
    lab.spoil("nobody-gets-in", "")
    text = repr(lab.verify("auth"))
    assert "AUTH PLAIN ****" in text
    assert "LOGIN ****" in text
    assert "PASS ****" in text
    for user, password in lab.world.attempts:
        assert password not in text
        assert lab.base64(f"\0{user}\0{password}") not in text


def test_two_self_signed_certificates_on_one_host_get_no_password(lab: ScriptedLab) -> None:
    lab.spoil("other-certificate-on-993", "self-signed")
    lab.declare_self_signed()
    findings = lab.verify("auth.ok", hosts=["mx1"])
    wrong = [item for item in findings if item.verdict is ERROR]
    assert wrong
    assert all("another self-signed certificate" in item.observed for item in wrong)


def test_what_could_not_be_tested_for_a_port_that_is_shut_names_it(lab: ScriptedLab) -> None:
    """Else a host where nothing listens is told as a hundred errors."""
    lab.spoil("refused", "")
    findings = lab.verify("net smtp tls auth delivery")
    told = {f"{item.id} {item.target}" for item in findings if item.verdict is FAIL}
    errors = [item for item in findings if item.verdict is ERROR]
    assert {item.id for item in errors} >= {
        "smtp.banner",
        "tls.name",
        "auth.ok",
        "auth.bad-password",
        "delivery.ready",
    }
    behind = {f"{item.id} {item.target}": item.waits_for for item in errors}
    for item in errors:
        cause = item.waits_for
        while cause in behind:
            cause = behind[cause]
        assert cause in told, (item.id, str(item.target), item.observed, item.waits_for)
        assert cause.startswith("net.tcp ")


def test_where_nothing_applies_that_is_said(lab: ScriptedLab) -> None:
    domains = tuple(dataclasses.replace(domain, mail_name=None) for domain in lab.inventory.domains)
    lab.inventory = dataclasses.replace(lab.inventory, domains=domains)
    lab.spoil("no-sieve", "")

    (sni,) = lab.verify("tls.sni")
    assert (sni.verdict, sni.observed) == (SKIP, "no domain has a mail_name that leads to a host looked at")
    (sieve,) = lab.verify("sieve.capability")
    assert (sieve.verdict, sieve.observed) == (SKIP, "not offered here: connection refused")
