"""PowerDNS keeps records as text, in whatever spelling they came, and compares with that."""

from __future__ import annotations

import pytest

from mailprov import dns as driver
from mailprov.errors import DnsFailed
from mailprov.model.events import Applied, Event, Notice
from mailprov.model.inventory import Inventory
from tests.unit.dns.servers import NameServer, inventory

# The others keep data, not text: there is no such zone to be had on them.
pytestmark = pytest.mark.parametrize("name_server", ["powerdns"], indirect=True)


def publish(wanted: Inventory, take_over: bool = False) -> tuple[int, list[str]]:
    """How many changes, and what was told."""
    events: list[Event] = []
    for zone_plan in driver.plan(wanted, take_over):
        driver.apply(zone_plan, events.append)
    assert not any(plan.changes for plan in driver.plan(wanted))
    applied = [event for event in events if isinstance(event, Applied)]
    return len(applied), [event.text for event in events if isinstance(event, Notice)]


def test_a_semicolon_that_is_kept_with_a_backslash(name_server: NameServer) -> None:
    wanted = inventory("semi.test", name_server.settings())
    with pytest.raises(
        DnsFailed, match=r"_dmarc\.semi\.test has DMARC that mailprov did not write: v=DMARC1; p=reject"
    ):
        driver.plan(wanted)
    applied, told = publish(wanted, take_over=True)
    assert applied
    assert told == [
        f"DNS server 127.0.0.1 port {name_server.port} compares _dmarc.semi.test TXT in another spelling than it "
        "answers (PowerDNS: \\; in a text, or texts that differ in case only); the zone's serial was held in place of "
        "the values"
    ]
    assert name_server.values("_dmarc.semi.test", "TXT") == {
        '"v=DMARC1; p=none; aspf=s; rua=mailto:postmaster@semi.test"'
    }
    # And beside what others keep so: two hosts, so that SPF and MX change at the name.
    publish(inventory("semi.test", name_server.settings(ttl=60), hosts=2), take_over=True)
    assert name_server.values("semi.test", "TXT") == {'"v=spf1 mx -all"', '"site=a; b"'}


def test_texts_that_differ_in_case_only(name_server: NameServer) -> None:
    wanted = inventory("case.test", name_server.settings())
    publish(wanted, take_over=True)
    assert name_server.values("case.test", "TXT") == {'"Site=a"', '"site=A"', '"v=spf1 mx -all"'}
    # An MX that is kept in mixed case goes when it must.
    assert name_server.values("case.test", "MX") == {"10 mx1.case.test."}


def test_what_is_made_up_by_the_server_is_told(name_server: NameServer) -> None:
    (plan,) = driver.plan(inventory("lua.test", name_server.settings()))
    with pytest.raises(DnsFailed) as caught:
        driver.apply(plan, lambda event: None)
    assert str(caught.value) == (
        f"zone lua.test: DNS server 127.0.0.1 port {name_server.port} answers 192.0.2.77 for mx1.lua.test A, and has "
        "no such record: it makes the answer up (PowerDNS: a LUA record), so nothing can be written there. Remove that "
        "on the name server, or choose another name."
    )
    assert name_server.values("lua.test", "MX") == set()
