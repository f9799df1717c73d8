"""What verify says of a server that answers as Exchange Online does: right, and what nobody can test there is a skip
with its reason, for passwords are switched off.
"""

from __future__ import annotations

from mailprov.inventory.of_server import Login, of_server
from mailprov.model.findings import Finding, Verdict
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.session import PASSWORDS

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP
LOGINS = {465, 587, 110, 995, 143, 993}


def looked_at(lab: ScriptedLab, more: str = "", *, only: str = "", accounts: bool = True) -> list[Finding]:
    lab.spoil(f"127.0.0.1/exchange-online 127.0.0.1/no-sieve {more}", "")
    logins = [Login("ana@alpha.test"), Login("zoe@alpha.test")] if accounts else []
    lab.inventory = of_server(
        "mx1.alpha.test",
        ["alpha.test"],
        logins,
        ca_file=lab.authority.file,
        ask=lambda address: PASSWORDS[address],
    )
    return lab.verify(only, selectors=())


def verdicts(findings: list[Finding], probe: str) -> set[tuple[Verdict, int]]:
    return {(item.verdict, item.target.port) for item in findings if item.id == probe}


def test_nothing_is_held_against_it_that_it_does_on_purpose(lab: ScriptedLab) -> None:
    findings = looked_at(lab)

    red = {(item.id, item.target.port) for item in findings if item.verdict in (FAIL, ERROR)}
    assert red == set()
    assert {item.id for item in findings if item.verdict is WARN} == {
        "zone.dkim"
    }  # there is no key in this lab
    # 465 is not there, and 587 does the same.
    assert (SKIP, 465) in verdicts(findings, "net.tcp")
    for probe, ports in {
        "smtp.banner": {25, 587},
        "smtp.ehlo": {25, 587},
        "relay.classic": {25, 587},
        "unknown.user": {25},
        "smtp.vrfy": {25},
        "tls.enforced": {587, 143, 110},
        "imap.capability": {143, 993},
        "pop.capa": {110, 995},
    }.items():
        assert verdicts(findings, probe) == {(PASS, port) for port in ports}, probe


def test_that_no_password_is_taken_is_a_skip_and_says_so(lab: ScriptedLab) -> None:
    findings = looked_at(lab, only="auth.ok auth.bad-password delivery.ready spoof.envelope smuggle.in")

    for probe in ("auth.ok", "auth.bad-password"):
        assert verdicts(findings, probe) == {(SKIP, port) for port in LOGINS - {465}}, probe
    for probe in ("delivery.ready", "spoof.envelope", "smuggle.in"):
        assert {item.verdict for item in findings if item.id == probe} == {SKIP}, probe
    said = {item.observed for item in findings if item.id == "auth.ok" and item.target.port == 587}
    (text,) = said
    assert "takes no passwords" in text
    assert "OAuth" in text
    assert "535 5.7.139" in text
    # Nothing is left in a mailbox that nobody can open.
    assert all(not box or box == [b"old mail\r\n\r\nbody\r\n"] for box in lab.world.boxes.values())


def test_without_an_account_it_is_judged_all_the_same(lab: ScriptedLab) -> None:
    findings = looked_at(lab, accounts=False)
    assert [item for item in findings if item.verdict in (FAIL, ERROR)] == []
    assert verdicts(findings, "relay.classic") == {(PASS, 25), (PASS, 587)}


def test_a_refusal_where_passwords_are_offered_names_both_reasons(lab: ScriptedLab) -> None:
    """Exchange Online goes on offering PLAIN over IMAP and POP: then nobody can tell a wrong password from one that is
    taken from nobody, and the advice says that.
    """
    findings = looked_at(lab, "127.0.0.1/password-still", only="auth.ok")
    assert verdicts(findings, "auth.ok") == {
        (SKIP, 465),
        (SKIP, 587),
        *((FAIL, port) for port in (110, 995, 143, 993)),
    } - {(SKIP, 465)}
    advice = {item.advice for item in findings if item.verdict is FAIL}
    assert all("OAuth" in text for text in advice), advice
    assert not [text for text in advice if "doveadm" in text]


def test_who_is_put_off_learns_that_and_no_more(lab: ScriptedLab) -> None:
    findings = looked_at(lab, "127.0.0.1/throttled", only="relay.classic unknown.user")
    assert (ERROR, 25) in verdicts(findings, "relay.classic")
    assert verdicts(findings, "unknown.user") == {(ERROR, 25)}
    assert any("451 4.7.500" in item.observed for item in findings)


def test_no_advice_is_about_postfix(lab: ScriptedLab) -> None:
    findings = [item for item in looked_at(lab) if item.target.host]
    advice = [item.advice for item in findings if item.verdict is not PASS]
    assert [text for text in advice if "postconf" in text or "Dovecot" in text] == []
