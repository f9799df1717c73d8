"""Faults × drivers: each fault on each driver, or the reason why it does not happen there; no cell is missing.

Each has a zone of its own, with records of others, and compares all of it before and after: nothing foreign ever
changes. What is half done is named by zone and record, and the next apply does the rest. A new driver gets a line in
WIRES (wires.py), a new fault a function here; then every cell of its row or column must pass or be spared for a reason.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from mailprov import dns as zones
from mailprov.dns import providers
from mailprov.dns.driver import Driver
from mailprov.dns.zoneplan import ZonePlan
from mailprov.errors import DnsFailed, DnsUnreachable, MailprovError
from mailprov.model.dns import DnsSettings
from mailprov.model.events import Applied, Event
from mailprov.model.inventory import Domain, Inventory
from tests.attacks.tries import LONG
from tests.unit.dns.backend import Zone
from tests.unit.dns.drivers import BACKENDS
from tests.unit.dns.one_at_a_time import one_at_a_time
from tests.unit.dns.servers import inventory
from tests.unit.dns.wires import WIRES, Wire

FAULTS: dict[str, Callable[[Cell], None]] = {}
SPARED: dict[tuple[str, str], str] = {}  # fault, driver: why it does not happen there
UPDATES = ("rfc2136-bind", "rfc2136-knot", "rfc2136-powerdns")
# Of the issue: a fault that loses its function is missed.
ASKED_FOR = (
    "wrong key", "key that may only read", "refused", "not authoritative", "only a copy", "ignored", "answer lost",
    "nothing done and no answer", "server error after the change", "server that lags", "zone cut", "wildcard", "DNAME",
    "clock", "3 kB of text", "internationalised names", "large zone", "called too often", "key revoked since the plan",
    "page 2 of a list", "half a batch",
)  # fmt: skip


class Cell:
    """One fault on one driver: a zone of its own, and how it was at first."""

    def __init__(self, wire: Wire, fault: str, patch: pytest.MonkeyPatch) -> None:
        self.wire, self.patch, self.driver = wire, patch, ""
        self.zone = f"contractf{ASKED_FOR.index(fault) + 1}.test"
        self.backend = wire.backend
        self.before = self.whole()
        assert len(self.before) > 5, "there is nothing foreign here"

    def whole(self) -> Zone:
        return self.backend.whole(self.zone)

    def wanted(self, settings: DnsSettings | None = None) -> Inventory:
        return inventory(self.zone, settings or self.wire.settings())

    def plan(self, wanted: Inventory | None = None) -> ZonePlan:
        return next(one for one in zones.plan(wanted or self.wanted()) if one.zone == self.zone)

    def apply(self, plan: ZonePlan) -> set[str]:
        events: list[Event] = []
        zones.apply(plan, events.append)
        return done(events)

    def fails(self, kind: type[MailprovError], plan: ZonePlan, match: str) -> tuple[str, set[str]]:
        """What is said, and of which sets it is said that they stand."""
        events: list[Event] = []
        with pytest.raises(kind, match=match) as caught:
            zones.apply(plan, events.append)
        assert self.zone in str(caught.value)
        return str(caught.value), done(events)

    def untouched(self) -> None:
        assert self.whole() == self.before

    def foreign(self) -> Zone:
        """All that stood at first stands, with its TTL; in a set that we share, too. What there is now."""
        now = self.whole()
        for key, (ttl, texts) in self.before.items():
            assert texts <= now.get(key, (0, frozenset()))[1], key
            assert now[key][0] == ttl, key
        return now

    def heals(self, wanted: Inventory | None = None) -> None:
        """The next apply does what is left, and the one after it nothing."""
        self.apply(self.plan(wanted))
        self.foreign()
        assert not self.plan(wanted).changes
        assert self.backend.texts(self.zone, self.zone, "MX") == {f"10 mx1.{self.zone}."}

    def leaves(self, *domains: str) -> None:
        """What is known for ours goes with the domains; then it is as at first."""
        others = inventory("contract10.test", self.wire.settings(), start=9)
        served = {domain: [f"mx1.{self.zone}"] for domain in (self.zone, *domains)}
        publish(others, served=served)
        self.untouched()

    def last_write(self, plan: ZonePlan, of: str = "all") -> int:
        """How many writes come before the last one of this plan; `of` records: behind which the driver only notes that
        it is done.
        """
        before = self.wire.writes()
        self.apply(plan)
        count = self.wire.writes() - before
        self.leaves()
        return count - 1 - (self.wire.notes if of == "records" else 0)


def publish(wanted: Inventory, **how: Any) -> None:
    for plan in zones.plan(wanted, **how):
        zones.apply(plan, lambda event: None)


def done(events: Sequence[Event]) -> set[str]:
    return {event.change.name for event in events if isinstance(event, Applied)}


def names(plan: ZonePlan) -> set[str]:
    return {change.name for change in plan.changes}


def fault(name: str, **spared: str) -> Callable[[Callable[[Cell], None]], Callable[[Cell], None]]:
    """`spared`: driver, or `updates` for all of RFC 2136 → why."""

    def known(run: Callable[[Cell], None]) -> Callable[[Cell], None]:
        FAULTS[name] = run
        for driver, why in spared.items():
            for one in UPDATES if driver == "updates" else (driver,):
                SPARED[name, one.replace("_", "-")] = why
        return run

    return known


@fault("wrong key")
def _(cell: Cell) -> None:
    settings = cell.wire.with_wrong_key()
    with pytest.raises(DnsFailed) as caught:
        cell.plan(cell.wanted(settings))
    assert settings.provider.credential() not in str(caught.value)
    assert not caught.value.what.endswith(".")
    cell.untouched()
    cell.heals()


ALL_OR_NOTHING = "its api-key may do everything; there is no other one"


@fault("key that may only read", powerdns=ALL_OR_NOTHING, octodns_powerdns=ALL_OR_NOTHING)
def _(cell: Cell) -> None:
    plan = cell.plan(cell.wanted(cell.wire.with_narrow_key()))
    events: list[Event] = []
    with pytest.raises(DnsFailed):
        zones.apply(plan, events.append)
    assert not done(events)
    cell.untouched()
    cell.heals()


@fault("refused")
def _(cell: Cell) -> None:
    plan = cell.plan()
    cell.wire.strike("refused")
    events: list[Event] = []
    with pytest.raises(DnsFailed):
        zones.apply(plan, events.append)
    assert not done(events)
    cell.untouched()
    cell.wire.catch_up()
    cell.heals()


@fault("not authoritative")
def _(cell: Cell) -> None:
    with pytest.raises(DnsFailed, match=r"the zone of nowhere\.example is not there"):
        zones.plan(inventory("nowhere.example", cell.wire.settings()))
    cell.untouched()


ITS_OWN = (
    "the zones that its API lists are its own; one that cannot be written refuses records as in `refused`"
)


@fault(
    "only a copy",
    cloudflare=ITS_OWN,
    digitalocean=ITS_OWN,
    gandi=ITS_OWN,
    octodns_cloudflare=ITS_OWN,
    ovh=ITS_OWN,
    route53=ITS_OWN,
)
def _(cell: Cell) -> None:
    """A secondary, whose primary is elsewhere."""
    zone = "copy.test"
    if cell.driver == "hetzner":
        cell.wire.backend.server.zones[cell.zone]["mode"] = "secondary"  # type: ignore[attr-defined]
        zone = cell.zone
    with pytest.raises(DnsFailed, match=r"zone copy\.test|secondary"):
        publish(inventory(zone, cell.wire.settings()))
    cell.untouched()


@fault("ignored")
def _(cell: Cell) -> None:
    plan = cell.plan()
    cell.wire.strike("ignored", cell.last_write(plan, "records"))
    said, there = cell.fails(DnsFailed, plan, "accepted the update, but when read back")
    missing = names(plan) - there
    assert missing
    assert all(name in said for name in missing)
    cell.foreign()
    cell.wire.forget()
    cell.heals()


@fault("answer lost")
def _(cell: Cell) -> None:
    plan = cell.plan()
    cell.wire.strike("lost", cell.last_write(plan))
    assert cell.apply(plan) == names(plan)
    cell.foreign()
    cell.heals()
    cell.leaves()


@fault("nothing done and no answer")
def _(cell: Cell) -> None:
    plan = cell.plan()
    cell.wire.strike("dropped")
    said, there = cell.fails(DnsUnreachable, plan, "read back, nothing of it was done")
    assert not there, said
    cell.untouched()
    cell.wire.catch_up()
    cell.heals()


@fault("server error after the change")
def _(cell: Cell) -> None:
    plan = cell.plan()
    cell.wire.strike("broken", cell.last_write(plan))
    assert cell.apply(plan) == names(plan)
    cell.foreign()
    cell.heals()


@fault("server that lags")
def _(cell: Cell) -> None:
    """What was accepted is not there yet when it is read back, and comes later."""
    plan = cell.plan()
    cell.wire.strike("late", cell.last_write(plan, "records"))
    said, there = cell.fails(DnsFailed, plan, "accepted the update, but when read back")
    missing = names(plan) - there
    assert missing
    assert all(name in said for name in missing)
    cell.foreign()
    cell.wire.catch_up()
    cell.heals()
    cell.leaves()


@fault("zone cut")
def _(cell: Cell) -> None:
    """Below the domain, above a host's name; it comes since the plan."""
    host = dataclasses.replace(cell.wanted().hosts[0], fqdn=f"mx1.deep.{cell.zone}")
    plan = cell.plan(dataclasses.replace(cell.wanted(), hosts=(host,)))
    cell.backend.put(cell.zone, f"deep.{cell.zone}", 60, "NS", "ns.elsewhere.test.")
    cell.before = cell.whole()
    cell.fails(DnsFailed, plan, r"deep\..* is delegated .*nothing was written")
    cell.untouched()


