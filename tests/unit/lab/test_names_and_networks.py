"""Names, subnets, rules and zones of a lab: what can be said without making one."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from mailprov.errors import InputError, LabError
from mailprov.lab import nameserver, network
from mailprov.lab.paths import paths
from mailprov.lab.releases import DNS_ROOT, RELEASES, release
from mailprov.lab.state import LabHost, LabState, load, save
from mailprov.model.inventory import Domain, Host, Inventory, SshSettings, Tls

HOST = LabHost(
    "mx1", 11, "debian-12", "mx1.alpha.test", "10.78.3.11", "fd12:3456:789a:1::b", "0" * 32, "/roots/a"
)
DNS = LabHost("ns1", 2, "dns", "ns1.alpha.test", "10.78.3.2", "fd12:3456:789a:1::2", "1" * 32, "/roots/dns")
STATE = LabState(
    "demo",
    "up",
    "2026-01-02T03:04:05+00:00",
    "10.78.3.0/24",
    "fd12:3456:789a:1::/64",
    "ns1",
    ("alpha.test",),
    DNS,
    (HOST,),
)


def an_inventory(fqdns: list[str], domains: dict[str, tuple[str, ...]]) -> Inventory:
    hosts = tuple(Host(f"h{i}", "192.0.2.1", fqdn, SshSettings(), Tls()) for i, fqdn in enumerate(fqdns))
    return Inventory(
        "i.yml", hosts, tuple(Domain(name, ("h0",), domain_aliases=a) for name, a in domains.items())
    )


def test_names_fit_the_kernel_and_differ_between_labs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAILPROV_LAB_STATE", str(tmp_path))
    one, other = paths("x" * 63), paths("y")
    assert max(len(one.bridge), len(one.link(254))) <= 15
    assert one.link(2).startswith(one.link_prefix)
    assert {one.bridge, one.table, one.cgroup, one.link(2)}.isdisjoint(
        {other.bridge, other.table, other.cgroup, other.link(2)}
    )
    monkeypatch.setenv("MAILPROV_LAB_STATE", str(tmp_path / "elsewhere"))
    assert paths("y").bridge != other.bridge


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-x", "a b", "x" * 64])
def test_a_name_that_could_leave_the_directory_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="letters, digits"):
        paths(name)


def test_a_directory_that_mount_cannot_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILPROV_LAB_STATE", "/var/lib/a:b")
    with pytest.raises(InputError, match="colon, comma, quote or backslash"):
        paths("demo")


def test_the_first_free_subnet_is_chosen() -> None:
    used = [IPv4Network(n) for n in ("10.78.0.0/24", "10.78.1.7/32", "10.78.2.0/23", "10.0.0.0/8")]
    assert network.choose_subnet([]) == IPv4Network("10.78.0.0/24")
    assert network.choose_subnet(used) == IPv4Network("10.78.4.0/24")
    assert network.choose_subnet([IPv4Network("10.78.0.0/16")]) == IPv4Network("10.79.0.0/24")
    with pytest.raises(LabError, match="no free subnet"):
        network.choose_subnet([IPv4Network("10.64.0.0/12"), IPv4Network("10.80.0.0/12")])


def test_the_ipv6_prefix_is_unique_local() -> None:
    assert network.ula("mpl1").network_address.is_private
    assert network.ula("mpl1") != network.ula("mpl2")
    assert str(network.ula("mpl1")).startswith("fd")


def test_zones_are_domains_aliases_and_parents_of_stray_hosts() -> None:
    made = nameserver.zones_of(
        an_inventory(["mx.alpha.test", "mail.deep.gamma.test", "solo.test"], {"alpha.test": ("alfa.test",)})
    )
    assert made == ("alfa.test", "alpha.test", "deep.gamma.test", "solo.test")


def test_the_dns_host_gets_out_of_the_way_of_a_host_called_ns1() -> None:
    made = an_inventory(["ns1.alpha.test"], {"alpha.test": ()})
    assert nameserver.nameserver_label(made, ("alpha.test",)) == "lab-ns1"


def test_reverse_zones() -> None:
    assert nameserver.reverse_zones(STATE) == (
        "3.78.10.in-addr.arpa",
        "1.0.0.0.a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa",
    )


def test_a_pristine_zone_holds_nothing_that_apply_should_publish() -> None:
    text = nameserver.zone_file("alpha.test", STATE)
    assert "ns1 A 10.78.3.2" in text
    assert "10.78.3.11" not in text
    assert "mx1 A 10.78.3.11" in nameserver.zone_file(nameserver.HOSTS_ZONE, STATE)


def test_releases_name_each_other() -> None:
    assert release("debian-13").suite == "trixie"
    with pytest.raises(InputError, match=r"'debian-9' is not known. Use one of debian-11"):
        release("debian-9")
    assert len({each.stamp for each in (*RELEASES.values(), DNS_ROOT)}) == len(RELEASES) + 1


def test_every_release_an_inventory_may_name_can_be_booted() -> None:
    from mailprov.inventory.schema_hosts import RELEASES as NAMES

    assert set(NAMES) == set(RELEASES)


def test_state_survives_and_damage_is_no_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAILPROV_LAB_STATE", str(tmp_path))
    where = paths("demo")
    assert load(where) is None
    where.directory.mkdir()
    save(where, STATE)
    assert load(where) == STATE
    for damage in ("", "{", "[]", '{"version": 99}', '{"version": 1, "hosts": 3}'):
        (where.directory / "state.json").write_text(damage)
        assert load(where) is None
