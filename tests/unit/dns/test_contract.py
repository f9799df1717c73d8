"""What every driver must pass, whatever it writes to: one suite, run against each (drivers.py says which).

Each test has a zone of its own, and compares all of it before and after: nothing of anybody else ever changes.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mailprov import dns as zones
from mailprov.client.pacc import wanted
from mailprov.dns import providers, seal
from mailprov.dns.driver import Driver, Outcome, Place, Result, Say
from mailprov.dns.rrsets import Edit, RRset, Snapshot
from mailprov.dns.standing import standing
from mailprov.errors import DnsFailed, MailprovError
from mailprov.model import pacc
from mailprov.model.events import Applied, Event
from mailprov.model.inventory import Inventory, Tls, TlsMode
from mailprov.run import configurations, policies
from tests.unit.dns.backend import Backend, Zone
from tests.unit.dns.drivers import BACKENDS, Memory
from tests.unit.dns.servers import inventory


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made


def planned(wanted: Inventory, zone: str, take_over: bool = False) -> zones.ZonePlan:
    return next(plan for plan in zones.plan(wanted, take_over) if plan.zone == zone)


def publish(wanted: Inventory) -> list[Event]:
    events: list[Event] = []
    for plan in zones.plan(wanted):
        zones.apply(plan, events.append)
    return events


def foreign(before: Zone, after: Zone) -> None:
    """Everything that stood before stands with its TTL; in a set that we share, too."""
    for key, (ttl, texts) in before.items():
        assert key in after, key
        assert texts <= after[key][1]
        assert after[key][0] == ttl


def told(events: Sequence[Event]) -> set[str]:
    return {event.change.name for event in events if isinstance(event, Applied)}


def test_publish_read_back_and_no_second_time(backend: Backend) -> None:
    wanted = inventory("contract1.test", backend.settings(), hosts=2)
    plan = planned(wanted, "contract1.test")
    events: list[Event] = []
    zones.apply(plan, events.append)
    assert told(events) == {change.name for change in plan.changes}
    assert backend.texts("contract1.test", "contract1.test", "MX") == {
        "10 mx1.contract1.test.",
        "20 mx2.contract1.test.",
    }
    assert backend.texts("contract1.test", "contract1.test", "TXT") == {'"v=spf1 mx -all"'}
    assert not planned(wanted, "contract1.test").changes


def test_foreign_values_stay_and_ours_leave_with_the_domain(backend: Backend) -> None:
    """Also in the sets that we share: texts at the domain's name, cut and escaped by somebody else."""
    before = backend.whole("contract2.test")
    wanted = inventory("contract2.test", backend.settings())
    publish(wanted)
    foreign(before, backend.whole("contract2.test"))
    assert '"v=spf1 mx -all"' in backend.texts("contract2.test", "contract2.test", "TXT")
    others = inventory("contract10.test", backend.settings(), start=9)
    served = {"contract2.test": ["mx1.contract2.test"]}
    for plan in zones.plan(others, served=served):
        zones.apply(plan, lambda event: None)
    assert backend.whole("contract2.test") == before


def test_a_foreign_mx_and_spf_are_conflicts(backend: Backend) -> None:
    before = backend.whole("contract3.test")
    with pytest.raises(DnsFailed, match=r"contract3\.test has MX that mailprov did not write: 5 ns"):
        zones.plan(inventory("contract3.test", backend.settings()))
    assert backend.whole("contract3.test") == before


def test_take_over_and_back(backend: Backend) -> None:
    wanted = inventory("contract3.test", backend.settings())
    before = backend.whole("contract3.test")
    plan = planned(wanted, "contract3.test", take_over=True)
    image = zones.before_image(plan)
    zones.apply(plan, lambda event: None)
    assert backend.texts("contract3.test", "contract3.test", "MX") == {"10 mx1.contract3.test."}
    assert image is not None
    sealed = seal.sealed(image, "run", wanted.dns)
    (back,) = zones.plan_undo(wanted, [{**sealed, "told": ["mx1"]}])
    zones.apply(back, lambda event: None)
    assert backend.whole("contract3.test") == before


def test_a_cname_is_a_conflict(backend: Backend) -> None:
    before = backend.whole("contract4.test")
    with pytest.raises(DnsFailed, match=r"mx1\.contract4\.test is a CNAME of target\.contract4\.test"):
        zones.plan(inventory("contract4.test", backend.settings()))
    assert backend.whole("contract4.test") == before


def test_where_names_belong(backend: Backend) -> None:
    with providers.open_driver(backend.settings()) as driver:
        names = ["contract5.test", "a.b.contract5.test", "x.sub.contract5.test", "nowhere.example"]
        found = driver.query(names=[*names, "x.sub.contract8.test"]).places
    assert found["contract5.test"] == found["a.b.contract5.test"] == Place("contract5.test")
    cut = found["x.sub.contract5.test"]
    assert (cut.zone, cut.seen) == (
        None,
        "sub.contract5.test is delegated from contract5.test to other servers",
    )
    assert found["nowhere.example"].zone is None
    assert found["nowhere.example"].seen
    assert found["x.sub.contract8.test"].dname == ("sub.contract8.test" if backend.redirects else "")


def test_a_ttl_of_others_stays(backend: Backend) -> None:
    before = backend.whole("contract6.test")
    publish(inventory("contract6.test", backend.settings()))
    foreign(before, backend.whole("contract6.test"))
    publish(inventory("contract6.test", backend.settings(ttl=900)))
    foreign(before, backend.whole("contract6.test"))
    assert backend.whole("contract6.test")["mx1.contract6.test", "A"] == (900, frozenset({"10.0.0.1"}))


