"""A server that no inventory describes is one with `managed: false`; what cannot be meant is told by its option."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailprov.errors import InputError
from mailprov.inventory.of_server import Login, of_server, parse_login
from mailprov.model.inventory import Filter, Inventory, TlsMode


def nobody(address: str) -> str:
    raise AssertionError(f"asked for the password of {address}")


def made(
    server: str = "mail.example.org", *domains: str, logins: tuple[str, ...] = (), **more: object
) -> Inventory:
    return of_server(server, domains, [parse_login(each) for each in logins], **{"ask": nobody, **more})  # type: ignore[arg-type]


def test_it_is_a_server_of_others_and_strange_certificates_are_not_trusted() -> None:
    inventory = made("Mail.Example.ORG.", "example.org", "señal.test")

    (host,) = inventory.hosts
    assert (host.fqdn, host.address, host.managed, host.filter) == (
        "mail.example.org",
        "mail.example.org",
        False,
        Filter.NONE,
    )
    assert host.tls.mode is TlsMode.FILES
    assert [domain.name for domain in inventory.domains] == ["example.org", "xn--seal-hqa.test"]
    assert {domain.hosts for domain in inventory.domains} == {(host.name,)}
    assert not inventory.dns.publishes


def test_a_self_signed_certificate_is_taken_where_that_is_said() -> None:
    assert made("m.x.test", "x.test", self_signed=True).hosts[0].tls.mode is TlsMode.SELF_SIGNED


def test_accounts_bring_their_domain_and_passwords_come_from_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANA_PASSWORD", "right-ana")
    (tmp_path / "eva").write_text("right-eva\n")
    inventory = made(
        "m.x.test",
        logins=(
            "ana@x.test=env:ANA_PASSWORD",
            f"eva@y.test=file:{tmp_path / 'eva'}",
            "ivo@x.test=command:printf %s=%s a b",
            "zoe@x.test",
        ),
        ask=lambda address: f"typed for {address}",
    )

    accounts = [account for domain in inventory.domains for account in domain.accounts]
    assert {a.address: a.password.reveal() for a in accounts if a.password} == {
        "ana@x.test": "right-ana",
        "ivo@x.test": "a=b",
        "zoe@x.test": "typed for zoe@x.test",
        "eva@y.test": "right-eva",
    }
    assert [a.password_hash for a in accounts] == [None] * 4
    assert {a.login_name for a in accounts} == {a.address for a in accounts}
    assert "right-ana" not in repr(inventory)


def test_an_account_for_tests_is_one_that_was_named_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P", "x")
    logins = [parse_login("ana@x.test=env:P"), parse_login("probe@x.test=env:P", probe=True)]
    (domain,) = of_server("m.x.test", (), logins, ask=nobody).domains

    assert {account.address: account.probe for account in domain.accounts} == {
        "ana@x.test": False,
        "probe@x.test": True,
    }
    with pytest.raises(InputError, match="--probe-account eva"):
        parse_login("eva@x.test=hunter2", probe=True)


def test_system_users_log_in_by_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P", "x")
    inventory = made("m.x.test", logins=("ana@x.test=env:P",), by_name=True)
    assert inventory.domains[0].accounts[0].login_name == "ana"


def test_the_address_and_the_name_server_are_those_that_were_given() -> None:
    inventory = made("m.x.test", "x.test", address="192.0.2.7", name_server="192.0.2.53")
    assert inventory.hosts[0].address == "192.0.2.7"
    assert inventory.dns.at("x.test").provider.name_server.address == "192.0.2.53"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ana", "--account ana: is no address"),
        ("ana@x.test=hunter2", "does not say where the password is"),
        ("ana@x.test=env:", "does not say where the password is"),
        ("ana@x.test=vault:secret", "does not say where the password is"),
        ("=env:X", "is no address"),
    ],
)
def test_an_account_that_cannot_be_meant_is_told_without_what_may_be_the_password(
    text: str, words: str
) -> None:
    with pytest.raises(InputError) as told:
        parse_login(text)
    assert words in str(told.value)
    assert "hunter2" not in str(told.value)
    assert "secret" not in str(told.value)


def test_a_form_with_a_colon_inside_is_kept_whole() -> None:
    assert parse_login("ANA@x.test=command:pass show a:b=c") == Login(
        "ana@x.test", ("command", "pass show a:b=c")
    )


@pytest.mark.parametrize(
    ("server", "domains", "more", "words"),
    [
        ("mail", ("x.test",), {}, "--server mail"),
        ("192.0.2.1", ("x.test",), {}, "is an IP address"),
        ("m.x.test", (), {}, "needs a domain"),
        ("m.x.test", ("x",), {}, "--domain x"),
        ("m.x.test", ("x.test",), {"address": "192.0.2.7:25"}, "--address"),
        ("m.x.test", ("x.test",), {"name_server": "ns.x.test"}, "--name-server ns.x.test"),
        ("m.x.test", ("x.test",), {"ca_file": Path("/nowhere/ca.pem")}, "No such file"),
        ("m.x.test", ("x.test",), {"ca_file": Path(__file__)}, "there is no certificate in it"),
    ],
)
def test_what_cannot_be_looked_at_is_told_by_its_option(
    server: str, domains: tuple[str, ...], more: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError) as told:
        made(server, *domains, **more)
    assert words in str(told.value)


def test_a_password_that_is_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(InputError) as told:
        made("m.x.test", logins=("ana@x.test=env:NOWHERE",))
    assert str(told.value).startswith("--account: the environment variable NOWHERE is not set")
