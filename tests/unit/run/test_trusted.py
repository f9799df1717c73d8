"""By which address a host sees us, and what of its networks has that: asked over SSH, else what is seen from here."""

from __future__ import annotations

from typing import Any

import pytest

from mailprov.errors import HostUnreachable
from mailprov.model.inventory import Host, SshSettings, Tls
from mailprov.probe.vantage import Told
from mailprov.run import trusted
from tests.unit.run.scripted import ScriptedAgent, end, hello

HOST = Host("mx1", "192.0.2.1", "mx1.a.test", SshSettings(), Tls())
OURS = "192.0.2.9"


def asked(
    peer: str = OURS,
    at: str = "192.0.2.1",
    *,
    addresses: tuple[str, ...] = ("192.0.2.1", "2001:db8::1"),
    sources: dict[str, str] | None = None,
    direct: bool = True,
    has: tuple[str, ...] = (OURS,),
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Told, list[dict[str, Any]]]:
    here = sources if sources is not None else {"192.0.2.1": OURS, "2001:db8::1": "2001:db8::9"}
    monkeypatch.setattr(trusted, "source_address", lambda address: here.get(address, ""))
    jobs: list[dict[str, Any]] = []

    def start(host: Host, job: dict[str, Any]) -> ScriptedAgent:
        jobs.append(job)
        inside = [
            {"port": 25, "setting": "mynetworks", "address": each, "network": "192.0.2.0/24"} for each in has
        ]
        message = {"t": "trusts", "peer": peer, "at": at, "inside": inside, "answers": ["192.0.2.1"]}
        return ScriptedAgent([hello(), message, end()])

    told = trusted.ask(
        HOST,
        addresses,
        command="verify",
        start=start,
        direct=lambda host: direct,
        source=trusted.source_address,
    )
    return told, jobs


def test_each_family_has_an_address_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    told, jobs = asked(monkeypatch=monkeypatch)
    assert jobs[0]["addresses"] == [OURS, "2001:db8::9"]
    assert told.own == {"192.0.2.1": OURS, "2001:db8::1": "2001:db8::9"}
    assert [(each.address, each.port, each.network) for each in told.trusted] == [
        ("192.0.2.1", 25, "192.0.2.0/24")
    ]
    assert told.answers == {"192.0.2.1"}


def test_the_host_knows_better_who_comes_when_the_network_translates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, __ = asked(peer="192.0.2.77", has=("192.0.2.77",), monkeypatch=monkeypatch)
    assert told.own["192.0.2.1"] == "192.0.2.77"
    assert len(told.trusted) == 1


def test_a_jump_host_s_address_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    told, __ = asked(peer="192.0.2.77", has=("192.0.2.77",), direct=False, monkeypatch=monkeypatch)
    assert (told.own["192.0.2.1"], told.trusted) == (OURS, ())


def test_a_private_address_is_not_what_a_public_server_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    public = "8.8.8.8"
    told, __ = asked(
        addresses=(public,),
        sources={public: "10.0.0.5"},
        peer="10.0.0.5",
        direct=False,
        has=("10.0.0.5",),
        monkeypatch=monkeypatch,
    )
    assert (told.own, told.trusted) == ({public: ""}, ())


def test_a_host_that_cannot_be_asked_says_why() -> None:
    def start(host: Host, job: dict[str, Any]) -> ScriptedAgent:
        raise HostUnreachable("mx1", "no route to host", "")

    def source(address: str) -> str:
        return "198.51.100.4"

    told = trusted.ask(HOST, ("192.0.2.1",), command="verify", start=start, source=source)
    assert (told.why, told.near, told.trusted) == ("no route to host", "", ())


@pytest.mark.parametrize(
    ("address", "source", "near"),
    [
        ("192.0.2.1", "192.0.2.200", "192.0.2.0/24"),
        ("192.0.2.1", "192.0.3.1", ""),
        ("2001:db8::1", "2001:db8::9", "2001:db8::/64"),
        ("8.8.8.8", "10.0.0.5", ""),
    ],
)
def test_of_a_server_of_others_its_network_is_what_can_be_seen(address: str, source: str, near: str) -> None:
    told = trusted.seen_from_here([address], {address: source}, "mailprov did not build it")
    assert (told.near, told.trusted) == (near, ())


def test_the_server_itself_is_no_stranger() -> None:
    told = trusted.seen_from_here(["192.0.2.1"], {"192.0.2.1": "192.0.2.1"}, "")
    assert {(each.port, each.setting) for each in told.trusted} == {
        *((port, "mynetworks") for port in (25, 465, 587)),
        *((port, "login_trusted_networks") for port in (110, 143, 4190)),
    }
