"""What every driver must pass, whatever it writes to: one suite, run against each (drivers.py says which).

Each test has a zone of its own, and compares all of it before and after: nothing of anybody else ever changes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mailprov import dns as zones
from mailprov.dns import providers, seal
from mailprov.dns.driver import Driver, Outcome, Place, Result, Say
from mailprov.dns.rrsets import Edit, RRset, Snapshot
from mailprov.errors import DnsFailed, DnsUnreachable, MailprovError
from mailprov.model.events import Applied, Event
from mailprov.model.inventory import Inventory
from tests.unit.dns.backend import Backend, Zone
from tests.unit.dns.drivers import BACKENDS, Memory
from tests.unit.dns.servers import inventory


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made


def planned(wanted: Inventory, zone: str) -> zones.ZonePlan:
    return next(plan for plan in zones.plan(wanted) if plan.zone == zone)


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
    (plan,) = zones.plan(wanted, take_over=True)
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


def test_a_zone_that_is_not_there(backend: Backend) -> None:
    with pytest.raises(DnsFailed, match=r"the zone of nowhere\.example is not there"):
        zones.plan(inventory("nowhere.example", backend.settings()))


def test_a_ttl_of_others_stays(backend: Backend) -> None:
    before = backend.whole("contract6.test")
    publish(inventory("contract6.test", backend.settings()))
    foreign(before, backend.whole("contract6.test"))
    publish(inventory("contract6.test", backend.settings(ttl=900)))
    foreign(before, backend.whole("contract6.test"))
    assert backend.whole("contract6.test")["mx1.contract6.test", "A"] == (900, frozenset({"10.0.0.1"}))


def test_what_a_wildcard_says_is_not_there(backend: Backend) -> None:
    """It answers for the host's name with the very address that is wanted: that is published all the same."""
    before = backend.whole("contract7.test")
    plan = planned(inventory("contract7.test", backend.settings()), "contract7.test")
    assert "mx1.contract7.test A" in {change.name for change in plan.changes}
    (lost,) = [notice for notice in plan.notices if "RFC 4592" in notice]
    assert "mx1.contract7.test (MX)" in lost
    zones.apply(plan, lambda event: None)
    foreign(before, backend.whole("contract7.test"))
    assert backend.texts("contract7.test", "mx1.contract7.test", "A") == {"10.0.0.1"}


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


class Script(list[object]):
    """`half`: the sets of the edits that were really done."""

    half: frozenset[str] | set[str] = frozenset()


