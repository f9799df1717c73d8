"""Every probe goes green on right servers, and red or error on each kind of wrong one."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest

from mailprov.model.accounts import Forward
from mailprov.model.findings import Verdict
from mailprov.model.inventory import Domain
from mailprov.probe import catalogue
from mailprov.probe.accounts import chosen
from mailprov.probe.checks import probes, wrong_passwords
from mailprov.probe.clients import connection
from mailprov.probe.clients.connection import Peer
from mailprov.probe.clients.errors import Mute
from mailprov.probe.registry import Scope
from mailprov.probe.turns import Turns
from mailprov.selftest.scripted_lab import PATIENCE, SLOW_ONLY, ScriptedLab, account
from mailprov.selftest.session import Session
from mailprov.selftest.state import PASSWORDS
from tests.unit.probe.apart import apart

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP

# They look at some of their ports only: mail takes one way, and near misses cost time on each port.
_ELSEWHERE = ("delivery.", "dsn.", "stranger.", "spoof.header", "auth.near-miss")


def test_right_servers_pass_every_probe(lab: ScriptedLab) -> None:
    findings = apart(lab.verify())
    # The others are in test_addresses.py, test_hosted_probes.py, test_mailboxes.py, test_state_probes.py,
    # test_vantage.py, test_web_probes.py and test_zones.py.
    here = {
        each.entry.id
        for each in probes()
        if not each.by_name
        and not each.entry.id.startswith(("address.", "hosted.", "state.", "web.", "webmail."))
        and each.entry.id != "net.vantage"
        and each.scope not in (Scope.FOREIGN, Scope.MAILBOX, Scope.PORT_OFF)
    }
    assert {item.id for item in findings if not item.id.startswith("address.")} == here
    # No domain of this world has a policy; test_own_mta_sts.py has those that do.
    assert [item for item in findings if item.verdict is not PASS and item.id != "dns.mta-sts"] == []
    assert {item.verdict for item in findings if item.id == "dns.mta-sts"} == {SKIP}
    # Both hosts on all seven ports and ManageSieve, each with each probe of the port.
    for entry in catalogue():
        seen = {(item.target.host, item.target.port) for item in findings if item.id == entry.id}
        if entry.ports and entry.id in here and not entry.id.startswith(_ELSEWHERE):
            assert seen == {(host, port) for host in ("mx1", "mx2") for port in entry.ports}, entry.id
    deliveries = {(item.target.domain, item.target.port) for item in findings if item.id == "delivery.path"}
    assert deliveries == {
        (pair, port) for pair in ("alpha.test->beta.test", "beta.test->alpha.test") for port in (587, 465)
    }
    # The probe's own messages are gone, and nothing else was touched.
    assert lab.world.boxes["ana@alpha.test"][0] == b"old mail\r\n\r\nbody\r\n"
    assert [text for box in lab.world.boxes.values() for text in box if text] == [b"old mail\r\n\r\nbody\r\n"]
    assert not any(command.upper().startswith(("DELE", "QUIT ")) for command in lab.world.commands)


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


def wrong_ones(lab: ScriptedLab) -> list[str]:
    return [password for user, password in lab.world.attempts if PASSWORDS.get(user) != password]


def test_on_servers_of_others_wrong_passwords_come_last_and_all_at_once(lab: ScriptedLab) -> None:
    hosts = tuple(dataclasses.replace(host, managed=False) for host in lab.inventory.hosts)
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    lab.spoil("waits-for-another", "")  # each refusal, until a second one is asked for
    order = [item.id for item in lab.verify("net tls auth", in_order_of_arrival=True)]
    late = {"tls.enforced", "auth.bad-password", "auth.near-miss"}
    first = min(i for i, name in enumerate(order) if name in late)
    assert set(order[first:]) == late
    assert min(lab.world.most_wrong.values()) > 1
    assert len(wrong_ones(lab)) == 2 * 7
    assert len(set(wrong_ones(lab))) == 1


def test_on_hosts_of_ours_wrong_passwords_are_refused_while_others_probe(lab: ScriptedLab) -> None:
    """There is no refusal before another probe has spoken."""
    lab.spoil("refuses-late", "")
    findings = lab.verify("smtp.vrfy auth", skip="auth.near-miss")
    assert {item.verdict for item in findings} == {PASS}
    assert len(wrong_ones(lab)) == 2 * 7
    assert lab.world.early_guesses == {"127.0.0.1": 1, "127.0.0.2": 1}


def test_on_hosts_of_ours_wrong_passwords_wait_for_no_other_login(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their refusals take longest, so they begin at once; each port has right logins of its own beside them."""
    waited: list[str] = []
    monkeypatch.setattr(Turns, "wait_controlled", lambda turns, host: waited.append(host))
    lab.spoil("refuses-late", "")
    findings = lab.verify("smtp.vrfy auth", skip="auth.near-miss")
    assert {item.verdict for item in findings} == {PASS}
    assert (waited, len(wrong_ones(lab))) == ([], 2 * 7)


