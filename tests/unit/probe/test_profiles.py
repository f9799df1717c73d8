"""Profiles: their table, what becomes of findings, and what each makes of sound servers and of broken ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mailprov.model.findings import Finding, Target, Verdict
from mailprov.model.inventory import Profile, Tls, TlsMode
from mailprov.model.ports import ALL
from mailprov.probe import catalogue, selects
from mailprov.probe.checks import probes
from mailprov.probe.profiles import RULES, Rule, judged, told
from mailprov.selftest.scripted_lab import ScriptedLab

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP
EVERY = [(profile, rule) for profile, rules in RULES.items() for rule in rules.rules]


def name_of(value: object) -> str:
    return (
        f"{value.probes}:{value.case}:{value.becomes.value}"
        if isinstance(value, Rule)
        else getattr(value, "value", "")
    )


@pytest.mark.parametrize(("profile", "rule"), EVERY, ids=name_of)
def test_a_rule_is_about_probes_and_cases_that_exist(profile: Profile, rule: Rule) -> None:
    """A probe that got another name, or lost a case, would silently be judged as by default."""
    about = [entry for entry in catalogue() if selects(rule.probes, entry.id)]
    assert about
    assert not rule.case or any(rule.case in dict(entry.cases) for entry in about)
    assert ERROR not in rule.of
    assert rule.becomes not in (*rule.of, ERROR)
    assert {PASS, SKIP}.isdisjoint(rule.of) or rule.becomes in (PASS, SKIP) or rule.advice, (
        "nobody says what to do"
    )


@pytest.mark.parametrize("profile", RULES, ids=name_of)
def test_the_bar_of_a_profile_is_about_what_exists(profile: Profile) -> None:
    bar = RULES[profile].bar
    by_name = {each.entry.id for each in probes() if each.by_name}
    assert set(bar.also) <= by_name
    assert set(bar.optional) <= {port.number for port in ALL}


def test_every_profile_has_rules_and_the_default_has_none() -> None:
    assert set(RULES) == set(Profile)
    assert [profile for profile, rules in RULES.items() if not rules.rules] == [Profile.DEFAULT]
    assert RULES[Profile.DEFAULT].bar == type(RULES[Profile.DEFAULT].bar)()


def test_a_case_that_no_profile_asks_for_is_not_declared() -> None:
    asked = {
        (entry.id, rule.case) for _, rule in EVERY for entry in catalogue() if selects(rule.probes, entry.id)
    }
    declared = {(entry.id, case) for entry in catalogue() for case, _when in entry.cases}
    # Of tls.sni and zone.tlsa they are what the probe's relatives have.
    assert declared - asked <= {("tls.sni", "self-signed"), ("zone.tlsa", "no-dnssec")}


def found(probe: str, verdict: Verdict, case: str = "") -> Finding:
    return Finding(
        probe, Target(host="mx1", domain="a.test"), verdict, "t", "e", "it is so", "do this",
        tasks=("ask them",), case=case,
    )  # fmt: skip


def test_a_verdict_that_the_profile_changed_says_so() -> None:
    finding = judged(found("tls.versions", WARN), Profile.STRICT)
    assert (finding.verdict, finding.by_default) == (FAIL, "warn")
    assert finding.judged.startswith("warn by default, fail in the profile strict: the TLS guidelines")
    assert (finding.observed, finding.advice) == ("it is so", "do this")


def test_what_a_profile_does_not_ask_for_is_a_skip_with_the_reason_and_nothing_to_do() -> None:
    finding = judged(found("dns.ptr", FAIL), Profile.LAB)
    assert (finding.verdict, finding.by_default) == (SKIP, "fail")
    assert finding.observed.startswith("fail by default, skip in the profile lab: ")
    assert finding.observed.endswith("; it is so")
    assert (finding.advice, finding.tasks) == ("", ())


def test_what_passes_by_default_and_not_here_says_what_to_do() -> None:
    finding = judged(replace(found("dns.dmarc", PASS, "policy-none"), advice=""), Profile.STRICT)
    assert finding.verdict is FAIL
    assert "dmarc: {policy: quarantine}" in finding.advice


@pytest.mark.parametrize("profile", RULES, ids=name_of)
def test_what_could_not_be_tested_stays_an_error(profile: Profile) -> None:
    for entry in catalogue():
        for case in ("", *dict(entry.cases)):
            finding = found(entry.id, ERROR, case)
            assert judged(finding, profile) == finding


def test_without_its_case_a_rule_does_not_fit() -> None:
    for case, verdict in (("", FAIL), ("self-signed", PASS)):
        assert judged(found("tls.chain", FAIL, case), Profile.EXAM).verdict is verdict


def look(lab: ScriptedLab, profile: Profile, only: str, port: int = 0) -> dict[str, set[Verdict]]:
    lab.inventory = replace(lab.inventory, profile=profile)
    seen: dict[str, set[Verdict]] = {}
    for finding in lab.verify(only, port):
        seen.setdefault(finding.id, set()).add(finding.verdict)
    return seen


@pytest.mark.parametrize("profile", RULES, ids=name_of)
def test_sound_servers_stay_sound(lab: ScriptedLab, profile: Profile) -> None:
    lab.inventory = replace(lab.inventory, profile=profile)
    assert [
        each
        for each in lab.verify("net tls auth.ok delivery relay dane dns.spf dns.dmarc dns.ptr")
        if each.verdict not in (PASS, SKIP)
    ] == []


# (profile, what is broken, certificate, probe, port, its verdict by default, its verdict there)
BROKEN = [
    (Profile.STRICT, "agrees-tls-1.1", "", "tls.versions", 25, WARN, FAIL),
    (Profile.STRICT, "agrees-aNULL agrees-3DES", "", "tls.ciphers", 25, WARN, FAIL),
    (Profile.STRICT, "tlsa-absent", "", "dane.tlsa", 25, WARN, FAIL),
    (Profile.STRICT, "tlsa-absent unsigned-zone", "", "dane.tlsa", 25, SKIP, FAIL),
    (Profile.STRICT, "no-ds", "", "dane.tlsa", 25, WARN, FAIL),
    (Profile.LAB, "no-ds", "", "dane.tlsa", 25, WARN, SKIP),
    (Profile.LAB, "", "self-signed", "tls.chain", 993, FAIL, PASS),
    (Profile.LAB, "", "unknown-ca", "tls.chain", 993, FAIL, PASS),
    (Profile.LAB, "", "expired", "tls.chain", 993, FAIL, FAIL),
    (Profile.LAB, "", "unknown-ca", "auth.ok", 993, ERROR, PASS),
    (Profile.EXAM, "", "self-signed", "auth.ok", 143, ERROR, PASS),
    (Profile.EXAM, "nobody-gets-in", "self-signed", "auth.ok", 143, ERROR, FAIL),
    (Profile.EXAM, "auth-on-25", "", "auth.not-on-25", 25, FAIL, WARN),
    (Profile.EXAM, "tells-users", "", "smtp.vrfy", 25, FAIL, WARN),
    (Profile.EXAM, "sent-ahead", "", "smuggle.pipelining", 25, FAIL, WARN),
    (Profile.EXAM, "open-relay", "", "relay.classic", 25, FAIL, FAIL),
    (Profile.EXAM, "spoof", "", "spoof.envelope", 587, FAIL, WARN),
    (Profile.EXAM, "", "wrong-name", "tls.name", 993, FAIL, WARN),
    (Profile.EXAM, "unsigned", "", "delivery.dkim", 0, FAIL, SKIP),
    (Profile.EXAM, "other-relay", "", "delivery.path", 0, FAIL, PASS),
    (Profile.EXAM, "clear-hop", "", "delivery.path", 0, FAIL, FAIL),
    (Profile.DELIVERABILITY, "into-junk", "", "delivery.path", 0, WARN, FAIL),
    (Profile.DELIVERABILITY, "other-helo", "", "delivery.path", 0, WARN, FAIL),
    (Profile.DELIVERABILITY, "other-address", "", "delivery.path", 0, WARN, FAIL),
    (Profile.DELIVERABILITY, "unchecked", "", "delivery.results", 0, WARN, SKIP),
]  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "faults", "certificate", "probe", "port", "usual", "there"),
    BROKEN,
    ids=[f"{p.value}-{f or c}-{i}" for p, f, c, i, *_ in BROKEN],
)
def test_what_is_broken_is_judged_by_the_profile(
    lab: ScriptedLab, profile: Profile, faults: str, certificate: str, probe: str, port: int, usual: Verdict,
    there: Verdict,
) -> None:  # fmt: skip
    lab.spoil(faults, certificate)
    assert look(lab, Profile.DEFAULT, probe, port)[probe] == {usual}
    assert look(lab, profile, probe, port)[probe] == {there}


def test_records_are_judged_by_the_profile(lab: ScriptedLab) -> None:
    lab.world.records["1.0.0.127.in-addr.arpa", "PTR"] = ["other.test."]
    assert FAIL in look(lab, Profile.DEFAULT, "dns.ptr")["dns.ptr"]
    assert FAIL in look(lab, Profile.DELIVERABILITY, "dns.ptr")["dns.ptr"]
    assert look(lab, Profile.LAB, "dns.ptr")["dns.ptr"] == {PASS, SKIP}
    for zone in ("alpha.test", "alfa.test", "beta.test"):
        lab.world.records[f"_dmarc.{zone}", "TXT"] = []
    assert look(lab, Profile.DEFAULT, "dns.dmarc")["dns.dmarc"] == {FAIL}
    assert look(lab, Profile.EXAM, "dns.dmarc")["dns.dmarc"] == {SKIP}


def test_in_an_exam_pop_need_not_be_offered(lab: ScriptedLab) -> None:
    lab.world.off["127.0.0.1"] = {"pop3", "pop3s"}  # nobody told the inventory
    assert look(lab, Profile.DEFAULT, "net.tcp", 995)["net.tcp"] == {PASS, FAIL}
    seen = look(lab, Profile.EXAM, "net.tcp pop.greeting", 995)
    assert seen == {"net.tcp": {PASS, SKIP}, "pop.greeting": {PASS}}
    assert look(lab, Profile.EXAM, "net.tcp", 993)["net.tcp"] == {PASS}


def test_a_certificate_of_nobody_gets_no_password_where_it_changes_from_port_to_port(
    lab: ScriptedLab,
) -> None:
    """Whoever sits between may show one of his own at one of the ports."""
    lab.inventory = replace(lab.inventory, profile=Profile.LAB)
    lab.spoil("", "self-signed")
    seen = {finding.verdict for finding in lab.verify("auth.ok")}
    assert seen == {PASS}
    hosts = tuple(replace(host, tls=Tls(TlsMode.FILES)) for host in lab.inventory.hosts)
    lab.inventory = replace(lab.inventory, profile=Profile.DEFAULT, hosts=hosts)
    assert {finding.verdict for finding in lab.verify("auth.ok")} == {ERROR}


def test_explain_has_what_each_profile_makes_of_a_probe() -> None:
    assert {profile for profile in RULES if told(profile, "dane.tlsa")} == set(Profile) - {Profile.DEFAULT}
    assert told(Profile.STRICT, "auth.ok") == []


def test_the_documentation_tells_of_every_profile() -> None:
    text = (Path(__file__).parents[3] / "docs" / "verification.md").read_text(encoding="utf-8")
    section = text.partition("## Profiles")[2].partition("\n## ")[0]
    assert [profile.value for profile in Profile if f"| `{profile.value}` |" not in section] == []
    for probe in RULES[Profile.STRICT].bar.also:
        assert f"`{probe}`" in section
