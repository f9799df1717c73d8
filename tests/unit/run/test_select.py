"""Which hosts and zones a command is about."""

from __future__ import annotations

import dataclasses

import pytest

from mailprov.errors import InputError
from mailprov.model.accounts import Account
from mailprov.model.dns import DnsSettings, ProviderSettings
from mailprov.model.inventory import Domain, Host, Inventory, SshSettings, Tls
from mailprov.model.secret import Secret
from mailprov.run.select import seeming, select


def host(name: str, fqdn: str) -> Host:
    return Host(name, "192.0.2.1", fqdn, SshSettings(), Tls())


def domain(name: str, hosts: list[str], aliases: tuple[str, ...] = ()) -> Domain:
    return Domain(name, tuple(hosts), (Account(f"ana@{name}", Secret("env:X", "x")),), domain_aliases=aliases)


INVENTORY = Inventory(
    "mail.yml",
    (host("mx1", "mx1.alpha.test"), host("mx2", "mx2.beta.test"), host("mx3", "mx3.beta.test")),
    (domain("alpha.test", ["mx1"], ("alfa.test",)), domain("beta.test", ["mx2", "mx3"])),
)


def test_everything_when_nothing_is_said() -> None:
    chosen = select(INVENTORY)

    assert [h.name for h in chosen.hosts] == ["mx1", "mx2", "mx3"]
    assert chosen.domains == ("alpha.test", "alfa.test", "beta.test")
    assert (chosen.whole, chosen.on_hosts, chosen.in_dns) == (True, True, True)
    assert chosen.covers_zone("anything.example")


def test_a_host_brings_its_domains_and_zones() -> None:
    chosen = select(INVENTORY, hosts=["mx1"])

    assert [h.name for h in chosen.hosts] == ["mx1"]
    assert chosen.domains == ("alpha.test", "alfa.test")
    assert chosen.covers_zone("alfa.test")
    assert not chosen.covers_zone("beta.test")


def test_a_domain_brings_all_its_hosts_and_may_be_named_by_its_alias() -> None:
    assert [h.name for h in select(INVENTORY, domains=["beta.test"]).hosts] == ["mx2", "mx3"]
    assert [h.name for h in select(INVENTORY, domains=["alfa.test"]).hosts] == ["mx1"]


def test_the_nearest_name_says_whom_a_name_in_dns_belongs_to() -> None:
    inner = Inventory("mail.yml", INVENTORY.hosts, (*INVENTORY.domains, domain("lists.alpha.test", ["mx2"])))
    chosen = select(inner, hosts=["mx1"])

    for name in ("alpha.test", "test", "mx1.alpha.test", "_dmarc.alpha.test", "_dmarc.alfa.test"):
        assert chosen.covers_zone(name), name
    for name in ("lists.alpha.test", "_dmarc.lists.alpha.test", "mx2.beta.test", "gamma.test"):
        assert not chosen.covers_zone(name), name


def test_only_hosts_leaves_dns_alone() -> None:
    chosen = select(INVENTORY, only=["hosts"])

    assert chosen.on_hosts
    assert not chosen.in_dns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hosts": ["mx11"]}, '--host: "mx11" is not in the inventory. Did you mean "mx1"?'),
        (
            {"domains": ["beta.tst"]},
            '--domain: "beta.tst" is not in the inventory. Did you mean "beta.test"?',
        ),
        ({"only": ["zzz"]}, '--only: "zzz" is not in the inventory. There are: hosts, dns.'),
    ],
)
def test_a_name_that_is_not_there(arguments: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InputError) as caught:
        select(INVENTORY, **arguments)

    assert str(caught.value) == message


def test_a_host_that_others_built_is_looked_at_and_nothing_else() -> None:
    theirs = dataclasses.replace(INVENTORY.hosts[0], managed=False)
    inventory = dataclasses.replace(INVENTORY, hosts=(theirs, *INVENTORY.hosts[1:]))

    chosen = select(inventory)
    assert [h.name for h in chosen.hosts] == ["mx2", "mx3"]
    assert [h.name for h in chosen.looked_at] == ["mx1", "mx2", "mx3"]

    # Its records are the inventory's all the same.
    mixed = select(inventory, hosts=["mx1", "mx2"])
    assert [h.name for h in mixed.hosts] == ["mx2"]
    assert mixed.covers_zone("alpha.test")

    with pytest.raises(InputError) as caught:
        select(inventory, hosts=["mx1"])
    assert "mx1 has `managed: false`" in str(caught.value)
    assert [h.name for h in select(inventory, hosts=["mx1"], verifies=True).looked_at] == ["mx1"]


def test_where_others_built_every_host_that_is_said() -> None:
    """It was `0 hosts`, with exit code 0."""
    theirs = tuple(dataclasses.replace(host, managed=False) for host in INVENTORY.hosts)
    inventory = dataclasses.replace(INVENTORY, hosts=theirs)

    for words in ({}, {"only": ["hosts"]}, {"asks": True}):
        with pytest.raises(InputError) as caught:
            select(inventory, **words)  # type: ignore[arg-type]
        assert caught.value.exit_code == 2
        assert "every host has `managed: false`: others built them" in str(caught.value)
    assert len(select(inventory, verifies=True).looked_at) == 3
    assert select(inventory, only=["dns"]).covers_zone("alpha.test")
    # Where records are published, that is what there is to do.
    published = dataclasses.replace(inventory, dns=DnsSettings(Published()))
    assert select(published).in_dns
    with pytest.raises(InputError, match="managed: false"):
        select(published, asks=True)


class Published(ProviderSettings):
    publishes = True


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (
            {"hosts": ["mx1"], "domains": ["beta.test"]},
            "--domain beta.test: together with --host mx1 this selects nothing, because it is on mx2, mx3. Leave "
            "one of the two out.",
        ),
        (
            {"hosts": ["mx1", "mx2"], "domains": ["beta.test"]},
            "--host mx1: together with --domain beta.test this selects nothing, because no such domain is on mx1. "
            "Leave one of the two out.",
        ),
    ],
)
def test_a_host_and_a_domain_that_exclude_each_other_are_an_error(
    names: dict[str, list[str]], error: str
) -> None:
    """A plan said `Done: 0 to add`, and verify probed everything."""
    with pytest.raises(InputError) as caught:
        select(INVENTORY, **names)
    assert (str(caught.value), caught.value.exit_code) == (error, 2)


@pytest.mark.parametrize("hosts", [None, ["mx1"], ["mx1", "mx3"]])
@pytest.mark.parametrize("only", [None, ["hosts"], ["dns"], ["dns", "hosts"]])
def test_the_hosts_told_before_the_check_are_those_that_are_selected(
    hosts: list[str] | None, only: list[str] | None
) -> None:
    some = dataclasses.replace(INVENTORY.hosts[1], managed=False)
    inventory = dataclasses.replace(INVENTORY, hosts=(INVENTORY.hosts[0], some, INVENTORY.hosts[2]))
    chosen = select(inventory, hosts, None, only)

    assert seeming(inventory.hosts, hosts, None, only) == (chosen.hosts if chosen.on_hosts else ())


def test_with_domains_none_are_told_before_the_check() -> None:
    assert seeming(INVENTORY.hosts, None, ["alpha.test"]) == ()
