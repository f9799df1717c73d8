"""An inventory that is right in form, with a surprise in it."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address
from pathlib import Path

from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.inventory import SecretMode, load
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Inventory
from mailprov.plan.advisories import advisories

HOSTS = """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test}
  mx2: {address: 192.0.2.2, fqdn: mx2.alpha.test}
  mx3: {address: 192.0.2.3, fqdn: mx3.alpha.test}
domains:
"""


def read(tmp_path: Path, domains: str) -> Inventory:
    (tmp_path / "mail.yml").write_text(HOSTS + domains)
    return load(tmp_path / "mail.yml", SecretMode.IGNORE)


def test_mailboxes_on_two_hosts_are_two_mailboxes(tmp_path: Path) -> None:
    told = read(tmp_path, "  alpha.test: {hosts: [mx1, mx2, mx3], accounts: {ana: {password: {env: A}}}}\n")

    assert advisories(told) == [
        "alpha.test: its accounts are on mx1, mx2 and mx3, and each host keeps mailboxes of its own: mail that arrives "
        "on mx2 and mx3 while mx1 does not answer is not visible to users who read on mx1; give the domain one host "
        "where that is not wanted"
    ]
    assert advisories(told, domains=["beta.test"]) == []


def test_a_domain_that_only_sends_on_may_have_many_hosts(tmp_path: Path) -> None:
    assert (
        advisories(read(tmp_path, "  alpha.test: {hosts: [mx1, mx2, mx3], aliases: {a: b@example.org}}\n"))
        == []
    )


def test_a_host_without_a_domain(tmp_path: Path) -> None:
    told = advisories(read(tmp_path, "  alpha.test: {hosts: [mx1, mx2], aliases: {a: b@example.org}}\n"))

    assert [sentence.partition(":")[0] for sentence in told] == ["mx3"]


def test_a_host_whose_name_is_a_mail_domain_where_records_are_published_by_hand(tmp_path: Path) -> None:
    told = read(tmp_path, "  mx1.alpha.test: {hosts: [mx1, mx2, mx3], aliases: {a: b@example.org}}\n")

    assert advisories(told) == [
        "mx1: its name mx1.alpha.test is a mail domain as well, so mail that it sends on, and its bounces, leave under "
        "srs.mx1.alpha.test; publish the MX and SPF of srs.mx1.alpha.test first (`mailprov dns export` has them), or "
        "other hosts may refuse such mail"
    ]
    published = dataclasses.replace(told, dns=DnsSettings(Rfc2136Settings("192.0.2.53")))
    assert advisories(published) == []


def test_servers_of_others_are_told_in_one_sentence(tmp_path: Path) -> None:
    text = (
        "managed: false\n"
        "hosts:\n"
        "  s1: {address: 10.0.0.1, fqdn: s1.alpha.test}\n"
        "  s2: {address: 10.0.0.2, fqdn: s2.alpha.test}\n"
        "domains:\n"
        "  alpha.test: {hosts: [s1]}\n"
    )
    path = tmp_path / "mail.yml"
    path.write_text(text)
    assert advisories(load(path)) == [
        "s1 and s2: built by others (`managed: false`), so nothing is changed or asked there"
    ]


def test_a_zone_in_which_the_inventory_has_no_name(tmp_path: Path) -> None:
    """Of a host's name, its address and what is below a domain it has."""
    told = read(tmp_path, "  alpha.test: {hosts: [mx1, mx2, mx3], aliases: {a: b@example.org}}\n")
    address = ip_address((*told.hosts[0].ipv4, *told.hosts[0].ipv6)[0]).reverse_pointer
    used = ["alpha.test", "_dmarc.alpha.test", address.partition(".")[2]]
    zones = tuple((name, DnsSettings()) for name in (*used, "gone.test", "sub.alpha.test"))

    assert advisories(dataclasses.replace(told, dns=DnsSettings(zones=zones))) == [
        f"{name} is in `dns.zones`, and no name of the inventory is in that zone; take it out once what mailprov "
        "published there is gone (`mailprov dns plan` says so)"
        for name in ("gone.test", "sub.alpha.test")
    ]
