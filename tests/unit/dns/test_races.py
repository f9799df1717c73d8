"""Others write in the zone at the same moment: what prerequisites do not hold is held, and everybody comes through."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dns.rdatatype
import dns.update
import pytest

from mailprov import dns as driver
from mailprov.dns.providers.rfc2136 import update
from mailprov.dns.providers.rfc2136.session import Session
from mailprov.errors import DnsFailed
from mailprov.model.events import Applied, Event
from mailprov.model.inventory import Inventory
from tests.unit.dns.servers import NameServer, inventory

Write = Callable[[dns.update.UpdateMessage], None]


def publish(wanted: Inventory) -> None:
    for plan in driver.plan(wanted):
        driver.apply(plan, lambda event: None)


def meanwhile(monkeypatch: pytest.MonkeyPatch, name_server: NameServer, ours: str, write: Write) -> list[int]:
    """Somebody writes this just before our next UPDATE arrives, when nothing is read any more. Counts our UPDATEs."""
    send = update._send
    sent: list[int] = []

    def and_others(session: Session, zone: str, message: dns.update.UpdateMessage, count: int) -> bool:
        if not sent:
            name_server.change(ours, write)
        sent.append(1)
        return send(session, zone, message, count)

    monkeypatch.setattr(update, "_send", and_others)
    return sent


def ttl(name_server: NameServer, name: str, kind: str) -> int:
    return int(name_server.ask(name, kind).answer[0].ttl)


def test_a_ttl_that_somebody_changes_meanwhile_stays(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their text and our SPF share a set, and so a TTL: it is theirs."""
    name_server.change("guard1.test", lambda m: m.add("guard1.test.", 300, "TXT", "theirs"))
    plans = driver.plan(inventory("guard1.test", name_server.settings(ttl=600)))
    meanwhile(
        monkeypatch, name_server, "guard1.test", lambda m: m.replace("guard1.test.", 77, "TXT", '"theirs"')
    )
    for plan in plans:
        driver.apply(plan, lambda event: None)
    assert name_server.values("guard1.test", "TXT") == {'"theirs"', '"v=spf1 mx -all"'}
    assert ttl(name_server, "guard1.test", "TXT") == 77


@pytest.mark.parametrize("seen_by_the_plan", [True, False])
def test_a_ttl_that_came_before_the_serial_is_read_again(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch, seen_by_the_plan: bool
) -> None:
    """Servers may answer what travels at once in any order: here somebody changes a TTL between the answer about it
    and the one about the serial. The UPDATE would hold that serial, and lose the TTL.
    """
    zone = "guard8.test" if seen_by_the_plan else "guard9.test"
    name_server.change(zone, lambda m: m.add(f"{zone}.", 300, "TXT", "theirs"))
    (plan,) = driver.plan(inventory(zone, name_server.settings(ttl=600)))
    if not seen_by_the_plan:
        name_server.change(zone, lambda m: m.add(f"x.{zone}.", 300, "TXT", "the serial is another one now"))
    ask = Session.ask
    done: list[int] = []

    def in_another_order(self: Session, messages: Any, proofs: Any = ()) -> Any:
        first = [m.question[0] for m in messages[:1]]
        if done or not first or first[0].rdtype != dns.rdatatype.SOA:
            return ask(self, messages, proofs)
        done.append(1)
        answers = ask(self, messages[1:])
        name_server.change(zone, lambda m: m.replace(f"{zone}.", 77, "TXT", '"theirs"'))
        return [*ask(self, messages[:1]), *answers]

    monkeypatch.setattr(Session, "ask", in_another_order)
    driver.apply(plan, lambda event: None)
    assert done
    assert name_server.values(zone, "TXT") == {'"theirs"', '"v=spf1 mx -all"'}
    assert ttl(name_server, zone, "TXT") == 77