@fault("wildcard")
def _(cell: Cell) -> None:
    """It answers for the host's name with the very address that is wanted: that is published all the same."""
    for kind, value in (("A", "10.0.0.1"), ("MX", "10 mail.example.")):
        cell.backend.put(cell.zone, f"*.{cell.zone}", 300, kind, value)
    cell.before = cell.whole()
    plan = cell.plan()
    assert f"mx1.{cell.zone} A" in names(plan)
    (lost,) = [notice for notice in plan.notices if "RFC 4592" in notice]
    assert f"mx1.{cell.zone} (MX)" in lost
    cell.apply(plan)
    cell.heals()
    assert cell.backend.texts(cell.zone, f"mx1.{cell.zone}", "A") == {"10.0.0.1"}


NO_DNAME = "it has no DNAME records"


@fault(
    "DNAME",
    cloudflare=NO_DNAME,
    digitalocean=NO_DNAME,
    hetzner=NO_DNAME,
    octodns_cloudflare=NO_DNAME,
    route53=NO_DNAME,
)
def _(cell: Cell) -> None:
    """What is below it would be seen by nobody. A class of octoDNS that does not read it says so in its plans."""
    cell.backend.put(cell.zone, f"moved.{cell.zone}", 60, "DNAME", "other.example.")
    cell.before = cell.whole()
    base = cell.wanted()
    domain = dataclasses.replace(base.domains[0], name=f"x.moved.{cell.zone}")
    if cell.driver == "rfc2136-powerdns":  # its dname-processing is off: what is below answers
        cell.apply(cell.plan(dataclasses.replace(base, domains=(domain,))))
        cell.foreign()
        return
    if cell.driver == "octodns-powerdns":
        plans = zones.plan(cell.wanted())
        (said,) = [text for plan in plans for text in plan.notices if "is not seen" in text]
        assert "DNAME" in said
        cell.apply(cell.plan())
        cell.foreign()
        return
    with pytest.raises(DnsFailed, match=f"x.moved.{cell.zone} .*DNAME"):
        cell.plan(dataclasses.replace(base, domains=(domain,)))
    cell.untouched()


