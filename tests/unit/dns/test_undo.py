"""Taking back what was published, on real name servers: as before, and nothing that others did since is lost."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from mailprov import dns as driver
from mailprov.dns.ownership import digest
from mailprov.dns.rrsets import Edit
from mailprov.dns.undo import before_image, merged, undo_zone
from mailprov.dns.zoneplan import ZonePlan
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Action, Applied, Event
from mailprov.model.inventory import Inventory
from mailprov.model.records import Record
from tests.unit.dns.servers import NameServer, inventory


def publish(wanted: Inventory) -> list[dict[str, Any]]:
    """Publish; the images, after a journey as JSON."""
    plans = driver.plan(wanted)
    images = [driver.before_image(plan) for plan in plans]
    for plan in plans:
        driver.apply(plan, lambda event: None)
    return json.loads(json.dumps([one for one in images if one]))  # type: ignore[no-any-return]


def take_back(wanted: Inventory, images: list[dict[str, Any]]) -> ZonePlan:
    (plan,) = driver.plan_undo(wanted, images)
    events: list[Event] = []
    driver.apply(plan, events.append)
    assert [event.change for event in events if isinstance(event, Applied)] == list(plan.changes)
    return plan


def zone(name_server: NameServer, name: str) -> dict[str, set[str]]:
    keys = [(name, "MX"), (name, "TXT"), (f"mx1.{name}", "A"), (f"_dmarc.{name}", "TXT")]
    keys += [(f"_mailprov.{name}", "TXT"), (f"mx1.{name}", "TXT")]
    return {f"{owner} {kind}": name_server.values(owner, kind) for owner, kind in keys}


def test_a_first_publication_is_taken_back_and_given_again(name_server: NameServer) -> None:
    wanted = inventory("undo1.test", name_server.settings())
    pristine = zone(name_server, "undo1.test")
    images = publish(wanted)
    published = zone(name_server, "undo1.test")

    back = driver.plan_undo(wanted, images)[0]
    forward = driver.before_image(back)
    assert {change.action for change in back.changes} == {Action.DELETE}
    driver.apply(back, lambda event: None)
    assert zone(name_server, "undo1.test") == pristine

    assert forward is not None
    take_back(wanted, [json.loads(json.dumps(forward))])
    assert zone(name_server, "undo1.test") == published
    assert driver.plan(wanted)[0].changes == ()


def test_a_change_is_taken_back_with_its_ttl(name_server: NameServer) -> None:
    wanted = inventory("undo2.test", name_server.settings())
    publish(wanted)
    before, ttl = zone(name_server, "undo2.test"), name_server.ask("undo2.test", "MX").answer[0].ttl
    changed = inventory("undo2.test", name_server.settings(ttl=77), hosts=2)
    images = publish(changed)
    assert name_server.ask("undo2.test", "MX").answer[0].ttl == 77
    take_back(wanted, images)

    assert zone(name_server, "undo2.test") == before
    assert name_server.ask("undo2.test", "MX").answer[0].ttl == ttl
    assert driver.plan(wanted)[0].changes == ()


def test_what_others_changed_since_is_left_alone_and_told(name_server: NameServer) -> None:
    wanted = inventory("undo3.test", name_server.settings())
    images = publish(wanted)

    def other(message: Any) -> None:
        message.delete("undo3.test.", "MX")
        message.add("undo3.test.", 300, "MX", "5 ns.undo3.test.")
        message.add("undo3.test.", 300, "TXT", '"google-site-verification=abc"')

    name_server.change("undo3.test", other)
    plan = take_back(wanted, images)

    assert plan.left == ("undo3.test MX",)
    assert plan.notices == (
        "undo3.test MX is not what mailprov wrote, so it is left alone; there is now: 5 ns.undo3.test",
    )
    assert name_server.values("undo3.test", "MX") == {"5 ns.undo3.test."}
    assert name_server.values("undo3.test", "TXT") == {'"google-site-verification=abc"'}
    assert name_server.values("mx1.undo3.test", "A") == set()


def test_a_change_between_plan_and_apply_is_not_overwritten(name_server: NameServer) -> None:
    wanted = inventory("undo4.test", name_server.settings())
    images = publish(wanted)
    (plan,) = driver.plan_undo(wanted, images)
    name_server.change("undo4.test", lambda m: m.replace("undo4.test.", 300, "TXT", '"v=spf1 -all"'))
    driver.apply(plan, lambda event: None)

    assert name_server.values("undo4.test", "TXT") == {'"v=spf1 -all"'}


def test_what_was_never_published_needs_no_taking_back(name_server: NameServer) -> None:
    wanted = inventory("undo5.test", name_server.settings())
    images = [driver.before_image(plan) for plan in driver.plan(wanted)]
    (plan,) = driver.plan_undo(wanted, [one for one in images if one])

    assert (plan.changes, plan.notices, plan.left) == ((), (), ())


def test_an_address_stays_with_the_mx_that_is_left(name_server: NameServer) -> None:
    """Without a seal, an MX to a host that has left does not come back; so ours stays, and what it leads to."""
    publish(inventory("undo6.test", name_server.settings(), start=2))
    wanted = inventory("undo6.test", name_server.settings())
    images = [{**one, "told": ["mx1"]} for one in publish(wanted)]
    (plan,) = driver.plan_undo(wanted, images)
    driver.apply(plan, lambda event: None)

    assert {"undo6.test MX", "mx1.undo6.test A"} <= set(plan.left)
    assert name_server.values("undo6.test", "MX") == {"10 mx1.undo6.test."}
    assert name_server.values("mx1.undo6.test", "A") == {"10.0.0.1"}


def test_without_a_server_the_zones_are_named() -> None:
    settings = DnsSettings()
    wanted = dataclasses.replace(inventory("a.test", settings), dns=settings)
    (plan,) = driver.plan_undo(wanted, [{"zone": "a.test", "sets": []}])

    assert (plan.zone, plan.changes) == ("", ())
    assert "a.test" in plan.notices[0]


def test_several_runs_are_taken_back_as_one() -> None:
    one = before_image("a.test", [Edit("a.test", "MX", 60, (), ("10 a.test",))], [])
    two = before_image(
        "a.test",
        [Edit("a.test", "MX", 60, ("10 a.test",), ("20 b.test",))],
        [Record("a.test", "MX", "10 a.test", 60)],
    )
    (both,) = merged([one, two]).values()
    undo = undo_zone(both, [Record("a.test", "MX", "20 b.test", 60)])

    assert undo.diff.edits == (Edit("a.test", "MX", 60, ("20 b.test",), ()),)


def test_what_a_later_run_of_mailprov_changed_is_left_alone() -> None:
    """A run wrote two values; a later one made another of the first, and wrote a third."""

    def marker(*values: str) -> str:
        words = " ".join(f"{value[:1]}/A={digest('A', value[1:])}" for value in values)
        return f"v=mailprov1 for=a.test {words}"

    edits = [Edit(f"{name}.a.test", "A", 60, (), ("192.0.2.1",)) for name in "xy"]
    edits.append(Edit("_mailprov.a.test", "TXT", 60, (), (marker("x192.0.2.1", "y192.0.2.1"),)))
    one = before_image("a.test", edits, [])
    now = {"x": ("192.0.2.1", "192.0.2.9"), "y": ("192.0.2.1",), "z": ("192.0.2.1",)}
    later = [Record(f"{name}.a.test", "A", value, 60) for name, values in now.items() for value in values]
    text = marker("x192.0.2.1", "x192.0.2.9", "y192.0.2.1", "z192.0.2.1")
    undo = undo_zone(one, [*later, Record("_mailprov.a.test", "TXT", text, 60)])

    assert undo.left == ("x.a.test A",)
    assert undo.diff.notices == ("a later run of mailprov changed x.a.test A; it is left alone",)
    kept = f"x/A={digest('A', '192.0.2.9')},{digest('A', '192.0.2.1')} z/A={digest('A', '192.0.2.1')}"
    assert undo.diff.edits == (
        Edit("y.a.test", "A", 60, ("192.0.2.1",), ()),
        Edit("_mailprov.a.test", "TXT", 60, (text,), (f"v=mailprov1 for=a.test {kept}",)),
    )


def test_what_another_inventory_owns_by_now_is_not_taken_back() -> None:
    mine, theirs = (f"v=mailprov2 zone=a.test for={name} x/A={digest('A', '192.0.2.1')}" for name in "bc")
    edits = [
        Edit("x.a.test", "A", 60, (), ("192.0.2.1",)),
        Edit("_mailprov.a.test", "TXT", 60, (), (mine,)),
    ]
    now = [Record("x.a.test", "A", "192.0.2.1", 60)]
    now += [Record("_mailprov.a.test", "TXT", text, 60) for text in (mine, theirs)]
    undo = undo_zone(before_image("a.test", edits, []), now)

    assert undo.diff.edits == (Edit("_mailprov.a.test", "TXT", 60, (mine,), ()),)


def test_what_a_take_over_only_made_ours_is_its_owners_again() -> None:
    """A value that was as wanted already: the run wrote it into the marker alone, and another set stays as it is."""
    digests = {name: digest("A", "192.0.2.1") for name in "xyz"}

    def marker(names: str) -> str:
        return " ".join(
            ["v=mailprov2 zone=a.test for=a.test", *(f"{name}/A={digests[name]}" for name in names)]
        )

    edits = [Edit(f"{name}.a.test", "A", 60, (), ("192.0.2.1",)) for name in "yz"]
    edits.append(Edit("_mailprov.a.test", "TXT", 60, (), (marker("xyz"),)))
    one = before_image("a.test", edits, [Record("x.a.test", "A", "192.0.2.1", 60)])
    rest = {**one, "sets": [each for each in one["sets"] if each["name"] != "z.a.test"]}
    now = [Record(f"{name}.a.test", "A", "192.0.2.1", 60) for name in "xyz"]
    now.append(Record("_mailprov.a.test", "TXT", marker("xyz"), 60))
    undo = undo_zone(rest, now, literal=False, apart=[("z.a.test", "A")])

    assert undo.diff.edits == (
        Edit("y.a.test", "A", 60, ("192.0.2.1",), ()),
        Edit("_mailprov.a.test", "TXT", 60, (marker("xyz"),), (marker("z"),)),
    )


def test_a_set_of_which_only_the_ttl_was_changed_is_compared_by_its_values() -> None:
    one = before_image(
        "a.test", [Edit("a.test", "MX", 60, (), ("10 a.test",))], [Record("a.test", "MX", "10 a.test", 9)]
    )
    same = undo_zone(one, [Record("a.test", "MX", "10 a.test", 60)])
    other = undo_zone(one, [Record("a.test", "MX", "5 b.test", 60)])

    assert same.diff.edits == (Edit("a.test", "MX", 9, (), ("10 a.test",)),)
    assert (other.diff.edits, other.left) == ((), ("a.test MX",))


def test_a_value_that_stood_before_stays() -> None:
    """The run put ours beside an address that was there; both are there again or still."""
    one = before_image(
        "a.test",
        [Edit("a.test", "A", 60, ("192.0.2.1",), ("192.0.2.2",))],
        [Record("a.test", "A", "192.0.2.1", 60), Record("a.test", "A", "192.0.2.9", 60)],
    )
    now = [Record("a.test", "A", value, 60) for value in ("192.0.2.2", "192.0.2.9", "192.0.2.77")]
    undo = undo_zone(one, now)

    assert undo.diff.edits == (Edit("a.test", "A", 60, ("192.0.2.2",), ("192.0.2.1",)),)
    assert undo.diff.changes[0].detail == (
        "192.0.2.2, 192.0.2.9, 192.0.2.77 → 192.0.2.9, 192.0.2.77, 192.0.2.1"
    )


def test_what_is_no_plain_data_any_more_is_left_and_told() -> None:
    """It was ours, and became an alias at the provider since."""
    mine = Record("mx1.undo.test", "A", "10.0.0.1")
    image = before_image("undo.test", [Edit(mine.name, mine.type, 300, (), (mine.value,))], [])
    special = {(mine.name, mine.type): "an alias of lb.example"}
    found = undo_zone(image, [mine], special=special)
    assert (found.diff.edits, found.left) == ((), ("mx1.undo.test A",))
    assert found.diff.notices == (
        "mx1.undo.test A is not what mailprov wrote, so it is left alone; there is now: an alias of lb.example",
    )
