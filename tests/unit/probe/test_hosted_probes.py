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
from tests.unit.dns.test_hosted import EXCHANGE, GOOGLE, KEY, OTHER

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP
Records = dict[tuple[str, str], tuple[str, ...]]

PROVIDERS: Records = {
    ("_spf.google.com", "TXT"): ("v=spf1 ip4:198.51.100.0/24 ~all",),
    ("spf.protection.outlook.com", "TXT"): ("v=spf1 ip4:203.0.113.0/24 -all",),
    ("_spf.newsletter.example", "TXT"): ("v=spf1 -all",),
    ("_spf.mail.example", "TXT"): ("v=spf1 ip4:203.0.113.7 -all",),
    ("anybody.example", "TXT"): ("v=spf1 +all",),
    ("a-test.mail.protection.outlook.com", "A"): ("203.0.113.1",),
    ("in1.mail.example", "A"): ("203.0.113.2",),
    ("in2.mail.example", "AAAA"): ("2001:db8:1::2",),
    ("selector1-a-test._domainkey.contoso.n-v1.dkim.mail.microsoft", "TXT"): (KEY,),
    ("selector1-a-test._domainkey.contoso.onmicrosoft.com", "CNAME"): ("there.example",),
    ("there.example", "TXT"): (KEY,),
    ("google.keys.mail.example", "TXT"): (KEY,),
    ("circle.example", "CNAME"): ("circle.example",),
}
AT_GOOGLE: Records = {
    ("a.test", "MX"): ("1 smtp.google.com",),
    ("a.test", "TXT"): (
        "v=spf1 include:_spf.google.com ~all",
        "google-site-verification=abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    ),
    ("google._domainkey.a.test", "TXT"): (KEY,),
    ("_dmarc.a.test", "TXT"): ("v=DMARC1; p=reject; rua=mailto:dmarc@a.test",),
}
AT_EXCHANGE: Records = {
    ("a.test", "MX"): ("0 a-test.mail.protection.outlook.com",),
    ("a.test", "TXT"): (
        "v=spf1 include:spf.protection.outlook.com include:_spf.newsletter.example -all",
        "MS=ms12345678",
    ),
    ("selector1._domainkey.a.test", "CNAME"): (
        "selector1-a-test._domainkey.contoso.n-v1.dkim.mail.microsoft",
    ),
    ("selector2._domainkey.a.test", "CNAME"): (
        "selector2-a-test._domainkey.contoso.n-v2.dkim.mail.microsoft",
    ),
    ("autodiscover.a.test", "CNAME"): ("autodiscover.outlook.com",),
    ("_dmarc.a.test", "TXT"): ("v=DMARC1; p=none",),
}
AT_OTHER: Records = {
    ("a.test", "MX"): ("10 in1.mail.example", "20 in2.mail.example"),
    ("a.test", "TXT"): ("v=spf1 include:_spf.mail.example ~all",),
    ("google._domainkey.a.test", "CNAME"): ("google.keys.mail.example",),
    ("_dmarc.a.test", "TXT"): ("v=DMARC1; p=none",),
}
FIVE = (
    "1 aspmx.l.google.com",
    *(f"{rank} alt{number}.aspmx.l.google.com" for number, rank in enumerate((5, 5, 10, 10), 1)),
)


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
        (GOOGLE, AT_GOOGLE, {"mx", "spf", "dkim", "verification"}),
        (EXCHANGE, AT_EXCHANGE, {"mx", "spf", "dkim", "verification", "autodiscover"}),
        (OTHER, AT_OTHER, {"mx", "spf", "dkim"}),
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


WRONG: list[tuple[str, Records, str, tuple[str, ...], str, Verdict, str]] = [
    (GOOGLE, AT_GOOGLE, "a.test MX", FIVE, "mx", PASS, "1 aspmx.l.google.com"),
    (GOOGLE, AT_GOOGLE, "a.test MX", (), "mx", FAIL, "no MX"),
    (GOOGLE, AT_GOOGLE, "a.test MX", FIVE[:3], "mx", WARN, "nor all five"),
    (
        GOOGLE,
        AT_GOOGLE,
        "a.test MX",
        (*FIVE, "1 smtp.google.com"),
        "mx",
        WARN,
        "neither smtp.google.com alone",
    ),
    (GOOGLE, AT_GOOGLE, "a.test MX", ("1 smtp.google.com", "5 old.a.test"), "mx", FAIL, "5 old.a.test"),
    (GOOGLE, AT_GOOGLE, "a.test MX", ("20 x1.mx-verification.google.com", *FIVE), "mx", PASS, "x1."),
    (GOOGLE, AT_GOOGLE, "a.test MX", ("silent",), "mx", ERROR, "no authoritative answer"),
    (EXCHANGE, AT_EXCHANGE, "a.test MX", ("0 b-test.mail.protection.outlook.com",), "mx", FAIL, "b-test"),
    (EXCHANGE, AT_EXCHANGE, "a-test.mail.protection.outlook.com A", (), "mx", FAIL, "has no address"),
    (OTHER, AT_OTHER, "a.test MX", ("20 in1.mail.example", "10 in2.mail.example"), "mx", WARN, "the order"),
    (OTHER, AT_OTHER, "a.test MX", ("10 in1.mail.example",), "mx", FAIL, "without in2.mail.example"),
    (GOOGLE, AT_GOOGLE, "a.test TXT", (), "spf", FAIL, "no SPF record"),
    (GOOGLE, AT_GOOGLE, "a.test TXT", ("v=spf1 ~all", "v=spf1 -all"), "spf", FAIL, "several SPF records (2)"),
    (GOOGLE, AT_GOOGLE, "a.test TXT", ("v=spf1 ~all",), "spf", FAIL, "lacks include:_spf.google.com"),
    (GOOGLE, AT_GOOGLE, "a.test TXT", ("v=spf1 include:_spf.google.com",), "spf", FAIL, "does not end"),
    (
        GOOGLE,
        AT_GOOGLE,
        "a.test TXT",
        ("v=spf1 include:_spf.google.com include:anybody.example -all",),
        "spf",
        FAIL,
        "lets anybody pass",
    ),
    (
        GOOGLE,
        AT_GOOGLE,
        "a.test TXT",
        ("v=spf1 include:_spf.google.com include:gone.example -all",),
        "spf",
        FAIL,
        "include:gone.example leads to no SPF record",
    ),
    (GOOGLE, AT_GOOGLE, "a.test TXT", ("v=spf1 include:_spf.google.com ptr -all",), "spf", ERROR, "ptr"),
    (GOOGLE, AT_GOOGLE, "google._domainkey.a.test TXT", (), "dkim", FAIL, "no record"),
    (GOOGLE, AT_GOOGLE, "google._domainkey.a.test TXT", ("v=DKIM1; p=AAAA",), "dkim", FAIL, "another key"),
    (GOOGLE, AT_GOOGLE, "google._domainkey.a.test TXT", (KEY, "x"), "dkim", FAIL, "it has 2 records"),
    (EXCHANGE, AT_EXCHANGE, "selector2._domainkey.a.test CNAME", (), "dkim", FAIL, "selector2._domainkey"),
    (EXCHANGE, AT_EXCHANGE, "selector1._domainkey.a.test CNAME", ("x.example",), "dkim", FAIL, "x.example"),
    (
        EXCHANGE,
        AT_EXCHANGE,
        "selector1._domainkey.a.test CNAME",
        ("selector1-a-test._domainkey.contoso.onmicrosoft.com",),
        "dkim",
        PASS,
        "selector1: key; selector2: no key behind it",
    ),
    (
        EXCHANGE,
        AT_EXCHANGE,
        "selector1-a-test._domainkey.contoso.n-v1.dkim.mail.microsoft TXT",
        (),
        "dkim",
        WARN,
        "selector1: no key",
    ),
    (
        OTHER,
        AT_OTHER,
        "google.keys.mail.example TXT",
        (),
        "dkim",
        WARN,
        "google: no key",
    ),
    (
        GOOGLE,
        AT_GOOGLE,
        "a.test TXT",
        ("v=spf1 include:_spf.google.com -all",),
        "verification",
        FAIL,
        "is not",
    ),
    (EXCHANGE, AT_EXCHANGE, "autodiscover.a.test CNAME", (), "autodiscover", WARN, "is no CNAME"),
    (
        EXCHANGE,
        AT_EXCHANGE,
        "autodiscover.a.test CNAME",
        ("x.test",),
        "autodiscover",
        WARN,
        "leads to x.test",
    ),
]


@pytest.mark.parametrize(("text", "records", "change", "values", "name", "verdict", "words"), WRONG)
def test_what_is_wrong_is_said(
    text: str,
    records: Records,
    change: str,
    values: tuple[str, ...],
    name: str,
    verdict: Verdict,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = (change.partition(" ")[0], change.partition(" ")[2])
    found = verify(text, PROVIDERS | records | {key: values}, tmp_path, monkeypatch, f"hosted.{name}")
    (finding,) = found.values()
    assert (finding.verdict, words in finding.observed) == (verdict, True), finding.observed
    assert bool(finding.advice) is (verdict in (WARN, FAIL)) or verdict is ERROR


def test_each_of_them_has_been_seen_red() -> None:
    red = {f"hosted.{case[4]}" for case in WRONG if case[5] in (FAIL, WARN)}
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
