"""Probes of domains whose mail is at a provider: each passes what is right in DNS, and is wrong in every way."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailprov import probe
from mailprov.inventory import load
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Inventory
from mailprov.probe import runner
from mailprov.probe.checks import catalogue
from mailprov.probe.clients.resolver import Answer, NoAnswer, Resolver
from mailprov.selftest.hosted_cases import AT, KEY, PROVIDERS, WRONG, Records
from tests.unit.dns.test_hosted import EXCHANGE, GOOGLE, OTHER

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP
TEXTS = {"google": GOOGLE, "exchange": EXCHANGE, "other": OTHER}


class Fake(Resolver):
    """DNS in a dictionary. A record `silent` answers nothing."""

    def __init__(self, records: Records) -> None:
        super().__init__(None)
        self._records = records

    def _ask(self, name: str, kind: str) -> Answer:
        values = self._records.get((name, kind), ())
        if values == ("silent",):
            raise NoAnswer(f"no authoritative answer for {name} {kind}")
        alias = (self._records.get((name, "CNAME")) or ("",))[0] if not values else ""
        return Answer(name, kind, tuple(sorted(values)), "fake", alias)


def inventory(text: str, tmp_path: Path) -> Inventory:
    path = tmp_path / "mail.yml"
    path.write_text(text.format(zone="a.test", dashes="a-test", key=KEY))
    return load(path)


def verify(
    text: str, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *ids: str
) -> dict[str, Finding]:
    monkeypatch.setattr(runner, "Resolver", lambda *_, **__: Fake(PROVIDERS | records))
    read = inventory(text, tmp_path)
    findings = probe.verify(read, emit=lambda finding: None, probe_ids=ids)
    assert len({finding.id for finding in findings}) == len(findings)
    return {finding.id: finding for finding in findings}


@pytest.mark.parametrize(
    ("text", "records", "passing"),
    [
        (GOOGLE, AT["google"][1], {"mx", "spf", "dkim", "verification"}),
        (EXCHANGE, AT["exchange"][1], {"mx", "spf", "dkim", "verification", "autodiscover"}),
        (OTHER, AT["other"][1], {"mx", "spf", "dkim"}),
    ],
)
def test_what_is_right_passes_and_nothing_is_tried_at_the_provider(
    text: str, records: Records, passing: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = verify(text, records, tmp_path, monkeypatch)
    assert {name for name, each in found.items() if each.verdict is PASS} >= {f"hosted.{x}" for x in passing}
    assert found["hosted.mail"].verdict is SKIP
    assert not [name for name in found if not name.startswith(("hosted.", "dns."))]
    assert {"dns.mx", "dns.spf", "dns.published"}.isdisjoint(found)
    assert {each.verdict for name, each in found.items() if name != "dns.servers"} <= {PASS, SKIP}


@pytest.mark.parametrize(("provider", "change", "values", "name", "verdict", "words"), WRONG)
def test_what_is_wrong_is_said(
    provider: str,
    change: str,
    values: tuple[str, ...],
    name: str,
    verdict: Verdict,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = (change.partition(" ")[0], change.partition(" ")[2])
    text, (_domain, records) = TEXTS[provider], AT[provider]
    found = verify(text, PROVIDERS | records | {key: values}, tmp_path, monkeypatch, f"hosted.{name}")
    (finding,) = found.values()
    assert (finding.verdict, words in finding.observed) == (verdict, True), finding.observed
    assert bool(finding.advice) is (verdict in (WARN, FAIL)) or verdict is ERROR


@pytest.mark.parametrize("provider", TEXTS)
def test_the_scripted_domains_are_as_an_inventory_has_them(provider: str, tmp_path: Path) -> None:
    assert inventory(TEXTS[provider], tmp_path).domains == (AT[provider][0],)


def test_each_of_them_has_been_seen_red() -> None:
    red = {f"hosted.{case[3]}" for case in WRONG if case[4] in (FAIL, WARN)}
    assert red == {entry.id for entry in catalogue() if entry.id.startswith("hosted.")} - {"hosted.mail"}


def test_what_the_inventory_does_not_say_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "domains: {{{zone}: {{hosted: {{provider: other, mx: in1.mail.example}}}}}}\n"
    found = verify(text, {("a.test", "MX"): ("10 in1.mail.example",)}, tmp_path, monkeypatch, "hosted.")
    verdicts = {name: each.verdict for name, each in found.items()}
    assert verdicts == {
        "hosted.mx": PASS,
        "hosted.spf": WARN,
        "hosted.dkim": WARN,
        "hosted.mail": SKIP,
    }
