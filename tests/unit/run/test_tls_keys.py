"""What hosts tell of their certificates' keys: what is published of it when, and what is believed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mailprov import dns as zones
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.dns.zoneplan import ZonePlan
from mailprov.errors import NotBelieved
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Action, Applied, Change
from mailprov.model.inventory import Host, Tls, TlsMode
from mailprov.model.tls_keys import HostKeys
from mailprov.run import deploy, tls_keys
from mailprov.run.select import select
from tests.unit.run.scripted import FACTS, FILE, ScriptedAgent, end, hello, inventory, plan

OLD, NEW = "0a" * 32, "0b" * 32
MX1 = "/etc/mailprov/tls/mx1.alpha.test"
SELF = f"{MX1}.self-signed.crt"
ISSUED = f"{MX1}.acme.pem"
HOST = inventory("mx1").hosts[0]


def told(*messages: dict[str, Any]) -> tls_keys.Told:
    made = tls_keys.Told()
    for one in messages:
        made.hear(HOST, one)
    return made


def facts(served: dict[str, str], following: dict[str, str] | None = None) -> dict[str, Any]:
    return {"t": "facts", "facts": {**FACTS, "tls": {"served": served, "next": following or {}}}}


def with_mode(mode: TlsMode) -> Host:
    return dataclasses.replace(HOST, tls=Tls(mode=mode))


def test_what_is_served_and_what_will_be_is_published() -> None:
    assert tls_keys.of(HOST, told()) is None
    both = told(facts({SELF: OLD}, {SELF: NEW}), {**plan(), "tls": {SELF: OLD}})
    assert tls_keys.of(HOST, both) == HostKeys((OLD, NEW), False, (OLD,))
    other = told(facts({"/etc/mailprov/tls/mail.alpha.test.self-signed.crt": NEW}), {**plan(), "tls": {}})
    assert tls_keys.of(HOST, other) == HostKeys((), True, ())


def test_a_plan_that_changes_the_key_says_so() -> None:
    """Another key, one that is still to be made, one that comes from elsewhere than until now."""
    assert tls_keys.of(HOST, told(facts({SELF: OLD}), {**plan(), "tls": {SELF: NEW}})) == HostKeys(
        (OLD,), True, (OLD,), (NEW,)
    )
    assert tls_keys.of(HOST, told(facts({SELF: OLD}), {**plan(), "tls": {}})) == HostKeys(
        (OLD,), True, (OLD,)
    )
    acme = with_mode(TlsMode.ACME)
    moved = told(facts({SELF: OLD}), {**plan(), "tls": {}})
    assert tls_keys.of(acme, moved) == HostKeys((), True, (OLD,))
    done = told(facts({SELF: OLD}), plan(), {"t": "served", "tls": {"served": {ISSUED: NEW}, "next": {}}})
    assert tls_keys.of(acme, done) == HostKeys((NEW,), False, (NEW,))


def test_what_is_no_digest_is_not_believed() -> None:
    for message in (
        facts({SELF: "no digest"}),
        facts({}, {SELF: OLD[:-1]}),
        {**plan(), "tls": {SELF: OLD.upper()}},
        {"t": "served", "tls": {"served": {SELF: "3 1 1"}, "next": {}}},
        {"t": "keys", "dkim": {}, "tls": {"served": {}, "next": {SELF: ""}}},
    ):
        with pytest.raises(NotBelieved, match="which is no SHA-256"):
            told(message)


def test_records_of_a_key_follow_when_it_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zone is planned before its hosts change, and once more when they have told what they serve then."""
    planned: list[Any] = []

    def plan_zones(*args: Any, tls: Any, **more: Any) -> list[ZonePlan]:
        planned.append(tls)
        new = () if len(planned) == 1 else (Change("zone alpha.test", "record", Action.CREATE, "new TLSA"),)
        return [ZonePlan("alpha.test", new)]

    monkeypatch.setattr(zones, "plan", plan_zones)
    monkeypatch.setattr(
        zones, "apply", lambda plan, emit: [emit(Applied(change, 0.1)) for change in plan.changes]
    )
    monkeypatch.setattr(zones, "before_image", lambda plan: None)
    read = dataclasses.replace(inventory("mx1"), dns=DnsSettings(Rfc2136Settings("127.0.0.1")))

    def run(*on_go: dict[str, Any]) -> tuple[int, list[str]]:
        planned.clear()
        agent = ScriptedAgent([hello(), facts({}), {**plan(FILE), "tls": {}}], [*on_go, end(changed=1)])
        events: list[Any] = []
        options = deploy.Options(command="apply", verify=False)
        code = deploy.apply(read, select(read), options, start=lambda host, job: agent, report=events.append)
        return code, [event.change.name for event in events if isinstance(event, Applied)]

    assert run({"t": "served", "tls": {"served": {SELF: NEW}, "next": {}}}) == (0, ["new TLSA"])
    assert planned == [{"mx1": HostKeys((), True, ())}, {"mx1": HostKeys((NEW,), False, (NEW,))}]
    assert run() == (0, [])  # it has told nothing new: nothing is asked again
    assert len(planned) == 1
