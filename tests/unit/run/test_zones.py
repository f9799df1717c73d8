"""Zones within a run: what was done in them is counted and told, however the run with their server ended."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest

from mailprov import dns
from mailprov.dns.diff import ZoneDiff
from mailprov.dns.rrsets import Edit
from mailprov.dns.zoneplan import ADDRESSES, GOING, LEAVING, OTHERS, Work, ZonePlan
from mailprov.errors import DnsFailed, DnsUnreachable, DnsUnsure
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Action, Applied, Change, Emit, Ended, Notice, RunEnded
from mailprov.run.zones import TOGETHER
from tests.unit.run import test_deploy
from tests.unit.run.scripted import FACTS, ScriptedAgent, end, hello, inventory, plan
from tests.unit.run.test_deploy import GOOD, NOTHING, Run

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
            "1 change applied; not done: zone alpha.test (or done: no answer came)",
        ),
    ],
)
def test_what_was_done_before_a_failure_counts(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, summary: str
) -> None:
    def fails_half_way(zone_plan: ZonePlan, emit: Emit) -> None:
        emit(Applied(zone_plan.changes[0]))
        raise error

    monkeypatch.setattr(dns, "plan", lambda *_, **__: [ZonePlan("alpha.test", CHANGES)])
    monkeypatch.setattr(dns, "before_image", lambda plan: None)
    monkeypatch.setattr(dns, "apply", fails_half_way)
    run: Any = Run({"mx1": ScriptedAgent(NOTHING)}, command="dns apply")

    (ended,) = [
        event for event in run.events if isinstance(event, Ended) and event.subject.startswith("zone")
    ]
    assert (ended.changed, ended.error) == (1, str(error))
    assert run.code == code
    assert [event.summary for event in run.events if isinstance(event, RunEnded)] == [summary]


def test_zones_that_cannot_be_planned_end_an_apply_as_could_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody was asked, so that nobody said no: not 1."""

    def silent(*_: Any, **__: Any) -> list[ZonePlan]:
        raise DnsUnreachable("dns", "no answer")

    monkeypatch.setattr(dns, "plan", silent)
    run: Any = Run({"mx1": ScriptedAgent(GOOD)}, confirm=lambda counts: True)

    assert run.code == 3
    assert not run.events[-1].declined
    assert run.sent("mx1") == ["desired", "cancel"]


def test_only_what_was_chosen_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the way in the zone of a host that was left out must not stop the others."""
    asked: list[Any] = []

    def plans(*_: Any, covers: Any, **__: Any) -> list[ZonePlan]:
        asked.append({name: covers(name) for name in ("mx1.alpha.test", "mx2.alpha.test")})
        return []

    monkeypatch.setattr(dns, "plan", plans)
    Run({"mx1": ScriptedAgent(NOTHING), "mx2": ScriptedAgent(NOTHING)}, hosts=["mx2"])

    assert asked == [{"mx1.alpha.test": False, "mx2.alpha.test": True}]


def of(zone: str, **more: Any) -> ZonePlan:
    return ZonePlan(zone, (Change(f"zone {zone}", "record", Action.CREATE, f"{zone} MX", "10 mx"),), **more)


def written(monkeypatch: pytest.MonkeyPatch, plans: list[ZonePlan], apply: Any) -> Any:
    monkeypatch.setattr(dns, "plan", lambda *_, **__: plans)
    monkeypatch.setattr(dns, "before_image", lambda plan: None)
    monkeypatch.setattr(dns, "apply", apply)
    return Run({"mx1": ScriptedAgent(NOTHING)}, command="dns apply")


def test_zones_are_written_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits until all are under way: one after another they would never end."""
    assert TOGETHER > 1
    together = threading.Barrier(TOGETHER)

    def apply(plan: ZonePlan, emit: Emit) -> None:
        together.wait(timeout=60)
        emit(Applied(plan.changes[0]))

    plans = [of(f"zone{number}.test") for number in range(TOGETHER)]
    run = written(monkeypatch, plans, apply)

    assert run.code == 0
    assert [event.summary for event in run.events if isinstance(event, RunEnded)] == [
        f"{TOGETHER} changes applied"
    ]
    assert {run.ended(plan.subject).status for plan in plans} == {"ok"}


