"""Zones within a run: what was done in them is counted and told, however the run with their server ended."""

from __future__ import annotations

from typing import Any

import pytest

from mailprov import dns
from mailprov.errors import DnsFailed, DnsUnreachable, DnsUnsure
from mailprov.model.events import Action, Applied, Change, Emit, Ended, RunEnded
from tests.unit.run.scripted import FACTS, ScriptedAgent, end, hello, plan
from tests.unit.run.test_deploy import NOTHING, Run

CHANGES = tuple(
    Change("zone alpha.test", "record", Action.CREATE, f"{name} A", "10.0.0.1") for name in ("a", "b")
)


@pytest.mark.parametrize(
    ("error", "code", "summary"),
    [
        (DnsFailed("zone alpha.test", "no"), 1, "1 change applied; not done: zone alpha.test"),
        (DnsUnreachable("zone alpha.test", "no"), 3, "1 change applied; not done: zone alpha.test"),
        (
            DnsUnsure("zone alpha.test", "no"),
            3,
            "1 change applied; not done: zone alpha.test (or done, and nobody could tell)",
        ),
    ],
)
def test_what_was_done_before_a_failure_counts(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, summary: str
) -> None:
    def fails_half_way(zone_plan: dns.ZonePlan, emit: Emit) -> None:
        emit(Applied(zone_plan.changes[0]))
        raise error

    monkeypatch.setattr(dns, "plan", lambda *_, **__: [dns.ZonePlan("alpha.test", CHANGES)])
    monkeypatch.setattr(dns, "image", lambda plan: None)
    monkeypatch.setattr(dns, "apply", fails_half_way)
    run: Any = Run({"mx1": ScriptedAgent(NOTHING)}, command="dns apply")

    (ended,) = [
        event for event in run.events if isinstance(event, Ended) and event.subject.startswith("zone")
    ]
    assert (ended.changed, ended.error) == (1, str(error))
    assert run.code == code
    assert [event.summary for event in run.events if isinstance(event, RunEnded)] == [summary]


def test_only_what_was_chosen_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the way in the zone of a host that was left out must not stop the others."""
    asked: list[Any] = []

    def plans(*_: Any, covers: Any, **__: Any) -> list[dns.ZonePlan]:
        asked.append({name: covers(name) for name in ("mx1.alpha.test", "mx2.alpha.test")})
        return []

    monkeypatch.setattr(dns, "plan", plans)
    Run({"mx1": ScriptedAgent(NOTHING), "mx2": ScriptedAgent(NOTHING)}, hosts=["mx2"])

    assert asked == [{"mx1.alpha.test": False, "mx2.alpha.test": True}]


def test_domains_that_a_host_has_served_until_now_are_told_to_the_zones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The zone of a domain that has left is in nothing else that the inventory knows."""
    told: list[Any] = []

    def plans(*_: Any, served: Any, **__: Any) -> list[dns.ZonePlan]:
        told.append({domain: set(hosts) for domain, hosts in served.items()})
        return []

    monkeypatch.setattr(dns, "plan", plans)
    keys = "alpha.test mx1-rsa-1 signing -\nleft.test mx1-rsa-1 signing -\n"
    facts = {**FACTS, "dkim": {"state": keys, "public": {}}}
    Run({"mx1": ScriptedAgent([hello(), {"t": "facts", "facts": facts}, plan(), end()])})

    assert told == [{"alpha.test": {"mx1.alpha.test"}, "left.test": {"mx1.alpha.test"}}]
