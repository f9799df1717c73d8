"""Taking back terms in somebody else's SPF record; test_contract_spf.py does it on every driver, this is the rest."""

from __future__ import annotations

from mailprov.dns import unsealed
from mailprov.dns.diff import plan_zone
from mailprov.dns.ownership import Identity
from mailprov.dns.rrsets import Edit
from mailprov.dns.undo import Image, Undo, before_image, merged, undo_zone
from mailprov.model.dns import DnsSettings
from mailprov.model.records import Record
from tests.unit.dns.servers import inventory
from tests.unit.dns.test_dns_diff import after
from tests.unit.dns.test_foreign_spf import FOREIGN, OTHERS, OURS, ZONE, done, edited, plan, spf, texts


def run(zone: list[Record], wanted: str | None, who: Identity = OURS) -> tuple[list[Record], Image]:
    diff = plan(zone, wanted, who)
    return after(zone, diff), before_image(ZONE, diff.edits, zone)


def back(zone: list[Record], *images: Image) -> tuple[list[Record], Undo]:
    found = undo_zone(merged(images)[ZONE], zone)
    return after(zone, found.diff), found


def test_terms_that_a_run_took_out_come_back() -> None:
    first = done(texts(FOREIGN))
    zone, image = run(first, "v=spf1 a:b.test -all")
    assert back(zone, image)[0] == first
    changed = edited(zone, spf(zone), "v=spf1 a:b.test include:x.test  ip4:192.0.2.9 ?all")
    assert spf(back(changed, image)[0]) == "v=spf1 include:x.test  ip4:192.0.2.9 mx ?all"


def test_several_runs_as_one() -> None:
    zone, first = run(texts(FOREIGN), "v=spf1 mx -all")
    zone, second = run(zone, "v=spf1 mx a:b.test -all")
    assert back(zone, first, second)[0] == texts(FOREIGN)
    changed = edited(zone, spf(zone), "v=spf1 mx a:b.test a:new.test -all")
    assert spf(back(changed, first, second)[0]) == "v=spf1 a:new.test -all"


def test_a_term_that_was_added_again() -> None:
    """The marker knew it before the run and behind it."""
    zone = done(texts(FOREIGN))
    zone = edited(zone, spf(zone), FOREIGN)
    now, image = run(zone, "v=spf1 mx -all")
    assert set(back(now, image)[0]) == set(zone)
    changed = edited(now, spf(now), "v=spf1 mx ~all")
    assert spf(back(changed, image)[0]) == "v=spf1 ~all"


def test_a_term_that_another_inventory_wants_by_now_stays() -> None:
    zone, image = run(texts(FOREIGN), "v=spf1 mx -all")
    zone = done(zone, "v=spf1 mx -all", OTHERS)
    left, found = back(zone, image)
    assert (spf(left), found.left) == ("v=spf1 include:x.test mx ~all", ())
    assert done(left, None, OTHERS) == texts(FOREIGN)


def test_where_nothing_of_ours_is_in_it_any_more_nothing_goes() -> None:
    zone, image = run(texts(FOREIGN), "v=spf1 mx -all")
    zone = edited(zone, spf(zone), "v=spf1 a:new.test -all")
    left, found = back(zone, image)
    assert (left, found.left, found.diff.notices) == (texts("v=spf1 a:new.test -all"), (), ())


def test_beside_it_what_the_run_wrote_as_a_whole_goes_too() -> None:
    theirs = texts(FOREIGN)
    desired = [Record(ZONE, "TXT", "v=spf1 mx -all"), Record(ZONE, "TXT", "site=abc")]
    diff = plan_zone(ZONE, theirs, desired, OURS)
    zone, image = after(theirs, diff), before_image(ZONE, diff.edits, theirs)
    changed = edited(zone, spf(zone), "v=spf1 mx a:new.test -all")
    assert back(zone, image)[0] == theirs
    assert back(changed, image)[0] == texts("v=spf1 a:new.test -all")


def test_what_was_taken_over_is_left_alone_where_it_was_changed() -> None:
    diff = plan(texts(FOREIGN), take_over=True)
    zone, image = after(texts(FOREIGN), diff), before_image(ZONE, diff.edits, texts(FOREIGN))
    assert back(zone, image)[0] == texts(FOREIGN)
    changed = edited(zone, spf(zone), "v=spf1 mx a:new.test -all")
    left, found = back(changed, image)
    assert (spf(left), found.left) == ("v=spf1 mx a:new.test -all", (f"{ZONE} TXT",))


def test_of_an_image_without_a_seal_only_our_terms_are_believed() -> None:
    """Going back takes away terms that the marker knows, and brings back terms that the inventory wants."""
    wanted = inventory(ZONE, DnsSettings())
    merged_zone, before = done(texts(FOREIGN)), texts(FOREIGN)
    merged_text = spf(merged_zone)

    def doubted(zone: list[Record], old: str, new: str) -> bool:
        edit = Edit(ZONE, "TXT", 60, (old,), (new,))
        return bool(unsealed.doubts([edit], zone, hosts=["mx1"], inventory=wanted))

    assert not doubted(merged_zone, merged_text, FOREIGN)
    assert not doubted(before, FOREIGN, merged_text)
    for lie in (
        "v=spf1 include:x.test ip4:192.0.2.66 ~all",
        "v=spf1 ~all",
        "v=spf1 include:x.test -all",
        "v=spf1 include:X.test ~all",
        "v=spf1 include:x.test  ~all",
    ):
        assert doubted(merged_zone, merged_text, lie), lie
    for lie in (
        "v=spf1 include:x.test include:evil.test ~all",
        "v=spf1 mx ~all",
        "v=spf1 include:x.test mx -all",
    ):
        assert doubted(before, FOREIGN, lie), lie
    foreign_mx = texts("v=spf1 include:x.test mx ~all")
    assert doubted(foreign_mx, spf(foreign_mx), FOREIGN), "that mx is nobody's but the owner's"