def test_digests_of_a_file_that_changes_stand_together(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new one beside the old one before the file changes; the old one goes when the new file was read back."""
    zone = "contract20.test"
    key = (pacc.record_name(zone), "TXT")
    before = backend.whole(zone)
    made = inventory(zone, backend.settings())
    hosts = tuple(
        dataclasses.replace(host, tls=Tls(TlsMode.ACME), settings={"web": True}) for host in made.hosts
    )
    (domain,) = made.domains
    old = dataclasses.replace(made, hosts=hosts, domains=(dataclasses.replace(domain, mta_sts="off"),))
    named = dataclasses.replace(old.domains[0], mail_name=f"mail.{zone}")
    new = dataclasses.replace(old, domains=(named,))
    files = [str(wanted(each, each.domains[0])) for each in (old, new)]
    given = [files[0]]
    monkeypatch.setattr(policies, "fetch", lambda *asked: given[0])

    def stand() -> set[str]:
        return set(standing(old.dns, [key])[key].values)

    def apply(of: Inventory) -> None:
        publish(policies.ReadBack(of).inventory())

    apply(configurations.settled(old))
    assert stand() == {pacc.record(files[0])}
    settled = configurations.settled(new)
    change = settled.domains[0].pacc
    assert change is not None
    assert change.file == files[0]
    apply(settled)
    assert stand() == set(change.values) == {pacc.record(files[0]), change.values[1]}
    assert pacc.digest(files[1]) in pacc.stated(stand())
    assert configurations.settled(new).domains[0].pacc == change
    now = configurations._now() + datetime.timedelta(days=9)
    monkeypatch.setattr(configurations, "_now", lambda: now)
    settled = configurations.settled(new)
    change = settled.domains[0].pacc
    assert change is not None
    assert change.file == files[1]
    apply(settled)  # killed behind that: both stand still
    assert len(stand()) == 2
    given[0] = files[1]
    apply(settled)
    assert stand() == {pacc.record(files[1])}
    foreign(before, backend.whole(zone))


def test_what_came_since_the_plan_is_kept_or_refused(backend: Backend) -> None:
    """A text beside ours: planned anew, and both stand. An MX: that was never shown, so nothing is written."""
    plan = planned(inventory("contract9.test", backend.settings()), "contract9.test")
    backend.put("contract9.test", "contract9.test", 60, "TXT", '"since"')
    zones.apply(plan, lambda event: None)
    assert backend.texts("contract9.test", "contract9.test", "TXT") == {'"since"', '"v=spf1 mx -all"'}
    plan = planned(inventory("contract11.test", backend.settings()), "contract11.test")
    backend.put("contract11.test", "contract11.test", 60, "MX", "5 ns.contract11.test.")
    before = backend.whole("contract11.test")
    with pytest.raises(MailprovError):
        zones.apply(plan, lambda event: None)
    assert backend.whole("contract11.test") == before


def test_what_comes_in_the_last_moment_is_never_lost(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind all that is read before a write. Only compare-and-swap can hold that."""
    if not compares(backend):
        pytest.skip("this driver has no compare-and-swap, which its abilities say")
    plan = planned(inventory("contract12.test", backend.settings()), "contract12.test")
    write = backend.driver.write
    calls: list[int] = []

    def late(self: Driver, zone: str, *args: object) -> Outcome:
        if not calls:
            backend.put("contract12.test", "contract12.test", 60, "TXT", '"late"')
        calls.append(1)
        return write(self, zone, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(backend.driver, "write", late)
    zones.apply(plan, lambda event: None)
    assert backend.texts("contract12.test", "contract12.test", "TXT") == {'"late"', '"v=spf1 mx -all"'}
    assert len(calls) == 2


def compares(backend: Backend) -> bool:
    with providers.open_driver(backend.settings()) as driver:
        return driver.abilities.compare_and_swap


@pytest.fixture
def writing(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """What write() says in place of doing it, one for each call; then it works again."""
    write = backend.driver.write
    script: list[Outcome] = []

    def scripted(
        self: Driver,
        zone: str,
        snapshot: Snapshot,
        edits: Sequence[Edit],
        version: RRset | None,
        say: Say,
    ) -> Outcome:
        return script.pop(0) if script else write(self, zone, snapshot, edits, version, say)

    monkeypatch.setattr(backend.driver, "write", scripted)
    return script


def test_a_compare_and_swap_that_fails_is_tried_again(backend: Backend, writing: list[Outcome]) -> None:
    plan = planned(inventory("contract18.test", backend.settings()), "contract18.test")
    writing += [Outcome(Result.CHANGED)] * 2
    events: list[Event] = []
    zones.apply(plan, events.append)
    assert told(events) == {change.name for change in plan.changes}


def test_what_a_provider_cannot_hold_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of types and TTLs: here of the provider that is made for tests, whose abilities can be chosen."""
    with BACKENDS["memory"](tmp_path) as backend:
        narrow = dataclasses.replace(Memory.abilities, types=frozenset({"A", "TXT"}), ttls=(600, 3600))
        monkeypatch.setattr(Memory, "abilities", narrow)
        wanted = inventory("contract1.test", backend.settings(ttl=60))
        plan, notices = zones.plan(wanted)
        zones.apply(plan, lambda event: None)
        assert notices.notices == (
            "memory takes a TTL of 600 to 3600: 600 in place of 60",
            "memory has no MX records, so publish by hand: contract1.test MX 10 mx1.contract1.test",
        )
        there = backend.whole("contract1.test")
        assert {kind for _, kind in there} == {"A", "TXT"}
        assert {ttl for ttl, _ in there.values()} == {600}
        assert not zones.plan(wanted)[0].changes