TOKEN = "a token knows no time"


@fault(
    "clock",
    powerdns=TOKEN,
    cloudflare=TOKEN,
    digitalocean=TOKEN,
    gandi=TOKEN,
    hetzner=TOKEN,
    octodns_cloudflare=TOKEN,
    octodns_powerdns=TOKEN,
)
def _(cell: Cell) -> None:
    """This machine's is an hour ahead. OVHcloud is asked for its time; elsewhere it is said that clocks differ."""
    real = time.time
    with pytest.MonkeyPatch.context() as patch:
        if cell.driver == "ovh":
            cell.backend.api.ahead = -90_000  # type: ignore[attr-defined]
        elif cell.driver == "route53":
            from botocore import auth

            late = auth.get_current_datetime
            patch.setattr(auth, "get_current_datetime", lambda **how: late(**how) + timedelta(hours=1))
        else:
            patch.setattr(time, "time", lambda: real() + 3600)
        if cell.driver != "ovh":
            with pytest.raises(DnsFailed, match="clock"):
                cell.plan()
    cell.untouched()
    cell.heals()


@fault("3 kB of text")
def _(cell: Cell) -> None:
    """Somebody else's beside ours, and a key of ours that takes several strings."""
    texts = " ".join(f'"{letter * cell.backend.cut_at}"' for letter in "abcdefghijkl")
    cell.backend.put(cell.zone, cell.zone, 60, "TXT", texts, '"site=abc; x"')
    cell.before = cell.whole()
    key = "v=DKIM1; k=rsa; p=" + "A" * 736
    keys = {"mx1": {f"{cell.zone}.mx1-rsa-1": key}}
    abilities = providers.of(cell.wanted().dns).abilities
    if abilities and abilities.longest_text:
        with pytest.raises(DnsFailed, match="takes 512 at most, so nothing was written"):
            publish(cell.wanted(), keys=keys)
        assert cell.whole() == cell.before
        key = key[:410]
        keys = {"mx1": {f"{cell.zone}.mx1-rsa-1": key}}
    for _ in range(2):
        publish(cell.wanted(), keys=keys)
    cell.foreign()
    (text,) = cell.backend.texts(cell.zone, f"mx1-rsa-1._domainkey.{cell.zone}", "TXT")
    assert text.replace('" "', "") == f'"{key}"'
    assert not zones.plan(cell.wanted(), keys=keys)[0].changes
    cell.leaves()