def test_a_ttl_of_ours_that_somebody_changes_meanwhile_is_told(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan said: from 300 to 600. Now it would be from 77."""
    publish(inventory("guard2.test", name_server.settings()))
    (plan,) = driver.plan(inventory("guard2.test", name_server.settings(ttl=600)))
    meanwhile(
        monkeypatch,
        name_server,
        "guard2.test",
        lambda m: m.replace("guard2.test.", 77, "MX", "10 mx1.guard2.test."),
    )
    with pytest.raises(DnsFailed, match=r"guard2.test MX 10 mx1.guard2.test \(ttl 77 → 600\); nothing was"):
        driver.apply(plan, lambda event: None)
    assert ttl(name_server, "guard2.test", "MX") == 77


def test_without_anybody_else_one_update_is_enough(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The zone's serial can be required of each of the servers, as it is told."""
    name_server.change("guard3.test", lambda m: m.add("guard3.test.", 300, "TXT", "theirs"))
    sent = meanwhile(
        monkeypatch, name_server, "guard3.test", lambda m: m.add("x.guard3.test.", 9, "TXT", "x")
    )
    sent.append(1)  # nobody else
    publish(inventory("guard3.test", name_server.settings()))
    assert len(sent) == 2


def cut(zone: str) -> Write:
    return lambda m: m.add(f"student.{zone}.", 300, "NS", "ns.elsewhere.test.")


def redirection(zone: str) -> Write:
    return lambda m: m.add(f"student.{zone}.", 300, "DNAME", "elsewhere.test.")


@pytest.mark.parametrize(("make", "zone"), [(cut, "guard4.test"), (redirection, "guard5.test")])
def test_what_would_lie_below_a_new_delegation_is_refused(
    name_server: NameServer, make: Callable[[str], Write], zone: str
) -> None:
    (plan,) = driver.plan(inventory(f"student.{zone}", name_server.settings()))
    name_server.change(zone, make(zone))
    if make is redirection and name_server.kind == "powerdns":
        with contextlib.suppress(DnsFailed):  # its caches decide whether the DNAME is seen yet
            driver.apply(plan, lambda event: None)
            assert name_server.values(f"mx1.student.{zone}", "A") == {"10.0.0.1"}
        return
    serial = name_server.serial(zone)
    with pytest.raises(DnsFailed) as caught:
        driver.apply(plan, lambda event: None)
    assert name_server.serial(zone) == serial
    assert str(caught.value).startswith(f"zone {zone}: ")
    assert f"student.{zone}" in str(caught.value)
    assert "nothing was written" in str(caught.value)


@pytest.mark.parametrize(("make", "zone"), [(cut, "guard6.test"), (redirection, "guard7.test")])
def test_a_delegation_that_came_in_between_is_named(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch, make: Callable[[str], Write], zone: str
) -> None:
    (plan,) = driver.plan(inventory(f"student.{zone}", name_server.settings()))
    meanwhile(monkeypatch, name_server, zone, make(zone))
    if make is redirection and name_server.kind == "powerdns":
        with contextlib.suppress(DnsFailed):
            driver.apply(plan, lambda event: None)
            assert name_server.values(f"mx1.student.{zone}", "A") == {"10.0.0.1"}
        return
    events: list[Event] = []
    with pytest.raises(DnsFailed) as caught:
        driver.apply(plan, events.append)
    assert f"student.{zone}" in str(caught.value)
    assert "delegat" in str(caught.value) or "DNAME" in str(caught.value)


def crowd(name_server: NameServer, wanted: list[Inventory]) -> list[list[str]]:
    """All plan, then all apply at the same moment: the names of what each of them says it did."""
    together = threading.Barrier(len(wanted))

    def one(inventory: Inventory) -> list[str]:
        plans = driver.plan(inventory)
        together.wait(timeout=300)
        events: list[Event] = []
        for plan in plans:
            driver.apply(plan, events.append)
        return [event.change.name for event in events if isinstance(event, Applied)]

    with ThreadPoolExecutor(len(wanted)) as pool:
        return list(pool.map(one, wanted))


def student(name_server: NameServer, zone: str, number: int, host: str, address: str) -> Inventory:
    base = inventory(f"s{number}.{zone}", name_server.settings())
    return dataclasses.replace(
        base, hosts=(dataclasses.replace(base.hosts[0], fqdn=f"{host}.{zone}", ipv4=(address,)),)
    )


@pytest.mark.parametrize("host", ["mx{0}", "mx"])
def test_thirty_inventories_at_once_on_one_zone(name_server: NameServer, host: str) -> None:
    """Each has a domain of its own and a host in the zone itself; or all have the same host, which only one of them can
    be the first to write.
    """
    zone = "crowd1.test" if host == "mx{0}" else "crowd2.test"
    address = "192.0.2.{0}" if host == "mx{0}" else "192.0.2.1"
    wanted = [student(name_server, zone, n, host.format(n), address.format(n)) for n in range(30)]
    for number, names in enumerate(crowd(name_server, wanted)):
        assert {f"s{number}.{zone} MX", f"_mailprov.{zone} TXT"} <= set(names)
        assert name_server.values(f"s{number}.{zone}", "MX") == {f"10 {host.format(number)}.{zone}."}
        assert name_server.values(f"{host.format(number)}.{zone}", "A") == {address.format(number)}
    assert len(name_server.values(f"_mailprov.{zone}", "TXT")) == 30
    assert not driver.plan(wanted[7])[0].changes


def test_many_zones_at_once(name_server: NameServer) -> None:
    """As a run writes them, each on a connection of its own."""
    zones = [f"side{n}.test" for n in range(1, 9)]
    several = [inventory(zone, name_server.settings(), start=n) for n, zone in enumerate(zones, 1)]
    for ttl in (300, 60):
        wanted = dataclasses.replace(
            several[0],
            hosts=tuple(host for one in several for host in one.hosts),
            domains=tuple(domain for one in several for domain in one.domains),
            dns=name_server.settings(ttl=ttl),
        )
        plans = driver.plan(wanted)
        assert [plan.zone for plan in plans if plan.changes] == zones
        with ThreadPoolExecutor(len(plans)) as pool:
            list(pool.map(lambda plan: driver.apply(plan, lambda event: None), plans))
        assert not any(plan.changes for plan in driver.plan(wanted))
    assert name_server.values("side8.test", "MX") == {"10 mx8.side8.test."}


def test_several_that_add_to_one_set_at_once(name_server: NameServer) -> None:
    """Each adds an address to those of one name. As a TTL is at stake, each holds the serial of the whole zone."""
    wanted = [student(name_server, "crowd3.test", n, "mx", f"192.0.2.{n}") for n in range(6)]
    crowd(name_server, wanted)
    assert name_server.values("mx.crowd3.test", "A") == {f"192.0.2.{n}" for n in range(6)}
