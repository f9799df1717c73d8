"""A mail domain that leaves the inventory leaves its zone: planned, shown, done; where it cannot be, it is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import pytest

from mailprov import dns as driver
from mailprov.dns.providers.rfc2136 import update
from mailprov.dns.zoneplan import ZonePlan
from mailprov.errors import DnsFailed
from mailprov.model.events import Action
from mailprov.model.inventory import Domain, Inventory
from tests.unit.dns.servers import NameServer, inventory

Served = Mapping[str, Collection[str]]


def publish(wanted: Inventory, served: Served | None = None) -> list[str]:
    """`zone: action name` of all that was planned, and done."""
    plans = driver.plan(wanted, served=served)
    for plan in plans:
        driver.apply(plan, lambda event: None)
    assert not any(plan.changes for plan in driver.plan(wanted, served=served)), "what is done is done"
    return changes(plans)


def changes(plans: Collection[ZonePlan]) -> list[str]:
    return [f"{plan.zone}: {c.action.value} {c.name}" for plan in plans for c in plan.changes]


def notices(plans: Collection[ZonePlan]) -> list[str]:
    return [notice for plan in plans for notice in plan.notices]


def both(one: Inventory, other: Inventory) -> Inventory:
    return Inventory("inv.yml", one.hosts + other.hosts, one.domains + other.domains, one.dns)


def standing(name_server: NameServer, zone: str, *names: str) -> dict[str, set[str]]:
    keys = [(zone, "MX"), (zone, "TXT"), (f"_dmarc.{zone}", "TXT"), (f"_mailprov.{zone}", "TXT")]
    keys += [(name, kind) for name in names for kind in ("A", "TXT")]
    return {f"{name} {kind}": found for name, kind in keys if (found := name_server.values(name, kind))}


def test_a_domain_with_its_own_zone(name_server: NameServer) -> None:
    first = inventory("left1.test", name_server.settings())
    second = inventory("left2.test", name_server.settings(), start=2)
    publish(both(first, second))
    name_server.change("left2.test", lambda m: m.add("left2.test.", 300, "TXT", "others"))

    plans = driver.plan(first)
    assert [plan.zone for plan in plans] == ["left2.test", "left1.test"]
    assert {change.action for change in plans[0].changes} == {Action.DELETE}
    assert publish(first) == [
        "left2.test: delete _dmarc.left2.test TXT",
        "left2.test: delete left2.test MX",
        "left2.test: delete left2.test TXT",
        "left2.test: delete mx2.left2.test A",
        "left2.test: delete mx2.left2.test TXT",
        "left2.test: delete _mailprov.left2.test TXT",
        "left1.test: update _mailprov.left1.test TXT",
    ]
    assert standing(name_server, "left2.test", "mx2.left2.test") == {"left2.test TXT": {'"others"'}}
    assert name_server.values("left1.test", "MX") == {"10 mx1.left1.test."}


def test_a_domain_that_another_inventory_has_now_is_left_to_it(name_server: NameServer) -> None:
    """It took the domain over; nothing in its marker leads here any more."""
    first = inventory("left3.test", name_server.settings())
    second = inventory("left4.test", name_server.settings(), start=2)
    publish(both(first, second))
    words = next(iter(name_server.values("_mailprov.left4.test", "TXT")))
    theirs = words.replace("for=left4.test,left3.test", "for=left4.test,left99.test")
    name_server.change("left4.test", lambda m: m.replace("_mailprov.left4.test.", 300, "TXT", theirs))

    assert publish(first) == ["left3.test: update _mailprov.left3.test TXT"]
    assert name_server.values("left4.test", "MX") == {"10 mx2.left4.test."}


def test_two_that_leave_two_zones_at_once(name_server: NameServer) -> None:
    """The zone that is written first must go on naming the other's domain; the next run is the last of it."""
    zones = [inventory(f"left{number}.test", name_server.settings(), start=number) for number in (19, 20)]
    more = [dataclasses.replace(one.domains[0], name=one.hosts[0].fqdn, dmarc=None) for one in zones]
    base = both(*zones)
    publish(dataclasses.replace(base, domains=(*base.domains, *more)))

    for _ in range(2):
        for plan in driver.plan(base):
            driver.apply(plan, lambda event: None)
    assert changes(driver.plan(base)) == []
    for one in zones:
        assert set(standing(name_server, one.hosts[0].fqdn)) == {f"{one.hosts[0].fqdn} TXT"}  # the host's own


def test_the_ninth_and_all_others(name_server: NameServer) -> None:
    """Eleven domains below one zone, and one with its own; of them two stay."""
    base = inventory("left5.test", name_server.settings())
    names = [f"d{number:02}.left5.test" for number in range(11)]
    many = [dataclasses.replace(base.domains[0], name=name, dmarc=None) for name in names]
    other = inventory("left6.test", name_server.settings(), start=2)
    publish(both(dataclasses.replace(base, domains=(*base.domains, *many)), other))

    assert f"left5.test: delete {names[8]} MX" in publish(
        both(dataclasses.replace(base, domains=(*base.domains, *many[:8], *many[9:])), other)
    )
    done = publish(base)
    assert [name for name in names if f"left5.test: delete {name} MX" in done] == names[:8] + names[9:]
    assert "left6.test: delete left6.test MX" in done
    for name in (*names, "left6.test"):
        assert standing(name_server, name) == {}, name
    assert name_server.values("left5.test", "MX") == {"10 mx1.left5.test."}


