"""Somebody else's SPF record: our terms are added to it, only they leave again, and nothing else of it ever changes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mailprov.dns import spf_merge
from mailprov.dns.diff import ZoneDiff, plan_zone
from mailprov.dns.foreign_spf import Facts
from mailprov.dns.ownership import Identity, marker_name, parse
from mailprov.model.records import Record
from mailprov.records.spf_check import check_host
from tests.unit.dns.test_dns_diff import GOOGLE, SPF, after, lines, values

ZONE = "alpha.test"
OURS = Identity((ZONE,))
OTHERS = Identity(("beta.test",))
FOREIGN = "v=spf1 include:x.test ~all"
KNOWN = Facts(texts={"x.test": ["v=spf1 ip4:192.0.2.7 -all"]})


def texts(*values: str, ttl: int = 60) -> list[Record]:
    return [Record(ZONE, "TXT", value, ttl) for value in values]


def plan(
    zone: Sequence[Record],
    wanted: str | None = "v=spf1 mx -all",
    who: Identity = OURS,
    facts: Facts = KNOWN,
    take_over: bool = False,
) -> ZoneDiff:
    desired = [Record(ZONE, "TXT", wanted, label="SPF")] if wanted else []
    return plan_zone(ZONE, zone, desired, who, take_over, facts=facts)


def done(
    zone: Sequence[Record], wanted: str | None = "v=spf1 mx -all", who: Identity = OURS, facts: Facts = KNOWN
) -> list[Record]:
    diff = plan(zone, wanted, who, facts)
    assert not diff.conflicts
    made = after(list(zone), diff)
    again = plan(made, wanted, who, facts)
    assert (again.edits, again.conflicts) == ((), ())
    return made


def spf(zone: Sequence[Record]) -> str:
    (found,) = (one.value for one in zone if one.name == ZONE and one.value.lower().startswith("v=spf1"))
    return found


def edited(zone: Sequence[Record], old: str, new: str) -> list[Record]:
    return [Record(r.name, r.type, new if r.value == old else r.value, r.ttl) for r in zone]


@pytest.mark.parametrize(
    ("theirs", "merged"),
    [
        ("v=spf1 include:x.test ~all", "v=spf1 include:x.test mx ~all"),
        ("V=SPF1  Include:X.test   ~ALL ", "V=SPF1  Include:X.test   mx ~ALL "),
        ("v=spf1 include:x.test ?all exp=e.test", "v=spf1 include:x.test mx ?all exp=e.test"),
        ("v=spf1 ip4:192.0.2.1", "v=spf1 ip4:192.0.2.1 mx"),
        ("v=spf1 ip4:192.0.2.1  ", "v=spf1 ip4:192.0.2.1 mx  "),
        ("v=spf1", "v=spf1 mx"),
        ("v=spf1 -all", "v=spf1 mx -all"),
        ("v=spf1 +all", "v=spf1 mx +all"),
        ("v=spf1 a -all mx", "v=spf1 a mx -all mx"),
        ("v=spf1 exists:%{i}._spf.x.test ~all", "v=spf1 exists:%{i}._spf.x.test mx ~all"),
        ("v=spf1 unknown=modifier -all redirect=x.test", "v=spf1 unknown=modifier mx -all redirect=x.test"),
    ],
)
def test_our_terms_come_before_all_and_leave_the_rest_as_it_was(theirs: str, merged: str) -> None:
    zone = [*texts(theirs), Record(ZONE, "TXT", GOOGLE.value, 60)]
    diff = plan(zone)
    assert lines(diff)[0] == f"update alpha.test TXT: {theirs} → {merged}"
    assert diff.changes[0].label == "SPF"
    there = done(zone)
    assert values(there, ZONE, "TXT") == {merged, GOOGLE.value}
    assert {r.ttl for r in there if r.name == ZONE} == {60}
    assert set(done(there, wanted=None)) == set(zone)


def test_alone_in_its_set_it_keeps_its_ttl_too() -> None:
    (edit, marker) = plan(texts(FOREIGN)).edits
    assert edit.ttl == 60
    (text,) = marker.add
    assert text == "v=mailprov3 zone=alpha.test for=alpha.test @/TXT=+mx"


def test_what_comes_beside_it_gets_its_ttl() -> None:
    desired = [Record(ZONE, "TXT", "site=abc", 300), Record(ZONE, "TXT", "v=spf1 mx -all", 300)]
    zone = after(texts(FOREIGN), plan_zone(ZONE, texts(FOREIGN), desired, OURS))
    assert {(r.value, r.ttl) for r in zone if r.name == ZONE} == {
        ("site=abc", 60),
        ("v=spf1 include:x.test mx ~all", 60),
    }
    assert plan_zone(ZONE, zone, desired, OURS).edits == ()


@pytest.mark.parametrize(
    "theirs",
    [
        "v=spf1 mx ~all",
        "v=spf1 +MX ?all",
        "v=spf1 mx:Alpha.Test. -all",
        "v=spf1 mx redirect=x.test",
        "v=spf1 ip4:10.0.0.0/24 ip6:2001:db8:1::1 ~all",
        "v=spf1 a:mx1.alpha.test ~all",
        "v=spf1 include:hosts.test ~all",
        "v=spf1 redirect=hosts.test",
    ],
)
def test_what_it_does_already_is_not_added(theirs: str) -> None:
    """By the same term, or because the addresses of all hosts of the domain pass."""
    facts = Facts(
        {ZONE: ("10.0.0.1", "2001:db8:1::1")},
        {("mx1.alpha.test", "A"): ["10.0.0.1"], ("mx1.alpha.test", "AAAA"): ["2001:db8:1::1"]},
        {"hosts.test": ["v=spf1 ip4:10.0.0.1 ip6:2001:db8:1::/64 -all"], "x.test": ["v=spf1 -all"]},
    )
    diff = plan(texts(theirs), facts=facts)
    assert (diff.edits, diff.conflicts) == ((), ())
    assert [notice for notice in diff.notices if f"alpha.test TXT {theirs}" in notice]


def test_addresses_of_one_host_of_two_do_not_do() -> None:
    facts = Facts({ZONE: ("10.0.0.1", "10.0.0.2")})
    assert spf(done(texts("v=spf1 ip4:10.0.0.1 ~all"), facts=facts)) == "v=spf1 ip4:10.0.0.1 mx ~all"


def test_all_that_pass_are_no_reason_to_add_nothing() -> None:
    """The owner may want to correct `+all`, and then it counts who is named."""
    facts = Facts({ZONE: ("10.0.0.1",)})
    diff = plan(texts("v=spf1 +all"), facts=facts)
    assert diff.notices == (
        "alpha.test: the SPF record of somebody else ends in +all, so anybody may send mail as alpha.test; mailprov "
        "leaves that: change it by hand",
    )
    assert plan(done(texts("v=spf1 +all"), facts=facts), facts=facts).notices == diff.notices


def test_only_what_is_missing_of_several() -> None:
    wanted = "v=spf1 a mx include:news.test -all"
    there = done(texts("v=spf1 a include:x.test ~all"), wanted)
    assert spf(there) == "v=spf1 a include:x.test mx include:news.test ~all"
    assert spf(done(there, wanted=None)) == "v=spf1 a include:x.test ~all"


def test_it_is_told_that_the_end_stays() -> None:
    assert plan(texts(FOREIGN)).notices == (
        "alpha.test: the SPF record goes on ending in ~all, as somebody else wrote it (-all by itself)",
    )
    assert plan(texts("v=spf1 include:x.test")).notices == (
        "alpha.test: the SPF record has no -all at its end, and gets none: somebody else wrote it",
    )


@pytest.mark.parametrize(
    ("theirs", "why", "advice"),
    [
        (
            "v=spf1 redirect=x.test",
            "it leads on to another record by redirect=x.test",
            "Add mx to the SPF record of x.test, or by hand before redirect=x.test",
        ),
        ("v=spf1 include:%{d}.x.test -all", "where include:%{d}.x.test leads is another place", "by hand"),
        ("v=spf1 ipv4:192.0.2.1 -all", "ipv4:192.0.2.1 in it is no term of SPF", "Correct it"),
        ("v=spf1 ip4:192.0.2.256 -all", "ip4:192.0.2.256 in it is no term of SPF", "Correct it"),
        ("v=spf1 include -all", "include in it is no term of SPF", "Correct it"),
        ("v=spf1 a\t-all", "a character that no SPF record may have (number 9)", "Correct it"),
        ("v=spf1 -mx ~all", "-mx in it says the contrary", "by hand"),
        (
            "v=spf1 " + " ".join(f"a:a{n}.test" for n in range(10)) + " -all",
            "it would take more than 10 DNS lookups, and receivers stop there",
            "Take out what is not needed any more",
        ),
        ("v=spf1 include:deep.test -all", "more than 10 DNS lookups", "Take out"),
        ("v=spf1 include:circle.test -all", "more than 10 DNS lookups", "Take out"),
        (
            "v=spf1 " + " ".join(f"ip4:192.0.2.{n}" for n in range(100, 130)) + " -all",
            "with its name it would have 504 octets, and 450 are sure to fit in an answer",
            "Take out",
        ),
    ],
)
def test_where_nothing_can_be_added_it_is_a_conflict(theirs: str, why: str, advice: str) -> None:
    facts = Facts(
        texts={
            "deep.test": ["v=spf1 a mx include:deeper.test -all"],
            "deeper.test": ["v=spf1 a:a a:b a:c a:d ptr exists:e.test ip4:192.0.2.1 redirect=last.test"],
            "last.test": ["v=spf1 -all"],
            "circle.test": ["v=spf1 include:circle.test -all"],
        }
    )
    diff = plan(texts(theirs), facts=facts)
    (conflict,) = diff.conflicts
    assert conflict.what.startswith("alpha.test has SPF that mailprov did not write: v=spf1 ")
    assert "; mx cannot be added to it, because " in conflict.what
    assert why in conflict.what
    assert advice in conflict.advice
    assert conflict.advice.endswith(", or run again with --take-over to replace it")
    assert not diff.edits
    assert spf(after(texts(theirs), plan(texts(theirs), take_over=True))) == "v=spf1 mx -all"


def test_ten_lookups_are_not_too_many() -> None:
    nine = "v=spf1 " + " ".join(f"a:a{n}.test" for n in range(9)) + " -all"
    assert spf_merge.count(spf(done(texts(nine))), {}).number == 10
    behind = "v=spf1 a -all " + " ".join(f"a:a{n}.test" for n in range(20))
    assert spf_merge.count(spf(done(texts(behind))), {}).number == 2


def test_lookups_that_are_not_known_are_told_and_so_is_what_is_broken() -> None:
    facts = Facts(texts={"x.test": None, "y.test": ["no SPF"], "z.test": ["v=spf1 include:x.test -all"]})
    diff = plan(texts("v=spf1 include:x.test include:y.test include:z.test -all"), facts=facts)
    assert diff.notices == (
        "alpha.test: the SPF record includes y.test, which has no single SPF record: receivers may take all of it for "
        "broken",
        "alpha.test: how many DNS lookups the SPF record takes is not known (5 or more, 10 are allowed), because there "
        "was no answer about x.test",
    )
    assert diff.edits


def test_what_the_owner_changes_meanwhile_stays() -> None:
    zone = done([*texts(FOREIGN)])
    zone = edited(zone, spf(zone), "v=spf1 mx a:new.test include:x.test  -all exp=e.test")
    assert plan(zone).edits == ()
    assert done(zone, wanted=None) == texts("v=spf1 a:new.test include:x.test  -all exp=e.test")


def test_the_same_term_that_the_owner_wrote_himself_meanwhile_stays_where_he_wrote_it() -> None:
    zone = done(texts(FOREIGN))
    zone = edited(zone, spf(zone), "v=spf1 mx include:x.test mx ~all")
    assert plan(zone).edits == ()
    assert done(zone, wanted=None) == texts("v=spf1 mx include:x.test ~all")


def test_a_term_of_ours_that_the_owner_took_out_is_planned_again_and_told() -> None:
    zone = done(texts(FOREIGN))
    zone = edited(zone, spf(zone), "v=spf1 a:new.test ~all")
    diff = plan(zone)
    assert lines(diff) == ["update alpha.test TXT: v=spf1 a:new.test ~all → v=spf1 a:new.test mx ~all"]
    assert diff.notices[0] == (
        "alpha.test: somebody took mx out of the SPF record, which mailprov had added; the inventory wants it"
    )


def test_a_record_that_is_gone_is_published_as_ours() -> None:
    zone = [one for one in done(texts(FOREIGN)) if one.name != ZONE]
    zone = done(zone)
    assert spf(zone) == "v=spf1 mx -all"
    assert done(zone, wanted=None) == []


def test_our_own_record_that_the_owner_changed_becomes_his() -> None:
    """What is left of ours goes with the domain."""
    zone = edited(done([]), SPF.value, "v=spf1 mx include:x.test ~all")
    assert [one.name for one in plan(zone).edits] == [marker_name(ZONE)]
    assert done(done(zone), wanted=None) == [Record(ZONE, "TXT", "v=spf1 include:x.test ~all")]


def test_other_terms_are_wanted_by_now() -> None:
    zone = done(texts(FOREIGN))
    zone = done(zone, "v=spf1 a:mx1.alpha.test include:x.test -all")
    assert spf(zone) == "v=spf1 include:x.test a:mx1.alpha.test ~all"
    assert done(zone, wanted=None) == texts(FOREIGN)


def test_two_inventories_in_one_record_each_take_out_their_own() -> None:
    zone = done(texts(FOREIGN))
    zone = done(zone, "v=spf1 mx a:b.test ~all", OTHERS)
    assert spf(zone) == "v=spf1 include:x.test mx a:b.test ~all"
    assert plan(zone).edits == ()
    first_leaves = done(zone, wanted=None)
    assert spf(first_leaves) == "v=spf1 include:x.test mx a:b.test ~all", "both want mx"
    assert done(first_leaves, None, OTHERS) == texts(FOREIGN)
    other_leaves = done(zone, None, OTHERS)
    assert spf(other_leaves) == "v=spf1 include:x.test mx ~all"
    assert done(other_leaves, wanted=None) == texts(FOREIGN)


def test_a_record_that_another_inventory_wrote_is_refused() -> None:
    zone = done([], "v=spf1 a:b.test -all", OTHERS)
    (conflict,) = plan(zone).conflicts
    assert conflict.what == (
        "alpha.test has SPF that mailprov did not write: v=spf1 a:b.test -all (wanted: v=spf1 mx -all)"
    )


def test_several_records_are_refused() -> None:
    (conflict,) = plan(texts(FOREIGN, "v=spf1 a -all")).conflicts
    assert "has 2 SPF records where there may be only one" in conflict.what


def test_what_was_taken_over_is_ours_as_a_whole() -> None:
    zone = done(texts(FOREIGN))
    zone = after(zone, plan(zone, take_over=True))
    assert spf(zone) == "v=spf1 mx -all"
    assert plan(zone).edits == ()
    assert done(zone, wanted=None) == []


def test_a_marker_can_speak_only_of_terms_that_mailprov_writes() -> None:
    told = (
        "@/TXT=+mx,+exists:%{i}.x,+all,+redirect=x,+include:x.test,+ip4:10.0.0.1,+ip6:2001:db8::1,+a:x_y.test,+MX "
        "@/MX=+mx"
    )
    marker = parse(marker_name(ZONE), f"v=mailprov3 zone={ZONE} for={ZONE} {told}")
    assert marker
    terms = {one for _, _, one in marker.entries}
    assert terms == {"+mx", "+include:x.test", "+ip4:10.0.0.1", "+ip6:2001:db8::1", "+a:x_y.test"}


WORDS = st.sampled_from(
    [
        "a",
        "A",
        "mx",
        "+MX",
        "mx:alpha.test",
        "include:x.test",
        "INCLUDE:X.TEST",
        "ip4:10.0.0.1",
        "ip4:10.0.0.0/30",
        "ip6:2001:db8::/32",
        "-ip4:10.0.0.2",
        "~a:b.test",
        "?all",
        "-all",
        "~ALL",
        "exp=e.test",
        "foo=bar",
        "a:b.test",
    ]
)
BLANKS = st.sampled_from([" ", "  "])
RECORDS = st.builds(
    lambda version, words, end: version + "".join(blank + word for blank, word in words) + end,
    st.sampled_from(["v=spf1", "V=SPF1"]),
    st.lists(st.tuples(BLANKS, WORDS), max_size=6),
    st.sampled_from(["", " ", "  "]),
)
WANTED = st.lists(
    st.sampled_from(["a", "mx", "a:mx1.alpha.test", "ip4:10.0.0.1", "ip6:2001:db8::1", "include:x.test"]),
    min_size=1,
    max_size=4,
    unique=True,
).map(lambda terms: " ".join(["v=spf1", *terms, "-all"]))


class _Answer:
    def __init__(self, *values: str) -> None:
        self.values = values


@settings(max_examples=300, deadline=None)
@given(RECORDS, WANTED, WANTED)
def test_merging_adds_only_ours_and_takes_only_ours_out(theirs: str, first: str, second: str) -> None:
    zone = texts(theirs)
    for wanted in (first, second):
        diff = plan(zone, wanted)
        assume(not diff.conflicts)
        zone = done(zone, wanted)
        merged = spf(zone)
        rest = merged.split()
        for word in theirs.split():
            assert word in rest
            rest = rest[rest.index(word) + 1 :]
        for term in wanted.split()[1:-1]:
            assert spf_merge.holds(merged, term, ZONE)
        # Whoever is not one of ours has the same result as before.
        for stranger in ("192.0.2.1", "10.0.0.2", "10.9.9.9", "2001:db9::1"):
            assert _result(stranger, merged) == _result(stranger, theirs)
    assert done(zone, wanted=None) == texts(theirs)


def _result(address: str, text: str) -> str:
    known = {
        (ZONE, "TXT"): [text],
        ("x.test", "TXT"): ["v=spf1 ip4:192.0.2.7 -all"],
        (ZONE, "MX"): ["10 mx1.alpha.test"],
        (ZONE, "A"): ["10.0.0.3"],
        ("mx1.alpha.test", "A"): ["10.0.0.1"],
        ("b.test", "A"): ["10.9.9.9"],
    }
    return check_host(address, ZONE, lambda name, kind: _Answer(*known.get((name.lower(), kind), ())))


@settings(max_examples=200, deadline=None)
@given(RECORDS, WANTED, WANTED, st.booleans())
def test_two_inventories_in_any_order(theirs: str, first: str, second: str, swap: bool) -> None:
    zone = texts(theirs)
    for wanted, who in ((first, OURS), (second, OTHERS)):
        assume(not plan(zone, wanted, who).conflicts)
        zone = done(zone, wanted, who)
    assert plan(zone, first).edits == ()
    for who in (OURS, OTHERS) if swap else (OTHERS, OURS):
        zone = done(zone, None, who)
    assert zone == texts(theirs)


@settings(max_examples=200, deadline=None)
@given(RECORDS, st.text(max_size=20))
def test_no_text_makes_it_fall_over(theirs: str, more: str) -> None:
    text = theirs + " " + re.sub(r"[\x00-\x08]", "", more)
    spf_merge.flaw(text, ["mx"], ZONE)
    merged = spf_merge.added(text, ["mx", "a"])
    assert spf_merge.count(merged, {}).number >= 0
    spf_merge.difference(text, merged, ZONE)
