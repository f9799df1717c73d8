"""A key that a record names stays: without the zones (`--only hosts`), by hand, and in a rollback."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Ended, Event
from mailprov.model.inventory import Inventory, Tls
from mailprov.probe.clients.resolver import Answer, NoAnswer, Resolver
from mailprov.run import deploy
from mailprov.run.rollback import rollback
from mailprov.run.select import select
from tests.unit.run.scripted import FACTS, FILE, ScriptedAgent, hello, inventory, past, plan

OLD, NEW = "0a" * 32, "0b" * 32
PATH = "/etc/mailprov/tls/mx1.alpha.test.self-signed.crt"
NAME = "_25._tcp.mx1.alpha.test"
RUN = "20240101T200000Z-0a1b2c"
BY_HAND, PUBLISHED = DnsSettings(), DnsSettings(Rfc2136Settings("127.0.0.1"))


class World:
    """What stands in DNS, and what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stands: list[str] | None = [OLD]
        self.signed = True
        self.asked: list[str] = []
        monkeypatch.setattr(Resolver, "ask", self._ask)
        monkeypatch.setattr(Resolver, "zone_of", lambda resolver, name: "alpha.test")
        monkeypatch.setattr(Resolver, "signed", lambda resolver, zone: self.signed)

    def _ask(self, name: str, kind: str) -> Answer:
        assert (name, kind) == (NAME, "TLSA")
        self.asked.append(name)
        if self.stands is None:
            raise NoAnswer("silence")
        return Answer(name, kind, tuple(f"3 1 1 {one}" for one in self.stands), "ns")

    def run(self, agent: ScriptedAgent, read: Inventory, verb: Any, **how: Any) -> tuple[int, str, list[str]]:
        """Exit code, why it failed, what the host was told."""
        events: list[Event] = []
        options = deploy.Options(command=verb.__name__, verify=False, **how)
        chosen = select(read)._replace(in_dns=False)
        code = verb(read, chosen, options, start=lambda host, job: agent, report=events.append)
        failed = [one.error for one in events if isinstance(one, Ended) and one.error]
        return code, "\n".join(failed), [message["t"] for message in agent.sent]

    def apply(
        self,
        now: dict[str, str],
        then: dict[str, str],
        dns: DnsSettings = PUBLISHED,
        tls: Tls = Tls(),
        **how: Any,
    ) -> tuple[int, str, list[str]]:
        """`--only hosts`. What the host serves now, and what its plan says that it serves then."""
        base = inventory("mx1")
        hosts = tuple(dataclasses.replace(host, tls=tls) for host in base.hosts)
        facts = {"t": "facts", "facts": {**FACTS, "tls": {"served": now, "next": {}}}}
        agent = ScriptedAgent([hello(), facts, {**plan(FILE), "tls": then}])
        return self.run(agent, dataclasses.replace(base, dns=dns, hosts=hosts), deploy.apply, **how)

    def back(self, now: str, then: str, dns: DnsSettings = PUBLISHED) -> tuple[int, str, list[str]]:
        runs = {"t": "runs", "runs": [past(RUN)], "tls": {"served": {PATH: now}, "next": {}}}
        agent = ScriptedAgent(
            [hello(), runs, {**plan(FILE), "waits": True, "tls": {PATH: then} if then else {}}]
        )
        return self.run(agent, dataclasses.replace(inventory("mx1"), dns=dns), rollback)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize("dns", [PUBLISHED, BY_HAND], ids=["only hosts", "by hand"])
def test_a_published_key_is_not_changed_where_the_zone_is_not_planned(world: World, dns: DnsSettings) -> None:
    for then in ({PATH: NEW}, {}):  # another one, one that is still to be made
        code, why, told = world.apply({PATH: OLD}, then, dns)
        assert (code, told) == (1, ["desired"])
        assert f"the key of its certificate would change, and {NAME} has the old one" in why
        assert "mailprov tls rotate" in why
    assert world.apply({PATH: OLD}, {PATH: OLD}, dns)[0] == 0
    assert len(world.asked) == 2, "who keeps the key asks nobody"


def test_what_nobody_goes_by_stops_nothing(world: World) -> None:
    def goes(*what: Any, **how: Any) -> bool:
        code, why, told = world.apply(*what, **how)
        return (code, why, told) == (0, "", ["desired", "go"])

    changes = ({PATH: OLD}, {PATH: NEW})
    assert goes({}, {}), "a new host"
    assert goes(*changes, switching=True), "tls rotate, which has published it"
    assert goes(*changes, tls=Tls(tlsa=False))
    world.stands = [OLD, NEW]
    assert goes(*changes), "the new key is known as well"
    world.stands = []
    assert goes(*changes)
    world.stands = ["0c" * 32]
    assert goes(*changes), "another key than the one that is served"
    world.stands, world.signed = [OLD], False
    assert goes(*changes)


def test_without_an_answer_a_key_that_may_be_published_stays(world: World) -> None:
    world.stands = None
    code, why, told = world.apply({PATH: OLD}, {PATH: NEW})
    assert (code, told) == (1, ["desired"])
    assert "could not be asked: silence" in why
    assert world.apply({PATH: OLD}, {PATH: NEW}, BY_HAND)[0] == 0


def test_a_rollback_brings_no_key_back_whose_record_has_gone(world: World) -> None:
    world.stands = [NEW]
    code, why, told = world.back(NEW, OLD)
    assert (code, told) == (1, ["target"])
    assert f"would be the one before again, and {NAME} does not have that any more" in why
    assert "tls: {tlsa: off}" in why
    world.stands = [OLD, NEW]  # killed before the old record went
    assert world.back(NEW, OLD) == (0, "", ["target", "go"])
    world.stands = [NEW]
    assert world.back(NEW, "") == (0, "", ["target", "go"]), "back to a host without a mail service"
    assert world.back(NEW, NEW) == (0, "", ["target", "go"])
    world.stands = None
    assert "could not be asked" in world.back(NEW, OLD)[1]
    assert world.back(NEW, OLD, BY_HAND) == (0, "", ["target", "go"]), "perhaps they are nowhere yet"