def test_the_only_domain_of_an_inventory(name_server: NameServer) -> None:
    """The host has a zone of its own and stays. Nothing in DNS says whether the domain left this inventory, or is
    another one's on the same host: the host knows that it served it.
    """
    host = inventory("left7.test", name_server.settings()).hosts
    old, new = (Domain(name, ("mx1",)) for name in ("left8.test", "left9.test"))
    publish(Inventory("inv.yml", host, (old,), name_server.settings()))
    after = Inventory("inv.yml", host, (new,), name_server.settings())
    assert not any("left8" in line for line in changes(driver.plan(after)))

    done = publish(after, {"left8.test": ["mx1.left7.test"]})
    assert [line for line in done if line.startswith("left8.test")] == [
        "left8.test: delete left8.test MX",
        "left8.test: delete left8.test TXT",
        "left8.test: delete _mailprov.left8.test TXT",
    ]
    assert "left7.test: update _mailprov.left7.test TXT" in done, "its marker has another domain's name now"
    assert standing(name_server, "left8.test") == {}
    assert name_server.values("left9.test", "MX") == {"10 mx1.left7.test."}


def test_what_a_host_says_is_not_enough(name_server: NameServer) -> None:
    """It is believed about domains whose mail goes to it."""
    publish(inventory("left10.test", name_server.settings()))
    other = inventory("left11.test", name_server.settings(), start=2)
    served = {"left10.test": ["mx2.left11.test"]}
    assert not any("left10" in line for line in changes(driver.plan(other, served=served)))


def test_a_domain_alias_and_a_host(name_server: NameServer) -> None:
    first = inventory("left12.test", name_server.settings(), hosts=2)
    (domain,) = first.domains
    aliased = dataclasses.replace(domain, domain_aliases=("left13.test",))
    publish(dataclasses.replace(first, domains=(aliased,)))
    less = dataclasses.replace(
        first, hosts=first.hosts[:1], domains=(dataclasses.replace(domain, hosts=("mx1",)),)
    )
    done = publish(less)
    assert "left13.test: delete left13.test MX" in done
    assert "left12.test: delete mx2.left12.test A" in done
    assert standing(name_server, "left13.test") == {}


def test_a_zone_that_is_elsewhere_is_told_until_it_is_gone(name_server: NameServer) -> None:
    """The zone was here when the domain was published, and has moved to another server."""
    first = inventory("left14.test", name_server.settings())
    publish(first)
    (words,) = name_server.values("_mailprov.left14.test", "TXT")
    gone = words.replace("for=left14.test", "for=left14.test,gone.example")
    name_server.change("left14.test", lambda m: m.replace("_mailprov.left14.test.", 300, "TXT", gone))
    for _ in range(2):
        plans = driver.plan(first)
        (notice,) = [text for text in notices(plans) if "gone.example" in text]
        assert notice.startswith(
            "gone.example has left the inventory, and what mailprov published for it cannot be removed, because its "
            f"zone is not on DNS server 127.0.0.1 port {name_server.port} (looked for gone.example, example; it "
            "answered REFUSED"
        )
        for plan in plans:
            driver.apply(plan, lambda event: None)
    assert "for=left14.test,gone.example" in next(iter(name_server.values("_mailprov.left14.test", "TXT")))


def test_a_domain_that_could_not_be_cleaned_stays_known(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = inventory("left15.test", name_server.settings())
    second = inventory("left16.test", name_server.settings(), start=2)
    publish(both(first, second))
    plans = driver.plan(first)
    send = update.send

    def failing(session: object, zone: str, *rest: object) -> bool:
        if zone == "left16.test":
            raise DnsFailed("zone left16.test", "it refused the update", "")
        return send(session, zone, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(update, "send", failing)
    with pytest.raises(DnsFailed):
        driver.apply(plans[0], lambda event: None)
    driver.apply(plans[1], lambda event: None)
    assert "left16.test" in next(iter(name_server.values("_mailprov.left15.test", "TXT")))
    monkeypatch.undo()
    assert "left16.test: delete left16.test MX" in publish(first)
    assert standing(name_server, "left16.test") == {}


def test_a_domain_that_0_1_0_published_and_that_has_left(name_server: NameServer) -> None:
    """Its marker is for the whole zone, and names eight domains of the inventory."""
    first = inventory("left17.test", name_server.settings())
    second = inventory("left18.test", name_server.settings(), start=2)
    publish(both(first, second))
    for zone in ("left17.test", "left18.test"):
        (text,) = name_server.values(f"_mailprov.{zone}", "TXT")
        words = text.replace("v=mailprov2", "v=mailprov1").replace(f"zone={zone} ", "")
        marker = f"_mailprov.{zone}."
        name_server.change(zone, lambda m: m.replace(marker, 300, "TXT", words))  # noqa: B023

    assert "left18.test: delete left18.test MX" in publish(first)
    assert standing(name_server, "left18.test", "mx2.left18.test") == {}
    assert next(iter(name_server.values("_mailprov.left17.test", "TXT"))).startswith(
        '"v=mailprov2 zone=left17.test '
    )