@fault("internationalised names")
def _(cell: Cell) -> None:
    """A mail domain of ours beside somebody else's name (bücher), both as they stand in DNS."""
    base = cell.wanted()
    domain = dataclasses.replace(base.domains[0], name=f"xn--caf-dma.{cell.zone}")
    wanted = dataclasses.replace(base, domains=(domain,))
    cell.apply(cell.plan(wanted))
    cell.foreign()
    assert cell.backend.texts(cell.zone, domain.name, "MX") == {f"10 mx1.{cell.zone}."}
    assert not cell.plan(wanted).changes
    cell.leaves(domain.name)


@fault("large zone")
def _(cell: Cell) -> None:
    """With 2,500 records of others, in the long form 50,000: calls and questions do not grow where the driver says that
    it reads by name; elsewhere they grow by the pages of one list (PowerDNS' class of octoDNS has the zone as one).
    """
    cell.apply(cell.plan())
    can = providers.of(cell.wire.settings()).abilities
    assert can is not None
    asked, standing, some, most = [], len(cell.whole()), 500, 50_000 if LONG else 2500
    for numbers in (range(some), range(some, most)):
        cell.wire.fill(cell.zone, numbers)
        before = cell.wire.asked()
        assert not cell.plan().changes
        asked.append(cell.wire.asked() - before)
    assert len(cell.foreign()) == standing + most
    flat = can.reads_sets or cell.driver == "octodns-powerdns"
    assert asked[1] - asked[0] <= (0 if flat else most // 100)  # the smallest page of any provider


@fault(
    "called too often",
    updates="a name server that limits answers does so on UDP, and mailprov asks on TCP",
)
def _(cell: Cell) -> None:
    """When reading and when writing: it waits as long as it is asked to, then goes on. Where a class of octoDNS does
    not wait, that is said, and nothing is written.
    """
    if cell.driver == "octodns-powerdns":
        plan = cell.plan()
        cell.wire.throttle(2)
        for run in (cell.plan, lambda: cell.apply(plan)):
            with pytest.raises(DnsFailed, match="too often"):
                run()
        cell.untouched()
        cell.wire.catch_up()
        cell.heals()
        return
    cell.wire.throttle(2)
    plan = cell.plan()
    assert cell.apply(plan) == names(plan)
    cell.wire.catch_up()
    naps = None if cell.driver.startswith("octodns") else getattr(cell.wire, "naps", None)
    assert naps is None or naps[-4:] == [3, 3, 3, 3]
    cell.heals()


@fault("key revoked since the plan")
def _(cell: Cell) -> None:
    plan = cell.plan()
    with cell.wire.revoked():
        events: list[Event] = []
        with pytest.raises(DnsFailed):
            zones.apply(plan, events.append)
        assert not done(events)
        cell.untouched()
    cell.heals()


@fault(
    "page 2 of a list",
    updates="an answer is one message, which is whole or is refused (TC on TCP)",
    powerdns="its lists are whole",
    octodns_powerdns="its lists are whole",
    ovh="its lists are whole",
)
def _(cell: Cell) -> None:
    """Of zones and of records: what stands there is known."""
    cell.backend.put(cell.zone, cell.zone, 600, "MX", f"5 ns.{cell.zone}.")
    cell.before = cell.whole()
    cell.wire.pages(2)
    with pytest.raises(DnsFailed, match="has MX that mailprov did not write: 5 ns"):
        cell.plan()
    cell.untouched()
    cell.backend.put(cell.zone, cell.zone, 600, "MX")
    cell.before = cell.whole()
    cell.heals()
    cell.wire.pages(None)


@fault("half a batch")
def _(cell: Cell) -> None:
    """Where all or nothing holds for one batch, of several; else in the middle of one."""
    base = cell.wanted()
    more = tuple(Domain(f"d{number}.{cell.zone}", ("mx1",)) for number in (1, 2))
    wanted = dataclasses.replace(base, domains=(*base.domains, *more))
    open_driver = providers.open_driver
    whole = cell.plan(wanted)
    assert whole.work

    def in_batches(settings: DnsSettings) -> Driver:
        driver = open_driver(settings)
        if driver.abilities.capacity:
            weight = driver.weigh(cell.zone, whole.work.snapshot, whole.work.diff.edits)  # type: ignore[union-attr]
            driver.abilities = dataclasses.replace(driver.abilities, capacity=weight - 1)
        return driver

    cell.patch.setattr(providers, "open_driver", in_batches)
    plan = cell.plan(wanted)
    atomic = providers.of(cell.wire.settings()).abilities.atomic  # type: ignore[union-attr]
    cell.wire.strike("dropped", 1 if atomic else 3)
    said, there = cell.fails(DnsUnreachable, plan, "read back, ")
    now = cell.foreign()
    new = {f"{name} {kind}" for name, kind in now if now[name, kind] != cell.before.get((name, kind))}
    assert there <= new, said
    assert {name for name in new if not name.startswith("_mailprov.")} <= there, said
    assert there, "nothing of it was done"
    assert there < names(plan)
    cell.wire.catch_up()
    cell.heals(wanted)
    cell.leaves(*(domain.name for domain in more))


DRIVERS = tuple(name for name in BACKENDS if name != "memory")
CELLS = [(driver, name) for driver in DRIVERS for name in FAULTS if (name, driver) not in SPARED]


@pytest.fixture(scope="module")
def wires(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Wire]]:
    with one_at_a_time(WIRES, tmp_path_factory) as made:
        yield made


@pytest.mark.parametrize(("driver", "name"), CELLS)
def test_cell(wires: Callable[[str], Wire], driver: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = wires(driver)
    cell = Cell(wire, name, monkeypatch)
    cell.driver = driver
    try:
        FAULTS[name](cell)
    finally:
        wire.catch_up()


def test_no_cell_is_missing() -> None:
    assert tuple(FAULTS) == ASKED_FOR
    assert WIRES.keys() == set(DRIVERS)
    publishing = {each.name for each in providers.every() if each.abilities}
    assert {driver.partition("-")[0] for driver in DRIVERS} == publishing
    every = {(name, driver) for name in ASKED_FOR for driver in DRIVERS}
    tried = {(name, driver) for driver, name in CELLS}
    assert tried | SPARED.keys() == every
    assert not tried & SPARED.keys()
    assert all(len(why) > 15 for why in SPARED.values())