def test_zones_are_written_in_their_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The markers of all others name what leaves until it is gone; an MX is to lead to an address at any time."""
    told: list[str] = []

    def apply(plan: ZonePlan, emit: Emit) -> None:
        told.append(f"{plan.zone} begins")
        emit(Applied(plan.changes[0]))
        told.append(f"{plan.zone} ends")

    turns = {"a": OTHERS, "b": LEAVING, "c": GOING, "d": LEAVING, "e": ADDRESSES}
    run = written(monkeypatch, [of(f"{name}.test", turn=turn) for name, turn in turns.items()], apply)

    assert run.code == 0
    assert told == [f"{name}.test {what}" for name in "bdeac" for what in ("begins", "ends")]


def test_a_zone_that_fails_keeps_no_other_from_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told is in the order of the plan, whichever failed first; a bug of ours is told as one."""
    failed = threading.Event()

    def apply(plan: ZonePlan, emit: Emit) -> None:
        if plan.zone == "a.test":
            assert failed.wait(timeout=60)
            raise DnsUnreachable("zone a.test", "no answer")
        if plan.zone == "c.test":
            failed.set()
            raise ValueError("of ours")
        emit(Applied(plan.changes[0]))

    plans = [of(f"{name}.test") for name in "abcd"]
    run = written(monkeypatch, plans, apply)

    assert run.code == 3
    (ended,) = [event for event in run.events if isinstance(event, RunEnded)]
    assert ended.summary == "2 changes applied; not done: zone a.test, zone c.test"
    assert run.ended("zone a.test").error.startswith("zone a.test: no answer")
    assert "internal error in mailprov: ValueError" in run.ended("zone c.test").error
    assert [run.ended(f"zone {name}.test").status for name in "abcd"] == ["unreachable", "ok", "failed", "ok"]


def test_what_one_provider_fails_at_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts and the zones of others are done; the last line and the exit code say that not all is."""
    done: list[str] = []

    def apply(plan: ZonePlan, emit: Emit) -> None:
        done.append(plan.zone)
        emit(Applied(plan.changes[0]))

    lost = DnsUnreachable("PowerDNS at ns.test", "no answer")
    plans = [
        of("alpha.test"),
        ZonePlan("alpha.example", (), error=lost),
        ZonePlan("", (), ("not planned: beta.example",), error=DnsFailed("DNS server ns.test", "no key")),
    ]
    run = written(monkeypatch, plans, apply)

    assert done == ["alpha.test"]
    assert run.code == 1  # a failure outranks "could not tell"
    assert run.ended("zone alpha.example").status == "unreachable"
    assert (run.ended("dns").status, run.ended("dns").error) == ("failed", "DNS server ns.test: no key.")
    assert "not planned: beta.example" in [event.text for event in run.events if isinstance(event, Notice)]
    (ended,) = [event for event in run.events if isinstance(event, RunEnded)]
    assert ended.summary == "1 change applied; not planned: zone alpha.example, dns"


def test_where_nothing_could_be_planned_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = DnsUnreachable("PowerDNS at ns.test", "no answer")
    monkeypatch.setattr(dns, "plan", lambda *_, **__: [ZonePlan("alpha.test", (), error=lost)])
    run: Any = Run({"mx1": ScriptedAgent(GOOD)}, confirm=lambda counts: True)

    assert run.code == 3
    assert run.sent("mx1") == ["desired", "cancel"]


@pytest.mark.parametrize("at_plan", [True, False])
def test_no_mail_is_led_to_a_host_whose_own_zone_failed(
    monkeypatch: pytest.MonkeyPatch, at_plan: bool
) -> None:
    """Without an address senders give up at once. What only leads to others is published."""
    done: list[str] = []

    def apply(plan: ZonePlan, emit: Emit) -> None:
        if plan.zone == "hosts.test":
            raise DnsUnreachable("zone hosts.test", "no answer")
        done.append(plan.zone)
        emit(Applied(plan.changes[0]))

    def leads(zone: str, host: str) -> ZonePlan:
        diff = ZoneDiff(edits=(Edit(zone, "MX", 300, (), (f"10 {host}",)),))
        return of(zone, work=Work(DnsSettings(), {}, diff, lambda *_: ({}, diff)))

    hosts = of("hosts.test", turn=ADDRESSES)
    if at_plan:
        hosts = ZonePlan("hosts.test", (), error=DnsUnreachable("PowerDNS at ns.test", "no answer"))
    plans = [leads("alpha.test", "mx1.hosts.test"), leads("beta.test", "mx1.other.test"), hosts]
    settings = DnsSettings(zones=(("hosts.test", DnsSettings()),))
    monkeypatch.setattr(
        test_deploy, "inventory", lambda *hosts: dataclasses.replace(inventory(*hosts), dns=settings)
    )
    run = written(monkeypatch, plans, apply)

    assert (run.code, done) == (1, ["beta.test"])
    assert run.ended("zone alpha.test").status == "skipped"
    assert run.ended("zone alpha.test").error == (
        "zone alpha.test: not published: its MX would lead to mx1.hosts.test, whose own zone failed"
    )


def test_domains_that_a_host_has_served_until_now_are_told_to_the_zones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The zone of a domain that has left is in nothing else that the inventory knows."""
    told: list[Any] = []

    def plans(*_: Any, served: Any, **__: Any) -> list[ZonePlan]:
        told.append({domain: set(hosts) for domain, hosts in served.items()})
        return []

    monkeypatch.setattr(dns, "plan", plans)
    keys = "alpha.test mx1-rsa-1 signing -\nleft.test mx1-rsa-1 signing -\n"
    facts = {**FACTS, "dkim": {"state": keys, "public": {}}}
    Run({"mx1": ScriptedAgent([hello(), {"t": "facts", "facts": facts}, plan(), end()])})

    assert told == [{"alpha.test": {"mx1.alpha.test"}, "left.test": {"mx1.alpha.test"}}]
