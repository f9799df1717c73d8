"""fail2ban and this machine: what is proposed for `ignore`, and what hosts tell of their bans."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mailprov.components.fail2ban import SETTING, Fail2ban
from mailprov.model.inventory import Host, SshSettings, Tls, Transport
from mailprov.run import bans
from mailprov.run.desired_mode import DesiredMode
from mailprov.run.gate import Gate
from mailprov.run.hosts import HostSession
from mailprov.transport.endpoint import Endpoint
from tests.unit.run.scripted import inventory


def session(name: str, peer: str, ignore: tuple[str, ...] = (), **more: Any) -> HostSession:
    read = inventory(name)
    plain = Host(name, "192.0.2.1", f"{name}.alpha.test", SshSettings(), Tls(), **more)
    host = SETTING.on(plain, Fail2ban(ignore))
    mode = DesiredMode(dataclasses.replace(read, hosts=(host,)), host, {"mode": "plan"})
    mode.peer = peer
    return HostSession(host, mode, command="plan", emit=lambda event: None, gate=Gate(), start=never)


def never(host: Host, job: dict[str, Any]) -> Any:
    raise AssertionError("nobody connects")


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Which address of ours a host would see: there → here."""
    known: dict[str, str] = {}
    monkeypatch.setattr(bans, "source_address", lambda address: known.get(address, ""))
    return known


def test_hosts_that_need_the_same_line_get_one_sentence(sources: dict[str, str]) -> None:
    found = bans.propose(
        [
            session("mx1", "198.51.100.7", ("203.0.113.0/24",)),
            session("mx2", "198.51.100.7", ("203.0.113.0/24",)),
        ],
        lambda host: True,
    )
    assert len(found) == 1
    assert found[0].startswith("mx1, mx2: fail2ban would ban this machine (198.51.100.7) ")
    assert found[0].endswith("fail2ban: {ignore: [203.0.113.0/24, 198.51.100.7]}")


def test_nothing_is_proposed_for_whom_ignore_names_or_behind_a_jump_host(sources: dict[str, str]) -> None:
    spared = session("mx1", "198.51.100.7", ("198.51.100.0/24",))
    behind = session("mx2", "198.51.100.7")
    assert bans.propose([spared, behind], lambda host: host.name == "mx1") == []


@pytest.mark.parametrize("peer", ["", "127.0.0.1", "::1", "fe80::1%eth0", "fe80::1", "not an address"])
def test_what_is_no_address_of_this_machine_is_not_proposed(sources: dict[str, str], peer: str) -> None:
    assert bans.propose([session("mx1", peer)], lambda host: True) == []


# (our address to the host's other one, what is proposed)
@pytest.mark.parametrize(
    ("own", "there", "proposed"),
    [
        ("2606:4700::5", "2606:4700::11", ["198.51.100.7", '"2606:4700::5"']),
        ("fd00::1", "fd00::11", ["198.51.100.7", '"fd00::1"']),
        ("fd00::1", "2606:4700::11", ["198.51.100.7"]),  # translated on the way: to what, nobody here knows
        ("", "2606:4700::11", ["198.51.100.7"]),  # no route
    ],
)
def test_the_other_family_is_proposed_where_it_is_known(
    sources: dict[str, str], own: str, there: str, proposed: list[str]
) -> None:
    sources[there] = own
    (found,) = bans.propose([session("mx1", "198.51.100.7", ipv6=(there,))], lambda host: True)
    assert f"{{ignore: [{', '.join(proposed)}]}}" in found


def test_a_mapped_address_is_the_ipv4_address_that_it_is(sources: dict[str, str]) -> None:
    (found,) = bans.propose([session("mx1", "::ffff:198.51.100.7")], lambda host: True)
    assert "{ignore: [198.51.100.7]}" in found


HERE = Endpoint("mx1", "mx1", "192.0.2.1", 22, "root")


@pytest.mark.parametrize(
    ("endpoint", "direct"),
    [
        (HERE, True),
        (dataclasses.replace(HERE, transport=Transport.OPENSSH), True),
        (dataclasses.replace(HERE, jumps=(HERE,)), False),
        (dataclasses.replace(HERE, proxied=True), False),
        (dataclasses.replace(HERE, transport=Transport.LOCAL), False),
    ],
)
def test_which_ways_lead_straight_to_the_host(endpoint: Endpoint, direct: bool) -> None:
    assert endpoint.direct is direct
