"""What accounts may do: green on servers that hold to it, red on those that let in or take what they must not."""

from __future__ import annotations

import dataclasses
import time

import pytest

from mailprov.model.findings import Finding, Verdict
from mailprov.model.secret import Secret
from mailprov.model.states import APP_PROTOCOLS, AppPassword, Expiry, State
from mailprov.probe.accounts import lacking
from mailprov.probe.registry import LOGIN_PORTS
from mailprov.selftest.account_cases import PHONE, WORD, give
from mailprov.selftest.scripted_lab import ScriptedLab, account
from tests.unit.probe.apart import apart

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP


def one(findings: list[Finding], port: int) -> Finding:
    (found,) = (item for item in findings if item.target.port == port)
    return found


def test_servers_that_hold_to_it_pass_and_nothing_else_turns_red(lab: ScriptedLab) -> None:
    give(lab, state=State.SUSPENDED)
    findings = apart(lab.verify())
    wrong = [item for item in findings if item.verdict not in (PASS, SKIP)]
    assert wrong == []
    assert {item.target.port for item in findings if item.id == "state.login"} == set(LOGIN_PORTS)
    assert {item.target.host for item in findings if item.id.startswith("state.")} == {"mx1"}
    assert one([item for item in findings if item.id == "state.mail"], 25).verdict is PASS


def test_who_has_expired_is_looked_at_and_who_will_is_not(lab: ScriptedLab) -> None:
    give(lab, expires=Expiry(int(time.time()) - 60, State.NO_LOGIN))
    assert {item.verdict for item in lab.verify("state.login")} == {PASS}
    give(lab, expires=Expiry(int(time.time()) + 3600, State.NO_LOGIN))
    (finding,) = lab.verify("state.login")
    assert (finding.verdict, "no account is" in finding.observed) == (SKIP, True)


@pytest.mark.parametrize("port", LOGIN_PORTS)
def test_who_is_let_in_though_he_may_not_is_red(lab: ScriptedLab, port: int) -> None:
    give(lab, state=State.NO_LOGIN)
    lab.spoil("lets-shut-in", "")
    finding = one(lab.verify("state.login", port), port)
    assert finding.verdict is FAIL
    assert "zoe@alpha.test" in finding.observed
    assert "right-zoe" not in repr(finding)


@pytest.mark.parametrize(
    ("fault", "verdict", "words"),
    [
        ("takes-for-deaf", FAIL, "zoe@alpha.test: 250"),
        ("deaf-450-4.2.1", ERROR, "temporarily"),
        ("deaf-550-5.1.1", WARN, "550 5.1.1"),
        ("refuses-all", ERROR, "cannot tell"),
        ("dropped", ERROR, "closed the connection"),
    ],
)
def test_mail_that_is_taken_or_refused_otherwise_is_seen(
    lab: ScriptedLab, fault: str, verdict: Verdict, words: str
) -> None:
    give(lab, state=State.NO_RECEIVE)
    lab.spoil(fault, "")
    finding = one(lab.verify("state.mail", 25), 25)
    assert finding.verdict is verdict
    assert words in finding.observed


def test_a_password_of_a_program_works_for_its_protocols_alone(lab: ScriptedLab) -> None:
    give(lab, app_passwords=(PHONE,))
    findings = {item.target.port: item for item in lab.verify("state.app-password")}
    assert {port: item.verdict for port, item in findings.items()} == {
        143: PASS, 993: PASS, 465: PASS, 587: PASS, 995: PASS, 4190: PASS, 110: SKIP,
    }  # fmt: skip
    assert "phone-word" not in repr(findings)


@pytest.mark.parametrize(
    ("fault", "red"),
    [("programs-anywhere", {995, 4190}), ("programs-nowhere", {143, 993, 465, 587})],
)
def test_one_that_works_elsewhere_or_nowhere_is_red(lab: ScriptedLab, fault: str, red: set[int]) -> None:
    give(lab, app_passwords=(PHONE,))
    lab.spoil(fault, "")
    findings = lab.verify("state.app-password")
    assert {item.target.port for item in findings if item.verdict is FAIL} == red


def test_where_only_hashes_are_known_that_is_said(lab: ScriptedLab) -> None:
    hashed = Secret("hash", "{SHA512-CRYPT}$6$x")
    give(lab, password=None, password_hash=hashed, state=State.SUSPENDED)
    (finding, *_) = lab.verify("state.login", 993)
    assert (finding.verdict, "only a hash" in finding.observed) == (SKIP, True)
    give(lab, state=State.ACTIVE, app_passwords=(AppPassword("x", ("imap",), password_hash=hashed),))
    (finding, *_) = lab.verify("state.app-password", 993)
    assert (finding.verdict, "only a hash" in finding.observed) == (SKIP, True)


def test_a_domain_in_which_nobody_may_log_in_says_so(lab: ScriptedLab) -> None:
    domain = dataclasses.replace(
        lab.inventory.domains[1],
        accounts=(dataclasses.replace(account("eva@beta.test"), state=State.SUSPENDED),),
    )
    assert "may log in (`state` or `expires`): eva@beta.test" in lacking(domain)


@pytest.mark.parametrize(
    "own", [{"owner": "user"}, {"password": None, "password_hash": Secret("hash", "{X}y")}]
)
def test_verify_logs_in_with_a_password_that_is_there_for_it(
    lab: ScriptedLab, own: dict[str, object]
) -> None:
    """Where users own the password, or the inventory has a hash; one for some protocols only is not for that."""
    for protocols, tried in ((("imap", "submission"), False), (tuple(APP_PROTOCOLS), True)):
        give(lab, **own, app_passwords=(AppPassword("verify", protocols, password=WORD),))
        found = [item for item in lab.verify("auth.ok", 993) if item.verdict is PASS]
        assert ("zoe@alpha.test" in {item.target.account for item in found}) is tried
        assert "phone-word" not in repr(found)
