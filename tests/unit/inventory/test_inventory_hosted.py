"""Domains whose mail is at a provider, as they are read. What is wrong in them is in tests/bad/hosted.yml."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailprov.inventory import SecretMode, load
from mailprov.model.inventory import Dmarc, Inventory

HOST = "hosts: {mx1: {address: 192.0.2.1, fqdn: mx1.a.test}}\n"


def read(text: str, tmp_path: Path) -> Inventory:
    path = tmp_path / "mail.yml"
    path.write_text(text)
    return load(path, SecretMode.IGNORE)


def test_an_inventory_of_such_domains_alone_needs_no_hosts(tmp_path: Path) -> None:
    made = read("domains: {B.test: {hosted: {provider: google-workspace}}}\n", tmp_path)
    (domain,) = made.domains
    assert (made.hosts, domain.hosts, domain.name) == ((), (), "b.test")
    assert domain.hosted is not None
    assert domain.hosted.mx == ((1, "smtp.google.com"),)
    assert domain.dmarc == Dmarc(asked=False)


def test_addresses_at_a_provider_may_be_anybody(tmp_path: Path) -> None:
    """Who has a mailbox there only the provider knows, so a forward there is no reference that leads nowhere."""
    text = HOST + (
        "domains:\n"
        "  a.test: {hosts: [mx1], aliases: {office: anybody@b.test}}\n"
        "  b.test: {hosted: {provider: google-workspace}, dmarc: {rua: reports}}\n"
    )
    a, b = read(text, tmp_path).domains
    assert a.aliases == (("office@a.test", "anybody@b.test"),)
    assert b.dmarc == Dmarc("none", "reports@b.test")


@pytest.mark.parametrize(
    ("mx", "preferences"),
    [
        ("MX.mail.example.", [(10, "mx.mail.example")]),
        ("5 mx.mail.example", [(5, "mx.mail.example")]),
        ("[b.mail.example, a.mail.example]", [(10, "b.mail.example"), (20, "a.mail.example")]),
        ("[10 a.mail.example, 10 b.mail.example]", [(10, "a.mail.example"), (10, "b.mail.example")]),
    ],
)
def test_an_mx_is_written_as_consoles_show_it(
    tmp_path: Path, mx: str, preferences: list[tuple[int, str]]
) -> None:
    (domain,) = read(f"domains: {{b.test: {{hosted: {{provider: other, mx: {mx}}}}}}}\n", tmp_path).domains
    assert domain.hosted is not None
    assert list(domain.hosted.mx) == preferences


@pytest.mark.parametrize(
    ("hosted", "spf", "soft"),
    [
        ("provider: google-workspace", "", True),
        ("provider: google-workspace", "all: fail", False),
        ("provider: exchange-online, mx: b-test.mail.protection.outlook.com", "", False),
        ("provider: exchange-online, mx: b-test.n-v1.mx.microsoft", "all: soft", True),
        ("provider: other, mx: mx.b.test", "include: [b.example]", True),
    ],
)
def test_spf_ends_as_the_provider_says_unless_the_inventory_does(
    tmp_path: Path, hosted: str, spf: str, soft: bool
) -> None:
    text = f"domains: {{b.test: {{hosted: {{{hosted}}}, spf: {{{spf}}}}}}}\n"
    text = text.replace(", spf: {}", "")
    (domain,) = read(text, tmp_path).domains
    assert domain.spf.soft is soft


def test_google_takes_its_five_mx_as_well(tmp_path: Path) -> None:
    names = ", ".join(["1 ASPMX.L.GOOGLE.COM", *(f"{5 * n} ALT{n}.ASPMX.L.GOOGLE.COM" for n in (1, 2, 3, 4))])
    text = f"domains: {{b.test: {{hosted: {{provider: google-workspace, mx: [{names}]}}}}}}\n"
    (domain,) = read(text, tmp_path).domains
    assert domain.hosted is not None
    assert domain.hosted.mx[1] == (5, "alt1.aspmx.l.google.com")


def test_a_host_whose_name_is_such_a_domain_sends_under_another_one(tmp_path: Path) -> None:
    """What it sends on passes SPF for its sender's domain, in which nobody may have a mailbox (components/srs.py)."""
    text = HOST + (
        "domains:\n"
        "  c.test: {hosts: [mx1], accounts: {ana: {password: {env: P}}}}\n"
        "  mx1.a.test: {hosted: {provider: google-workspace}}\n"
    )
    made = read(text, tmp_path)
    assert made.sender_domain(made.hosts[0]) == "srs.mx1.a.test"