@pytest.fixture
def writing(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Script:
    """What write() is to do in place of what it does: an Outcome; or one behind a number of edits that it really does.
    One for each call, then it works again.
    """
    write = backend.driver.write
    script = Script()

    def scripted(
        self: Driver,
        zone: str,
        snapshot: Snapshot,
        edits: Sequence[Edit],
        version: RRset | None,
        say: Say,
    ) -> Outcome:
        if not script:
            return write(self, zone, snapshot, edits, version, say)
        count, outcome = script.pop(0)  # type: ignore[misc]
        if count:
            assert write(self, zone, snapshot, edits[:count], version, say).result is Result.DONE
            script.half = {f"{edit.name} {edit.type}" for edit in edits[:count]}
        assert isinstance(outcome, Outcome)
        return outcome

    monkeypatch.setattr(backend.driver, "write", scripted)
    return script


LOST = Outcome(Result.UNKNOWN, DnsUnreachable("the provider", "no answer within 10 s", "Wait"))
REFUSED = Outcome(Result.REFUSED, DnsFailed("the provider", "it refused the update", "Ask its owner"))


def test_an_answer_that_is_lost_after_the_change(backend: Backend, writing: Script) -> None:
    plan = planned(inventory("contract13.test", backend.settings()), "contract13.test")
    writing.append((1000, LOST))
    events: list[Event] = []
    zones.apply(plan, events.append)
    assert told(events) == {change.name for change in plan.changes}


def test_no_answer_and_nothing_done(backend: Backend, writing: Script) -> None:
    plan = planned(inventory("contract14.test", backend.settings()), "contract14.test")
    before = backend.whole("contract14.test")
    writing.append((0, LOST))
    with pytest.raises(DnsUnreachable, match="no answer within 10 s; read back, nothing of it was done"):
        zones.apply(plan, lambda event: None)
    assert backend.whole("contract14.test") == before
    zones.apply(planned(inventory("contract14.test", backend.settings()), "contract14.test"), lambda e: None)


def test_what_is_half_done_is_named_and_the_next_apply_heals_it(backend: Backend, writing: Script) -> None:
    before = backend.whole("contract15.test")
    wanted = inventory("contract15.test", backend.settings())
    plan = planned(wanted, "contract15.test")
    writing.append((2, LOST))
    events: list[Event] = []
    with pytest.raises(DnsUnreachable, match="these are not as wanted: "):
        zones.apply(plan, events.append)
    with providers.open_driver(backend.settings()) as driver:
        if not driver.abilities.atomic:
            assert told(events) == writing.half
    publish(wanted)
    assert not planned(wanted, "contract15.test").changes
    assert backend.texts("contract15.test", "contract15.test", "MX") == {"10 mx1.contract15.test."}
    with providers.open_driver(backend.settings()) as driver:
        if driver.abilities.atomic:
            return
    # What was written before it ended is known for ours.
    others = inventory("contract10.test", backend.settings(), start=9)
    for each in zones.plan(others, served={"contract15.test": ["mx1.contract15.test"]}):
        zones.apply(each, lambda event: None)
    assert backend.whole("contract15.test") == before


def test_refused(backend: Backend, writing: Script) -> None:
    plan = planned(inventory("contract16.test", backend.settings()), "contract16.test")
    before = backend.whole("contract16.test")
    writing.append((0, REFUSED))
    events: list[Event] = []
    with pytest.raises(DnsFailed, match="it refused the update"):
        zones.apply(plan, events.append)
    assert (told(events), backend.whole("contract16.test")) == (set(), before)


def test_accepted_and_silently_ignored(backend: Backend, writing: Script) -> None:
    plan = planned(inventory("contract17.test", backend.settings()), "contract17.test")
    writing.append((1, Outcome(Result.DONE)))
    events: list[Event] = []
    with pytest.raises(DnsFailed, match="accepted the update, but when read back"):
        zones.apply(plan, events.append)
    assert told(events) == writing.half


def test_a_compare_and_swap_that_fails_is_tried_again(backend: Backend, writing: Script) -> None:
    plan = planned(inventory("contract18.test", backend.settings()), "contract18.test")
    writing += [(0, Outcome(Result.CHANGED))] * 2
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


def test_a_zone_cut_that_comes_since_the_plan(backend: Backend) -> None:
    wanted = inventory("contract19.test", backend.settings())
    host = dataclasses.replace(wanted.hosts[0], fqdn="mx1.deep.contract19.test")
    plan = planned(dataclasses.replace(wanted, hosts=(host,)), "contract19.test")
    backend.put("contract19.test", "deep.contract19.test", 60, "NS", "ns.elsewhere.test.")
    before = backend.whole("contract19.test")
    with pytest.raises(DnsFailed, match=r"deep\.contract19\.test is delegated .*nothing was written"):
        zones.apply(plan, lambda event: None)
    assert backend.whole("contract19.test") == before


def test_three_kilobytes_of_text(backend: Backend) -> None:
    texts = " ".join(f'"{letter * 250}"' for letter in "abcdefghijkl")
    backend.put("contract20.test", "contract20.test", 60, "TXT", texts)
    before = backend.whole("contract20.test")
    wanted = inventory("contract20.test", backend.settings())
    key = "v=DKIM1; k=rsa; p=" + "A" * 736
    keys = {"mx1": {"contract20.test.mx1-rsa-1": key}}
    for _ in range(2):
        for plan in zones.plan(wanted, keys=keys):
            zones.apply(plan, lambda event: None)
    foreign(before, backend.whole("contract20.test"))
    (text,) = backend.texts("contract20.test", "mx1-rsa-1._domainkey.contract20.test", "TXT")
    assert text.replace('" "', "") == f'"{key}"'
    assert not zones.plan(wanted, keys=keys)[0].changes
