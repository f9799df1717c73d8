"""Domains whose mail is at a provider, in real zones: planned, published, left as others wrote it, and taken back."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailprov import dns as zones
from mailprov.dns import seal
from mailprov.errors import DnsFailed
from mailprov.inventory import load
from mailprov.model.events import Action
from mailprov.model.inventory import Inventory
from tests.unit.dns.drivers import BACKENDS, Backend

KEY = (
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG"
    "9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ"
    "2QIDAQAB"
)
GOOGLE = """\
domains:
  {zone}:
    hosted:
      provider: google-workspace
      verification: google-site-verification=abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG
      dkim: {{google: "{key}"}}
    dmarc: {{policy: reject, rua: dmarc}}
"""
EXCHANGE = """\
domains:
  {zone}:
    hosted:
      provider: exchange-online
      verification: MS=ms12345678
      mx: {dashes}.mail.protection.outlook.com
      dkim:
        selector1: selector1-{dashes}._domainkey.contoso.n-v1.dkim.mail.microsoft
        selector2: selector2-{dashes}._domainkey.contoso.n-v2.dkim.mail.microsoft
    spf: {{include: [_spf.newsletter.example]}}
"""
OTHER = """\
domains:
  {zone}:
    hosted:
      provider: other
      mx: [10 in1.mail.example, 20 in2.mail.example]
      dkim: {{google: google.keys.mail.example}}
    spf: {{include: [_spf.mail.example]}}
