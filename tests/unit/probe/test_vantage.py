"""Where verify looks from: what a host trusts us with is no news of strangers, whichever way it comes out."""

from __future__ import annotations

import time
from collections.abc import Collection

import pytest

from mailprov.model.findings import Finding, Target, Verdict
from mailprov.model.inventory import Host
from mailprov.probe import catalogue, jobs
from mailprov.probe.vantage import Told, Trusted, Vantage, Vantages, has_strangers, judged
from mailprov.report.grouping import behind
from mailprov.selftest.scripted_lab import ScriptedLab

INSIDE = Trusted("127.0.0.1", 25, "mynetworks", "127.0.0.0/8", "127.0.0.1")


def answers(told: Told) -> tuple[list[str], object]:
    asked: list[str] = []

    def ask(host: Host, addresses: Collection[str]) -> Told:
        asked.append(host.name)
        return told

    return asked, ask


def test_what_must_look_from_outside_is_declared() -> None:
    outside = {entry.id for entry in catalogue() if entry.vantage is Vantage.OUTSIDE}
    assert outside >= {
        "relay.classic",
        "smuggle.in",
        "smuggle.pipelining",
        "tls.enforced",
        "imap.capability",
        "sieve.capability",
    }


@pytest.mark.parametrize("faults", ["", "open-relay"])
def test_from_within_mynetworks_neither_a_pass_nor_a_fail_counts(lab: ScriptedLab, faults: str) -> None:
    lab.spoil(faults, "")
    __, ask = answers(Told((INSIDE,)))
    found = lab.verify("relay.classic net.vantage", 25, hosts=["mx1"], trusted=ask)  # type: ignore[arg-type]
    assert {finding.verdict for finding in found} == {Verdict.ERROR}
    (relay,) = [finding for finding in found if finding.id == "relay.classic"]
    assert "says nothing of strangers" in relay.observed
    assert "--via" in relay.advice
    assert [cause.id for cause in behind(found).values()] == ["net.vantage"]  # one cause


def test_the_other_ports_and_probes_count_as_they_are(lab: ScriptedLab) -> None:
    __, ask = answers(Told((INSIDE,)))
    found = lab.verify("relay.classic smtp.ehlo", hosts=["mx1"], trusted=ask)  # type: ignore[arg-type]
    verdicts = {(finding.id, finding.target.port): finding.verdict for finding in found}
    assert verdicts["relay.classic", 25] is Verdict.ERROR
    assert verdicts["relay.classic", 587] is Verdict.PASS
    assert verdicts["smtp.ehlo", 25] is Verdict.PASS


def test_a_host_that_cannot_be_asked_changes_no_verdict(lab: ScriptedLab) -> None:
    __, ask = answers(Told(why="no route to host"))
    found = lab.verify("relay.classic net.vantage", 25, hosts=["mx1"], trusted=ask)  # type: ignore[arg-type]
    verdicts = {finding.id: finding.verdict for finding in found}
    assert verdicts == {"relay.classic": Verdict.PASS, "net.vantage": Verdict.SKIP}
    assert "no route to host" in next(each.observed for each in found if each.id == "net.vantage")


def test_a_failure_on_a_server_of_the_same_network_says_that_it_is(lab: ScriptedLab) -> None:
    lab.spoil("open-relay", "")
    __, ask = answers(Told(why="mailprov did not build it", near="192.0.2.0/24"))
    (found,) = lab.verify("relay.classic", 25, hosts=["mx1"], trusted=ask)  # type: ignore[arg-type]
    assert found.verdict is Verdict.FAIL
    assert "seen from 192.0.2.0/24" in found.observed


def test_nobody_is_asked_where_nothing_hangs_on_it(lab: ScriptedLab) -> None:
    asked, ask = answers(Told())
    lab.verify("smtp.ehlo", 25, hosts=["mx1"], trusted=ask)  # type: ignore[arg-type]
    assert asked == []


def test_no_connection_is_held_while_a_host_has_still_to_tell(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells when the probe behind this one has been there, and only one may be at a time."""
    monkeypatch.setattr(jobs, "_PER_ADDRESS", 1)

    def unknown_user_was_tried() -> bool:
        tried = [word for word in lab.world.commands if word.startswith("RCPT TO:<nobody-")]
        return any(word.endswith("@alpha.test>") and "example.invalid" not in word for word in tried)

    def ask(host: Host, addresses: Collection[str]) -> Told:
        for _turn in range(6000):
            if unknown_user_was_tried():
                return Told()
            time.sleep(0.1)
        raise AssertionError("it waits for ever")

    found = lab.verify("relay.classic unknown.user", 25, hosts=["mx1"], trusted=ask)
    assert {(each.id, each.verdict) for each in found} >= {("relay.classic", Verdict.PASS)}
    assert {each.verdict for each in found} == {Verdict.PASS}


@pytest.mark.parametrize(
    ("network", "strangers"),
    [
        ("0.0.0.0/0", True),
        ("[::]/0", True),
        ("128.0.0.0/1", True),
        ("2000::/3", True),
        ("10.0.0.0/8", False),
        ("192.0.2.0/24", False),
        ("[2001:db8::]/32", False),
        ("hash:/etc/own", False),
    ],
)
def test_a_network_with_strangers_in_it_is_no_excuse(network: str, strangers: bool) -> None:
    assert has_strangers(network) is strangers


def test_a_crash_of_whoever_asks_is_no_verdict() -> None:
    def ask(host: Host, addresses: Collection[str]) -> Told:
        raise RuntimeError("boom")

    vantages = Vantages(ask, ["relay.classic"])
    lab_host = type("H", (), {"name": "mx1"})()
    vantages.begin([lab_host], {})
    finding = Finding("relay.classic", Target("mx1", "192.0.2.1", 25), Verdict.PASS, "t")
    assert judged(vantages, finding) == finding
    assert "boom" in vantages.told("mx1").why
    vantages.finish()
