"""`dns:` for providers with an API: what is refused, and that a token is seen nowhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mailprov.dns import providers
from mailprov.dns.api.provider import TokenProvider
from mailprov.dns.api.settings import TokenSettings
from mailprov.dns.providers.ovh import Ovh
from mailprov.dns.providers.ovh.settings import OvhSettings
from mailprov.errors import InputError, InventoryError
from mailprov.inventory import SecretMode, load
from mailprov.model.dns import DnsSettings

FILE = """\
hosts: {{mx1: {{address: 192.0.2.1, fqdn: mx1.a.test}}}}
domains: {{a.test: {{hosts: [mx1]}}}}
{more}
dns:
  {lines}
"""
TOKEN = "a-token-that-must-not-be-seen"
WITH_TOKEN = [each for each in providers.every() if isinstance(each, TokenProvider)]


def read(folder: Path, *lines: str, more: str = "") -> DnsSettings:
    path = folder / "mail.yml"
    path.write_text(FILE.format(lines="\n  ".join(lines), more=more))
    return load(path).dns


def refused(folder: Path, *lines: str, more: str = "") -> str:
    with pytest.raises(InputError) as caught:
        read(folder, *lines, more=more)
    assert TOKEN not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNS_TOKEN", TOKEN)


def example(provider: TokenProvider) -> list[str]:
    return list(provider.example)


@pytest.mark.parametrize("provider", WITH_TOKEN, ids=lambda each: each.name)
def test_the_example_of_each_is_read_and_shows_no_token(provider: TokenProvider, tmp_path: Path) -> None:
    settings = read(tmp_path, *example(provider)).provider
    assert isinstance(settings, TokenSettings)
    assert settings.name == provider.name
    assert settings.credential() == TOKEN
    assert settings.without_credential().credential() == ""
    assert settings.dns_01 is None
    with provider.open(settings) as driver:
        for shown in (settings, driver, vars(driver), driver.where):
            assert TOKEN not in repr(shown)


@pytest.mark.parametrize("provider", WITH_TOKEN, ids=lambda each: each.name)
def test_each_needs_a_token_and_cannot_answer_dns_01(provider: TokenProvider, tmp_path: Path) -> None:
    without = [line for line in example(provider) if "token" not in line]
    assert f"provider {provider.name} needs `token`" in refused(tmp_path, *without)
    acme = "tls: {mode: acme, email: a@a.test, challenge: dns-01}"
    assert "dns-01" in refused(tmp_path, *example(provider), more=acme)


def test_a_token_that_cannot_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNS_TOKEN", f"{TOKEN} and more")
    assert "gives a text that cannot be a token" in refused(tmp_path, *example(WITH_TOKEN[0]))


def test_a_key_of_another_provider_names_those_it_is_for(tmp_path: Path) -> None:
    text = refused(tmp_path, "provider: rfc2136", "server: 192.0.2.2", "token: {env: DNS_TOKEN}")
    assert "`token` is for " in text
    assert "`provider: powerdns`" in text


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ns1.example.org", "is not the address of an API"),
        ("ftp://ns1.example.org", "is not the address of an API"),
        ("https://user:secret@ns1.example.org", "is not the address of an API"),
        ("https://[::1", "is not the address of an API"),
        ("https://ns1.example.org:x", "is not the address of an API"),
        ("https://ns1.example.org/api/v1", "has a path"),
        ("http://ns1.example.org:8081", "would send the token unencrypted"),
        ("http://192.0.2.1:8081", "would send the token unencrypted"),
    ],
)
def test_an_address_that_is_none_or_not_safe(url: str, says: str, tmp_path: Path) -> None:
    assert says in refused(tmp_path, "provider: powerdns", f'url: "{url}"', "token: {env: DNS_TOKEN}")


@pytest.mark.parametrize(
    "url", ["https://ns1.example.org", "http://127.0.0.1:8081/", "http://[::1]:8081", "http://localhost"]
)
def test_an_address_that_is_one(url: str, tmp_path: Path) -> None:
    settings = read(tmp_path, "provider: powerdns", f'url: "{url}"', "token: {env: DNS_TOKEN}").provider
    assert isinstance(settings, TokenSettings)
    assert settings.url == url.rstrip("/")
    assert "needs `url`" in refused(tmp_path, "provider: powerdns", "token: {env: DNS_TOKEN}")


OVH = [
    "provider: ovh",
    "application_key: k",
    "application_secret: {env: DNS_TOKEN}",
    "consumer_key: {env: DNS_TOKEN}",
]


def test_what_ovh_needs(tmp_path: Path) -> None:
    settings = read(tmp_path, *OVH, "endpoint: ca").provider
    assert isinstance(settings, OvhSettings)
    assert settings.url == "https://ca.api.ovh.com/1.0"
    assert settings.credential() == TOKEN
    assert settings.without_credential().credential() == ""
    with Ovh().open(settings) as driver:
        assert TOKEN not in repr((settings, driver, vars(driver)))
    for key in ("application_key", "application_secret", "consumer_key"):
        without = [line for line in OVH if not line.startswith(key)]
        assert f"provider ovh needs `{key}`" in refused(tmp_path, *without)
    assert "endpoint" in refused(tmp_path, *OVH, "endpoint: mars")
    assert "cannot be a token" in refused(tmp_path, *OVH[:1], 'application_key: "a b"', *OVH[2:])


def test_the_examples_in_a_providers_module_are_read(tmp_path: Path) -> None:
    lines = [
        line.replace("OVH_SECRET", "DNS_TOKEN").replace("OVH_CONSUMER", "DNS_TOKEN") for line in Ovh.example
    ]
    assert read(tmp_path, *lines).provider.name == "ovh"


@pytest.mark.parametrize("name", ["", *providers.NAMES])
def test_an_inventory_loads_its_own_provider_and_no_other(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    lines = list(providers.named(name).example or ["provider: zonefile"]) if name else []
    path.write_text(FILE.format(lines="\n  ".join(lines), more="").replace("dns:\n  \n", ""))
    code = (
        "import sys; from mailprov.inventory import SecretMode, load; load(sys.argv[1], SecretMode.IGNORE)\n"
        "print({name.split('.')[3] for name in sys.modules if name.startswith('mailprov.dns.providers.')})"
    )
    words = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == (f"{{{name!r}}}\n" if name else "set()\n")


def test_an_inventory_is_read_without_any_library_of_a_provider(tmp_path: Path) -> None:
    """Whoever has another provider pays nothing for it at the start."""
    code = (
        "import sys, mailprov.inventory.dns; print({'urllib3', 'ssl', 'boto3', 'hcloud'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("dns", "where"),
    [
        ("{ttl: 300}", "1:1: dns"),
        ("{zones: {example.org: {ttl: 300}}}", "1:15: dns.zones.example.org"),
    ],
)
def test_a_provider_or_zones_must_be_named(tmp_path: Path, dns: str, where: str) -> None:
    path = tmp_path / "mail.yml"
    hosts = "hosts: {mx1: {address: 192.0.2.1, fqdn: mx1.example.org}}\n"
    domains = "domains: {example.org: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}}\n"
    path.write_text(f"dns: {dns}\n{hosts}{domains}")
    with pytest.raises(InventoryError) as told:
        load(path, SecretMode.IGNORE)
    (problem,) = told.value.problems
    assert str(problem).startswith(f'{path}:{where}: the key "provider" is missing (rfc2136: updates')