"""
FIVE = (
    "1 ASPMX.L.GOOGLE.COM.",
    "5 ALT1.ASPMX.L.GOOGLE.COM.",
    "5 ALT2.ASPMX.L.GOOGLE.COM.",
    "10 ALT3.ASPMX.L.GOOGLE.COM.",
    "10 ALT4.ASPMX.L.GOOGLE.COM.",
)

Hosted = Callable[[str, str], Inventory]


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture
def hosted(backend: Backend, tmp_path: Path) -> Hosted:
    def make(text: str, zone: str) -> Inventory:
        path = tmp_path / "mail.yml"
        path.write_text(text.format(zone=zone, dashes=zone.replace(".", "-"), key=KEY))
        return dataclasses.replace(load(path), dns=backend.settings())

    return make


def publish(wanted: Inventory, *, take_over: bool = False) -> zones.ZonePlan:
    (plan,) = [plan for plan in zones.plan(wanted, take_over) if plan.zone]
    zones.apply(plan, lambda event: None)
    return plan


def test_google_is_published_and_taken_back(backend: Backend, hosted: Hosted) -> None:
    zone = "contracth1.test"
    backend.put(zone, zone, 77, "TXT", '"MS=ms99999999"', '"something else"')
    before = backend.whole(zone)
    wanted = hosted(GOOGLE, zone)
    (plan,) = [plan for plan in zones.plan(wanted) if plan.zone]
    image = zones.before_image(plan)
    publish(wanted)

    assert backend.texts(zone, zone, "MX") == {"1 smtp.google.com."}
    assert backend.texts(zone, zone, "TXT") == {
        '"MS=ms99999999"',
        '"something else"',
        '"v=spf1 include:_spf.google.com ~all"',
        '"google-site-verification=abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"',
    }
    assert {text.replace('" "', "") for text in backend.texts(zone, f"google._domainkey.{zone}", "TXT")} == {
        f'"{KEY}"'
    }
    assert backend.texts(zone, f"_dmarc.{zone}", "TXT") == {f'"v=DMARC1; p=reject; rua=mailto:dmarc@{zone}"'}
    assert not zones.plan(wanted)[0].changes

    assert image is not None
    (back,) = zones.plan_undo(wanted, [{**seal.sealed(image, "run", wanted.dns), "told": ["a file"]}])
    zones.apply(back, lambda event: None)
    assert backend.whole(zone) == before


def test_exchange_is_published_and_taken_back(backend: Backend, hosted: Hosted) -> None:
    zone = "contracth2.test"
    backend.put(zone, f"www.{zone}", 300, "CNAME", f"ns.{zone}.")
    before = backend.whole(zone)
    wanted = hosted(EXCHANGE, zone)
    image = zones.before_image(zones.plan(wanted)[0])
    publish(wanted)

    assert backend.texts(zone, zone, "MX") == {"0 contracth2-test.mail.protection.outlook.com."}
    assert backend.texts(zone, zone, "TXT") == {
        '"v=spf1 include:spf.protection.outlook.com include:_spf.newsletter.example -all"',
        '"MS=ms12345678"',
    }
    assert backend.texts(zone, f"selector1._domainkey.{zone}", "CNAME") == {
        "selector1-contracth2-test._domainkey.contoso.n-v1.dkim.mail.microsoft."
    }
    assert backend.texts(zone, f"autodiscover.{zone}", "CNAME") == {"autodiscover.outlook.com."}
    assert not zones.plan(wanted)[0].changes

    assert image is not None
    (back,) = zones.plan_undo(wanted, [{**seal.sealed(image, "run", wanted.dns), "told": ["a file"]}])
    zones.apply(back, lambda event: None)
    assert backend.whole(zone) == before


def test_what_stands_in_another_valid_form_is_no_change(backend: Backend, hosted: Hosted) -> None:
    """Google's five MX, and Microsoft's DKIM names of before May 2025; an SPF record that has more senders."""
    zone = "contracth3.test"
    backend.put(zone, zone, 300, "MX", *FIVE)
    text = '"google-site-verification=abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"'
    backend.put(zone, zone, 300, "TXT", text, '"v=spf1 include:_spf.google.com include:other.example -all"')
    backend.put(zone, f"_dmarc.{zone}", 300, "TXT", f'"v=DMARC1; p=reject; rua=mailto:dmarc@{zone}"')
    spelled = KEY.replace("; ", ";")
    backend.put(zone, f"google._domainkey.{zone}", 300, "TXT", f'"{spelled[:200]}" "{spelled[200:]}"')
    before = backend.whole(zone)
    plans = zones.plan(hosted(GOOGLE, zone))
    assert [plan.changes for plan in plans] == [()]
    assert any("stood in contracth3.test before mailprov" in text for text in plans[0].notices)
    publish(hosted(GOOGLE, zone))
    assert backend.whole(zone) == before

    zone = "contracth4.test"
    for number in (1, 2):
        target = f"selector{number}-contracth4-test._domainkey.contoso.onmicrosoft.com."
        backend.put(zone, f"selector{number}._domainkey.{zone}", 300, "CNAME", target)
    publish(hosted(EXCHANGE, zone))
    assert backend.texts(zone, f"selector1._domainkey.{zone}", "CNAME") == {
        "selector1-contracth4-test._domainkey.contoso.onmicrosoft.com."
    }
    assert backend.texts(zone, zone, "MX") == {"0 contracth4-test.mail.protection.outlook.com."}
    assert not zones.plan(hosted(EXCHANGE, zone))[0].changes


def test_what_is_missing_in_an_spf_record_of_somebody_else_is_added(backend: Backend, hosted: Hosted) -> None:
    zone = "contracth11.test"
    backend.put(zone, zone, 300, "TXT", '"v=spf1 include:other.example ?all"')
    publish(hosted(GOOGLE, zone))
    merged = '"v=spf1 include:other.example include:_spf.google.com ?all"'
    assert merged in backend.texts(zone, zone, "TXT")
    assert not zones.plan(hosted(GOOGLE, zone))[0].changes


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("MX", (*FIVE[:4],)),
        ("MX", (*FIVE, "1 smtp.google.com.")),
        ("MX", ("5 old.contracth5.test.",)),
        ("TXT", ('"v=spf1 redirect=other.example"',)),
        ("TXT", ('"v=spf1 a -all"', '"v=spf1 include:other.example ~all"')),
    ],
)
def test_what_is_half_of_it_is_a_conflict_and_taken_over_when_asked(
    backend: Backend, hosted: Hosted, kind: str, texts: tuple[str, ...]
) -> None:
    zone = "contracth5.test"
    backend.put(zone, f"old.{zone}", 300, "A", "192.0.2.5")
    backend.put(zone, zone, 300, kind, *texts)
    before = backend.whole(zone)
    wanted = hosted(GOOGLE, zone)
    with pytest.raises(
        DnsFailed, match=f"{zone} has .* (that mailprov did not write|where there may be only)"
    ):
        zones.plan(wanted)
    (plan,) = [plan for plan in zones.plan(wanted, take_over=True) if plan.zone]
    image = zones.before_image(plan)
    publish(wanted, take_over=True)
    assert {text.lower() for text in backend.texts(zone, zone, "MX")} == {"1 smtp.google.com."}
    assert '"v=spf1 include:_spf.google.com ~all"' in backend.texts(zone, zone, "TXT")
    assert image is not None
    (back,) = zones.plan_undo(wanted, [{**seal.sealed(image, "run", wanted.dns), "told": ["a file"]}])
    zones.apply(back, lambda event: None)
    assert _as_compared(backend.whole(zone)) == _as_compared(before)
    backend.put(zone, zone, 300, kind)


def _as_compared(zone: dict[tuple[str, str], tuple[int, frozenset[str]]]) -> object:
    """Names are the same in upper and lower case; what --take-over replaced comes back in lower case."""
    return {
        key: (ttl, {text.lower() if key[1] == "MX" else text for text in texts})
        for key, (ttl, texts) in zone.items()
    }


@pytest.mark.parametrize(
    ("label", "kind", "text"),
    [
        ("selector1._domainkey", "TXT", '"v=DKIM1; p=theirs"'),
        ("selector2._domainkey", "CNAME", "elsewhere.example."),
        ("selector1._domainkey", "CAA", '0 issue "ca.example"'),
    ],
)
def test_a_name_that_others_use_is_a_conflict(
    backend: Backend, hosted: Hosted, label: str, kind: str, text: str
) -> None:
    zone = "contracth6.test"
    name = f"{label}.{zone}"
    backend.put(zone, name, 300, kind, text)
    before = backend.whole(zone)
    with pytest.raises(DnsFailed, match=re.escape(name)):
        zones.plan(hosted(EXCHANGE, zone))
    assert backend.whole(zone) == before
    backend.put(zone, name, 300, kind)


def test_a_key_becomes_an_alias_and_a_key_again_in_one_update(backend: Backend, hosted: Hosted) -> None:
    """At a CNAME there is nothing else, so the order counts."""
    zone = "contracth7.test"
    name = f"google._domainkey.{zone}"
    publish(hosted(GOOGLE, zone))
    keyed = backend.whole(zone)
    plan = publish(hosted(OTHER, zone))
    image = zones.before_image(plan)
    assert backend.texts(zone, name, "CNAME") == {"google.keys.mail.example."}
    assert not backend.texts(zone, name, "TXT")
    assert backend.texts(zone, zone, "MX") == {"10 in1.mail.example.", "20 in2.mail.example."}
    assert not zones.plan(hosted(OTHER, zone))[0].changes

    assert image is not None
    wanted = hosted(GOOGLE, zone)
    (back,) = zones.plan_undo(wanted, [{**seal.sealed(image, "run", wanted.dns), "told": ["a file"]}])
    zones.apply(back, lambda event: None)
    assert backend.whole(zone) == keyed
    assert not zones.plan(wanted)[0].changes

    publish(hosted(OTHER, zone))
    publish(wanted)
    assert backend.whole(zone) == keyed


def test_what_comes_to_the_name_between_plan_and_apply_is_kept(backend: Backend, hosted: Hosted) -> None:
    zone = "contracth8.test"
    name = f"selector1._domainkey.{zone}"
    (plan,) = [plan for plan in zones.plan(hosted(EXCHANGE, zone)) if plan.zone]
    backend.put(zone, name, 300, "TXT", '"theirs"')
    before = backend.whole(zone)
    with pytest.raises(DnsFailed, match=re.escape(name)):
        zones.apply(plan, lambda event: None)
    assert backend.whole(zone) == before
    backend.put(zone, name, 300, "TXT")


@pytest.mark.parametrize(("kind", "text"), [("A", "192.0.2.80"), ("CNAME", "mail.old.example.")])
def test_an_autodiscover_of_others_stays_and_keeps_nothing_else_away(
    backend: Backend, hosted: Hosted, kind: str, text: str
) -> None:
    """Where mailboxes are still at a server of one's own."""
    zone = "contracth12.test"
    name = f"autodiscover.{zone}"
    backend.put(zone, name, 300, kind, text)
    plan = publish(hosted(EXCHANGE, zone))
    assert any(name in notice and "stay" in notice for notice in plan.notices)
    assert backend.texts(zone, name, kind) == {text}
    assert backend.texts(zone, f"selector1._domainkey.{zone}", "CNAME")
    assert not zones.plan(hosted(EXCHANGE, zone))[0].changes
    backend.put(zone, name, 300, kind)


def test_a_domain_that_leaves_takes_its_records_with_it(backend: Backend, hosted: Hosted) -> None:
    zone, stays = "contracth9.test", "contracth10.test"
    before = backend.whole(zone)
    second = (
        GOOGLE.format(zone=stays, key=KEY).removeprefix("domains:\n").replace("{", "{{").replace("}", "}}")
    )
    for plan in zones.plan(hosted(EXCHANGE + second, zone)):
        zones.apply(plan, lambda event: None)
    assert backend.texts(zone, f"autodiscover.{zone}", "CNAME")
    plans = [plan for plan in zones.plan(hosted(GOOGLE, stays)) if plan.zone]
    assert {change.action for plan in plans if plan.zone == zone for change in plan.changes} == {
        Action.DELETE
    }
    for plan in plans:
        zones.apply(plan, lambda event: None)
    assert backend.whole(zone) == before
