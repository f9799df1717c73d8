"""A record that the inventory did not ask for never stands in anybody's way: what stands there stays, and is judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from mailprov import dns as zones
from mailprov.dns import defaults, providers, seal
from mailprov.dns.diff import ZoneDiff, plan_zone
from mailprov.dns.ownership import Identity
from mailprov.errors import DnsFailed
from mailprov.model.inventory import Dmarc, Domain, Inventory
from mailprov.model.records import Record
from mailprov.records import desired_records
from mailprov.records.types.dmarc import DMARC
from tests.unit.dns.drivers import BACKENDS, Backend
from tests.unit.dns.servers import inventory

NAME = "_dmarc.alpha.test"
OURS = "v=DMARC1; p=none; aspf=s"
DEFAULT = Record(NAME, "TXT", OURS, label="DMARC", need="recommended", purpose="why", asked=False)
ASKED = dataclasses.replace(DEFAULT, asked=True)
WITHOUT_ASKING = Dmarc(asked=False)


def plan(*standing: Record, want: Record = DEFAULT, take_over: bool = False, **answered: str) -> ZoneDiff:
    told = {(name, "TXT"): (text,) for name, text in answered.items()}
    return plan_zone("alpha.test", standing, [want], Identity(("alpha.test",)), take_over, answered=told)


def names(diff: ZoneDiff) -> list[str]:
    return [change.name for change in diff.changes]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("v=DMARC1; p=none", "valid; receivers do nothing about forged mail"),
        ("v=DMARC1;p=Quarantine; pct=5", "valid; receivers put forged mail aside"),
        ("v=dmarc1; rua=mailto:a@b.test; p = reject", "valid; receivers refuse forged mail"),
        ("v=DMARC1; p=maybe", "no valid policy: receivers ignore it"),
        ("v=DMARC1", "no valid policy: receivers ignore it"),
    ],
)
@pytest.mark.parametrize("take_over", [False, True])
def test_a_foreign_one_stays_and_is_judged(text: str, verdict: str, take_over: bool) -> None:
    diff = plan(Record(NAME, "TXT", text, 60), take_over=take_over)
    assert (diff.changes, diff.conflicts) == ((), ())
    (notice,) = diff.notices
    assert f"DMARC of somebody else stands here and stays: {text} ({verdict})" in notice
    assert "`dmarc: off`" in notice


def test_several_foreign_ones_are_told_as_the_mistake_that_they_are() -> None:
    diff = plan(Record(NAME, "TXT", "v=DMARC1; p=none"), Record(NAME, "TXT", "v=DMARC1; p=reject"))
    assert diff.edits == ()
    assert "more than one: receivers take none of them" in diff.notices[0]


def test_one_that_was_asked_for_is_the_conflict_that_it_was() -> None:
    foreign = Record(NAME, "TXT", "v=DMARC1; p=reject")
    (conflict,) = plan(foreign, want=ASKED).conflicts
    assert "has DMARC that mailprov did not write" in conflict.what
    assert names(plan(foreign, want=ASKED, take_over=True))[0] == f"{NAME} TXT"


@pytest.mark.parametrize("kind", ["CNAME", "DNAME"])
def test_an_alias_at_its_name_stays(kind: str) -> None:
    there = Record(NAME, kind, "elsewhere.example")
    diff = plan(there)
    assert (diff.edits, diff.conflicts) == ((), ())
    assert "elsewhere.example" in diff.notices[0]
    assert plan(there, want=ASKED).conflicts


def test_what_a_wildcard_answers_or_a_domain_above_says_is_not_hidden() -> None:
    for answered in ({NAME: "v=DMARC1; p=reject"},):
        diff = plan(**answered)
        assert diff.edits == ()
        assert "a wildcard answers with DMARC" in diff.notices[0]
    sub = dataclasses.replace(DEFAULT, name="_dmarc.sub.alpha.test")
    diff = plan(want=sub, **{NAME: "v=DMARC1; p=reject"})
    assert diff.edits == ()
    assert "what stands at _dmarc.alpha.test holds here, so mailprov adds no DMARC" in diff.notices[0]
    assert plan(want=sub, **{NAME: "other text"}).edits
    assert list(DMARC.above("_dmarc.a.b.alpha.test")) == ["_dmarc.b.alpha.test", "_dmarc.alpha.test"]
    assert list(DMARC.above(NAME)) == []


@pytest.mark.parametrize(
    ("other", "comes"),
    [
        ("mx2.alpha.test", True),  # with it the wildcard answers for nothing below (RFC 4592 section 3.3.1)
        ("_tcp.mx2.alpha.test", True),
        ("x._25._tcp.mx2.alpha.test", True),
        ("alpha.test", False),
        ("mx1.alpha.test", False),
    ],
)
def test_a_wildcard_that_the_same_plan_ends_hinders_nothing(other: str, comes: bool) -> None:
    """Else the record would come with the second apply only."""
    name = "_25._tcp.mx2.alpha.test"
    ours = Record(name, "TLSA", f"3 1 1 {'a' * 64}", asked=False, label="TLSA")
    asked = Record(other, "A", "192.0.2.2")
    diff = plan_zone(
        "alpha.test",
        [],
        [asked, ours],
        Identity(("alpha.test",)),
        answered={(name, "TLSA"): (f"3 1 1 {'b' * 64}",)},
        wild={"*.alpha.test", "*.test"},
    )
    assert (f"{name} TLSA" in names(diff)) == comes, diff.changes


def test_texts_of_others_at_its_name_do_not_hinder_it() -> None:
    diff = plan(Record(NAME, "TXT", "verification=1", 60))
    assert diff.edits[0].add == (OURS,)
    assert diff.edits[0].ttl == 60


def test_it_comes_with_what_it_is_for_and_how_to_go_on() -> None:
    diff = plan()
    change = diff.changes[0]
    assert (change.label, change.need, change.purpose) == ("DMARC", "recommended", "why")
    assert (diff.notices, diff.first_seen) == ((), (DEFAULT,))
    (note,) = defaults.notes([DEFAULT, dataclasses.replace(DEFAULT, name="_dmarc.b.test")])
    assert note.startswith(f"{NAME}, _dmarc.b.test: p=none")
    assert "`policy: quarantine`" in note
    stands = [Record(edit.name, edit.type, value) for edit in diff.edits for value in edit.add]
    again = plan(*stands)
    assert (again.changes, again.notices, again.first_seen) == ((), (), ())


def test_where_somebody_writes_another_one_beside_ours_leaves() -> None:
    stands = [Record(edit.name, edit.type, value) for edit in plan().edits for value in edit.add]
    diff = plan(*stands, Record(NAME, "TXT", "v=DMARC1; p=reject"))
    assert diff.conflicts == ()
    assert (diff.edits[0].name, diff.edits[0].remove, diff.edits[0].add) == (NAME, (OURS,), ())


def test_an_inventory_without_the_key_has_the_record_and_below_it_nothing_is_weakened() -> None:
    base = inventory("alpha.test", zones_settings := dataclasses.replace(Inventory("i", (), ()).dns, ttl=300))
    (alpha,) = base.domains
    sub = dataclasses.replace(alpha, name="sub.alpha.test", dmarc=WITHOUT_ASKING)
    strict = dataclasses.replace(alpha, dmarc=Dmarc("reject"))
    default = dataclasses.replace(alpha, dmarc=WITHOUT_ASKING)

    def records(*domains: Domain) -> dict[str, bool]:
        wanted = Inventory("i", base.hosts, domains, zones_settings)
        return {one.name: one.asked for one in desired_records(wanted) if "v=DMARC1" in one.value}

    assert records(default) == {NAME: False}
    assert records(strict, sub) == {NAME: True}
    assert records(sub) == {"_dmarc.sub.alpha.test": False}


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made


def by_default(zone: str, backend: Backend, *subs: str) -> Inventory:
    base = inventory(zone, backend.settings())
    (domain,) = base.domains
    domains = [dataclasses.replace(domain, name=name, dmarc=WITHOUT_ASKING) for name in (zone, *subs)]
    return dataclasses.replace(base, domains=tuple(domains))


def apply(wanted: Inventory, **options: bool) -> list[str]:
    notices: list[str] = []
    for plan in zones.plan(wanted, **options):
        notices += plan.notices
        if plan.zone:
            zones.apply(plan, lambda event: None)
    return notices


def test_published_beside_nothing_and_taken_back(backend: Backend) -> None:
    zone = "contract11.test"
    wanted = by_default(zone, backend)
    before = backend.whole(zone)
    first, note = zones.plan(wanted)
    with providers.open_driver(wanted.dns) as driver:
        assert (note.zone, len(note.notices)) == ("", 1 + len(driver.weaker))
    image = zones.before_image(first)
    zones.apply(first, lambda event: None)
    assert backend.texts(zone, f"_dmarc.{zone}", "TXT") == {f'"{OURS}"'}
    assert not zones.plan(wanted)[0].changes
    assert image is not None
    (back,) = zones.plan_undo(wanted, [{**seal.sealed(image, "run", wanted.dns), "told": ["mx1"]}])
    zones.apply(back, lambda event: None)
    assert backend.whole(zone) == before


def test_nothing_foreign_changes_whatever_stands_there(backend: Backend) -> None:
    """At one domain another policy, at another a CNAME; and the rest of the zone is published."""
    zone, other = "contract12.test", "x.contract12.test"
    backend.put(zone, f"_dmarc.{other}", 77, "CNAME", "other.example.")
    backend.put(zone, f"_dmarc.y.{zone}", 77, "TXT", '"v=DMARC1; p=reject"')
    before = backend.whole(zone)
    wanted = by_default(other, backend, f"y.{zone}")
    for take_over in (False, True):
        notices = apply(wanted, take_over=take_over)
        after = backend.whole(zone)
        assert {key: after[key] for key in before} == before
        assert after[other, "MX"]
        told = [text for text in notices if "DMARC" in text]
        assert len(told) == 2
        assert any("p=reject (valid; receivers refuse forged mail)" in text for text in told)
        assert any(f"_dmarc.{other} is a CNAME of other.example" in text for text in told)
    assert not [plan.changes for plan in zones.plan(wanted) if plan.changes]


def test_a_policy_above_that_mailprov_did_not_write_holds(backend: Backend) -> None:
    zone = "contract13.test"
    backend.put(zone, f"_dmarc.{zone}", 77, "TXT", '"v=DMARC1; p=reject"')
    base = by_default(f"sub.{zone}", backend)
    hosts = tuple(dataclasses.replace(host, fqdn=f"mx1.{zone}") for host in base.hosts)
    notices = apply(dataclasses.replace(base, hosts=hosts))
    assert any(f"what stands at _dmarc.{zone} holds here" in text for text in notices)
    assert (f"_dmarc.sub.{zone}", "TXT") not in backend.whole(zone)


def test_an_asked_one_still_stops(backend: Backend) -> None:
    zone = "contract14.test"
    backend.put(zone, f"_dmarc.{zone}", 77, "TXT", '"v=DMARC1; p=reject"')
    with pytest.raises(DnsFailed, match="has DMARC that mailprov did not write"):
        zones.plan(inventory(zone, backend.settings()))


def test_what_leaves_above_with_the_same_plan_does_not_count(backend: Backend) -> None:
    """The policy of the domain above goes; without it the one below gets its default at once, not with the next run."""
    zone = "contract15.test"
    base = inventory(zone, backend.settings())
    below = Domain(f"sub.{zone}", ("mx1",), dmarc=WITHOUT_ASKING)
    asked = dataclasses.replace(base.domains[0], dmarc=Dmarc("reject"))
    for domain, policies in ((asked, {zone}), (dataclasses.replace(asked, dmarc=None), {below.name})):
        wanted = dataclasses.replace(base, domains=(domain, below))
        for plan in zones.plan(wanted):
            zones.apply(plan, lambda event: None)
        there = {name for name, _ in backend.whole(zone) if name.startswith("_dmarc.")}
        assert there == {f"_dmarc.{name}" for name in policies}
        assert not [plan.changes for plan in zones.plan(wanted) if plan.changes]
