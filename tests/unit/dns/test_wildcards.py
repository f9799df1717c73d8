"""Wildcards (RFC 4592) on real servers: what they make up is nobody's record, and what they lose is told before."""

from __future__ import annotations

import dataclasses

import pytest

from mailprov import dns as driver
from mailprov.dns.providers.rfc2136.settings import Tsig
from mailprov.model.inventory import Inventory
from mailprov.model.secret import Secret
from tests.unit.dns.servers import STRANGER, NameServer, inventory
from tests.unit.dns.test_at_length import whole


def publish(wanted: Inventory) -> list[str]:
    """The notices of the plan."""
    plans = driver.plan(wanted)
    for plan in plans:
        driver.apply(plan, lambda event: None)
    assert not any(plan.changes for plan in driver.plan(wanted))
    return [notice for plan in plans for notice in plan.notices]


@pytest.mark.parametrize("zone", ["star1.test", "star2.test", "star3.test"])
def test_the_hosts_own_address_at_a_wildcard_is_told_apart(name_server: NameServer, zone: str) -> None:
    serial = name_server.serial(zone)
    (plan,) = driver.plan(inventory(zone, name_server.settings()))
    assert name_server.serial(zone) == serial  # asked by UPDATEs that change nothing
    assert (f"mx1.{zone} A" in {change.name for change in plan.changes}) is (zone == "star1.test")
    publish(inventory(zone, name_server.settings()))
    assert whole(name_server, zone)[f"mx1.{zone}", "A"][1] == {"10.0.0.1"}


def test_who_may_not_update_can_plan_all_the_same(name_server: NameServer) -> None:
    """It cannot be proved then what a wildcard made up (Knot: BADKEY to the proof): all that reads so counts so."""
    key = Tsig("stranger", "hmac-sha256", Secret("env:STRANGER", STRANGER))
    (plan,) = driver.plan(inventory("star6.test", name_server.settings(tsig=key)))
    assert "mx1.star6.test A" in {change.name for change in plan.changes}


def test_a_record_of_ours_that_was_replaced_by_a_wildcard_comes_back(name_server: NameServer) -> None:
    publish(inventory("star2.test", name_server.settings(), hosts=2))
    name_server.change(
        "star2.test", lambda m: (m.delete("mx2.star2.test.", "A"), m.delete("mx2.star2.test.", "TXT"))
    )
    name_server.change("star2.test", lambda m: m.replace("*.star2.test.", 300, "A", "10.0.0.2"))
    assert name_server.values("mx2.star2.test", "A") == {"10.0.0.2"}
    publish(inventory("star2.test", name_server.settings(), hosts=2))
    assert whole(name_server, "star2.test")["mx2.star2.test", "A"][1] == {"10.0.0.2"}


def test_what_a_wildcard_loses_is_told(name_server: NameServer) -> None:
    wanted = inventory("star4.test", name_server.settings())
    hosts = [
        dataclasses.replace(wanted.hosts[0], name=label.partition(".")[0], fqdn=f"{label}.star4.test")
        for label in ("mx1", "deep.new", "below.used.sub", "has")
    ]
    domain = dataclasses.replace(wanted.domains[0], hosts=("mx1",))
    notices = publish(dataclasses.replace(wanted, hosts=tuple(hosts), domains=(domain,)))
    assert notices == [
        "*.star4.test (A 192.0.2.9; MX 5 mail.example; TXT hello) answers no more for names that get records of their "
        "own, nor below them (RFC 4592). What goes: _dmarc.star4.test (A, MX), mx1.star4.test (MX), "
        "new.star4.test (A, MX, TXT). Give a name records of its own for what it must keep"
    ]
    assert name_server.values("other.star4.test", "MX") == {"5 mail.example."}
    assert name_server.values("x.new.star4.test", "MX") == set()


def test_an_alias_at_a_wildcard(name_server: NameServer) -> None:
    (notice,) = publish(inventory("star5.test", name_server.settings()))
    assert notice.startswith("*.star5.test (CNAME web.example) answers no more")
    assert "What goes: _dmarc.star5.test (CNAME), mx1.star5.test (CNAME)" in notice


def test_where_there_is_no_wildcard_nothing_is_told(name_server: NameServer) -> None:
    (plan,) = driver.plan(inventory("stranger.test", name_server.settings()))
    assert plan.notices == ()