def test_where_the_right_password_does_not_work_auth_ok_says_why(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one port alone: what auth.ok finds there was not known yet when this began."""
    real = Session._may
    monkeypatch.setattr(Session, "_may", lambda self, *words: self.port.number != 995 and real(self, *words))
    lab.spoil("refuses-late", "")
    wrong = [item for item in lab.verify("smtp.vrfy auth", skip="auth.near-miss") if item.verdict is not PASS]
    assert {(item.id, item.verdict, item.target.port) for item in wrong} == {
        ("auth.ok", FAIL, 995),
        ("auth.bad-password", ERROR, 995),
    }
    late = [item for item in wrong if item.id == "auth.bad-password"]
    assert all(item.waits_for.startswith("auth.ok ") and "not tried" in item.observed for item in late)


def test_where_wrong_passwords_make_others_wait_they_come_last(lab: ScriptedLab) -> None:
    lab.spoil("penalty", "")
    order = [item.id for item in lab.verify("net tls auth", skip="auth.near-miss", in_order_of_arrival=True)]
    late = {"tls.enforced", "auth.bad-password"}
    assert set(order[min(i for i, name in enumerate(order) if name in late) :]) == late
    assert len(wrong_ones(lab)) == 2 * (1 + 7)
    assert sorted(lab.world.penalties) == ["127.0.0.1", "127.0.0.2"]


def test_only_one_login_of_each_host_sits_out_a_penalty(lab: ScriptedLab) -> None:
    lab.spoil("penalty", "")
    findings = lab.verify("auth", skip="auth.near-miss")
    assert {item.verdict for item in findings} == {PASS}
    assert sorted(lab.world.penalties) == ["127.0.0.1", "127.0.0.2"]


def test_a_penalty_that_comes_late_costs_no_right_login_its_verdict(lab: ScriptedLab) -> None:
    """With PAM a wrong password is counted seconds after it was sent; Postfix says 454 to who then has to wait. How
    many that are depends on how soon the logins come.
    """
    lab.spoil("penalty counts-late", "")
    findings = lab.verify("auth.bad*")
    assert {(item.verdict, item.observed) for item in findings if item.verdict is not PASS} == set()
    assert set(lab.world.penalties) == {"127.0.0.1", "127.0.0.2"}


def test_nor_does_one_that_comes_between_the_right_logins(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = wrong_passwords._primed

    def primed(*words: Any) -> Any:
        first, calm = real(*words)
        first.answer.result()  # counted by now, as on a machine that is slow
        return first, calm

    monkeypatch.setattr(wrong_passwords, "_primed", primed)
    lab.spoil("penalty counts-late", "")
    findings = lab.verify("auth.bad*")
    assert {(item.verdict, item.observed) for item in findings if item.verdict is not PASS} == set()


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
        skipped = [item.observed for item in apart(lab.verify(probe)) if item.verdict is SKIP]
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
    findings = lab.verify("net.tcp", 4190, provisioned=["mx2"])
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
    findings = apart(lab.verify("", 993))
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
