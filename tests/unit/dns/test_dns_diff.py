"""The pure comparison of one zone: ours is made so, the rest stays, what cannot stand beside is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailprov.dns import ownership
from mailprov.dns.diff import ZoneDiff, plan_zone, shown
from mailprov.dns.ownership import Identity, digest
from mailprov.model.events import Action
from mailprov.model.records import Record
from mailprov.records.spf_text import is_spf

ZONE = "alpha.test"
DOMAINS = Identity(("alpha.test",))
MX1 = Record(ZONE, "MX", "10 mx1.alpha.test")
MX2 = Record(ZONE, "MX", "20 mx2.alpha.test")
SPF = Record(ZONE, "TXT", "v=spf1 mx -all")
A1 = Record("mx1.alpha.test", "A", "10.0.0.1")
A2 = Record("mx2.alpha.test", "A", "10.0.0.2")
GOOGLE = Record(ZONE, "TXT", "google-site-verification=abc; not a comment")


def after(existing: list[Record], diff: ZoneDiff) -> list[Record]:
    """The zone once the edits are done, by RFC 2136 section 3.4.2: an addition sets the TTL of its set."""
    zone = {(r.name, r.type, r.value): r.ttl for r in existing}
    for edit in diff.edits:
        for value in edit.remove:
            del zone[edit.name, edit.type, value]
        for value in edit.add:
            zone[edit.name, edit.type, value] = edit.ttl
    return [Record(name, kind, value, ttl) for (name, kind, value), ttl in zone.items()]


def written(*records: Record) -> list[Record]:
    """A zone in which mailprov wrote exactly these."""
    return after([], plan_zone(ZONE, [], records, DOMAINS))


def lines(diff: ZoneDiff) -> list[str]:
    return [f"{c.action.value} {c.name}: {c.detail}" for c in diff.changes]


def values(records: list[Record], name: str, kind: str) -> set[str]:
    return {r.value for r in records if (r.name, r.type) == (name, kind)}


def test_an_empty_zone_gets_everything_and_a_marker() -> None:
    diff = plan_zone(ZONE, [], [A1, MX1, MX2, SPF], DOMAINS)
    assert lines(diff) == [
        "create mx1.alpha.test A: 10.0.0.1",
        "create alpha.test MX: 10 mx1.alpha.test, 20 mx2.alpha.test",
        "create alpha.test TXT: v=spf1 mx -all",
        "create _mailprov.alpha.test TXT: ownership marker: 4 values",
    ]
    assert {c.subject for c in diff.changes} == {"zone alpha.test"}
    assert {c.kind for c in diff.changes} == {"record"}
    assert (diff.compared, diff.unchanged) == (4, 0)


def test_the_second_time_nothing_changes() -> None:
    diff = plan_zone(ZONE, written(A1, MX1, SPF), [A1, MX1, SPF], DOMAINS)
    assert (diff.changes, diff.edits, diff.notices, diff.conflicts) == ((), (), (), ())
    assert diff.unchanged == 3


def test_a_value_that_left_the_inventory_goes_and_only_that_one() -> None:
    zone = [*written(A1, A2, MX1, MX2, SPF), GOOGLE, Record("mx2.alpha.test", "A", "10.9.9.9")]
    diff = plan_zone(ZONE, zone, [A1, MX1, SPF], DOMAINS)
    assert lines(diff) == [
        "update alpha.test MX: 10 mx1.alpha.test, 20 mx2.alpha.test → 10 mx1.alpha.test",
        "delete mx2.alpha.test A: 10.0.0.2",
        "update _mailprov.alpha.test TXT: ownership marker: 3 values",
    ]
    left = after(zone, diff)
    assert values(left, ZONE, "MX") == {"10 mx1.alpha.test"}
    assert values(left, "mx2.alpha.test", "A") == {"10.9.9.9"}
    assert values(left, ZONE, "TXT") == {SPF.value, GOOGLE.value}


def test_all_gone_takes_the_marker_too() -> None:
    zone = [*written(A1, SPF), GOOGLE]
    diff = plan_zone(ZONE, zone, [], DOMAINS)
    assert [c.action for c in diff.changes] == [Action.DELETE] * 3
    assert after(zone, diff) == [GOOGLE]


def test_foreign_texts_at_the_apex_stay_with_their_ttl() -> None:
    zone = [Record(ZONE, "TXT", GOOGLE.value, 60), Record(ZONE, "TXT", "MS=ms1", 60)]
    diff = plan_zone(ZONE, zone, [SPF], DOMAINS)
    (edit, _) = diff.edits
    assert (edit.remove, edit.add, edit.ttl) == ((), (SPF.value,), 60)
    assert lines(diff)[0] == "create alpha.test TXT: v=spf1 mx -all"


def test_our_own_spf_is_replaced() -> None:
    new = Record(ZONE, "TXT", "v=spf1 a mx -all")
    zone = [*written(SPF), GOOGLE]
    diff = plan_zone(ZONE, zone, [new], DOMAINS)
    assert lines(diff)[0] == "update alpha.test TXT: v=spf1 mx -all → v=spf1 a mx -all"
    assert values(after(zone, diff), ZONE, "TXT") == {new.value, GOOGLE.value}


def test_a_foreign_spf_is_taken_over_on_request() -> None:
    """Otherwise our terms are added to it: test_foreign_spf.py."""
    theirs = Record(ZONE, "TXT", "V=SPF1 include:_spf.example.com ~all")
    zone = [theirs, GOOGLE]
    taken = plan_zone(ZONE, zone, [SPF], DOMAINS, take_over=True)
    assert not taken.conflicts
    assert lines(taken)[0] == "update alpha.test TXT: V=SPF1 include:_spf.example.com ~all → v=spf1 mx -all"
    assert values(after(zone, taken), ZONE, "TXT") == {SPF.value, GOOGLE.value}


def test_two_spf_are_refused_even_when_one_is_ours() -> None:
    zone = [*written(SPF), Record(ZONE, "TXT", "v=spf1 include:x.test -all")]
    (conflict,) = plan_zone(ZONE, zone, [SPF], DOMAINS).conflicts
    assert (
        "has 2 SPF records where there may be only one: v=spf1 mx -all, v=spf1 include:x.test -all"
        in conflict.what
    )
    taken = plan_zone(ZONE, zone, [SPF], DOMAINS, take_over=True)
    assert values(after(zone, taken), ZONE, "TXT") == {SPF.value}


def test_what_only_begins_like_spf_is_not_spf() -> None:
    other = Record(ZONE, "TXT", "v=spf10 something")
    assert not plan_zone(ZONE, [other], [SPF], DOMAINS).conflicts


def test_a_foreign_mx_is_refused_and_taken_over_on_request() -> None:
    zone = [Record(ZONE, "MX", "5 old.example.com")]
    (conflict,) = plan_zone(ZONE, zone, [MX1], DOMAINS).conflicts
    assert "alpha.test has MX that mailprov did not write: 5 old.example.com" in conflict.what
    taken = plan_zone(ZONE, zone, [MX1], DOMAINS, take_over=True)
    assert lines(taken)[0] == "update alpha.test MX: 5 old.example.com → 10 mx1.alpha.test"


def test_a_foreign_dmarc_is_refused_but_a_second_report_consent_is_not() -> None:
    ours = Record("_dmarc.alpha.test", "TXT", "v=DMARC1; p=none")
    theirs = Record("_dmarc.alpha.test", "TXT", "v=DMARC1; p=reject")
    assert len(plan_zone(ZONE, [theirs], [ours], DOMAINS).conflicts) == 1
    name = "b.test._report._dmarc.alpha.test"
    assert not plan_zone(
        ZONE, [Record(name, "TXT", "v=DMARC1;")], [Record(name, "TXT", "v=DMARC1")], DOMAINS
    ).conflicts


def test_an_equal_value_of_others_stays_theirs_and_is_told() -> None:
    zone = [Record(ZONE, "MX", MX1.value, 60), SPF, A1]
    diff = plan_zone(ZONE, zone, [MX1, SPF, A1, A2], DOMAINS)
    assert lines(diff) == [
        "create mx2.alpha.test A: 10.0.0.2",
        "create _mailprov.alpha.test TXT: ownership marker: 1 value",
    ]
    assert diff.notices == (
        "stood in alpha.test before mailprov and is as wanted, so mailprov never changes or removes it: "
        "alpha.test MX 10 mx1.alpha.test; alpha.test TXT v=spf1 mx -all; mx1.alpha.test A 10.0.0.1",
    )
    left = after(zone, diff)
    assert after(left, plan_zone(ZONE, left, [], DOMAINS)) == zone
    new = [Record(ZONE, "MX", MX1.value, 300), Record(ZONE, "TXT", SPF.value, 300)]
    assert not plan_zone(ZONE, left, [*new, A1, A2], DOMAINS).changes, "their TTL is theirs"


def test_an_equal_value_of_others_is_taken_over_on_request() -> None:
    zone = [MX1, SPF, A1]
    diff = plan_zone(ZONE, zone, [MX1, SPF, A1], DOMAINS, take_over=True)
    assert lines(diff) == ["create _mailprov.alpha.test TXT: ownership marker: 2 values"]
    left = after(zone, diff)
    assert after(left, plan_zone(ZONE, left, [], DOMAINS)) == [A1], "an address may serve others, too"


def test_another_address_stays_and_is_told() -> None:
    zone = [Record("mx1.alpha.test", "A", "192.0.2.7", 60)]
    diff = plan_zone(ZONE, zone, [A1], DOMAINS, take_over=True)
    (notice,) = diff.notices
    assert "mx1.alpha.test A also has 192.0.2.7, which mailprov did not write" in notice
    assert values(after(zone, diff), "mx1.alpha.test", "A") == {"192.0.2.7", "10.0.0.1"}


def test_a_cname_in_the_way_is_refused_also_with_take_over() -> None:
    zone = [Record("mx1.alpha.test", "CNAME", "elsewhere.test")]
    (conflict,) = plan_zone(ZONE, zone, [A1], DOMAINS, take_over=True).conflicts
    assert conflict.what == "mx1.alpha.test is a CNAME of elsewhere.test, so it cannot have a A record too"
    assert "Remove the CNAME" in conflict.advice


def test_our_value_deleted_by_hand_comes_back() -> None:
    zone = [r for r in written(A1, MX1) if r.type != "A"]
    assert lines(plan_zone(ZONE, zone, [A1, MX1], DOMAINS)) == ["create mx1.alpha.test A: 10.0.0.1"]


def test_a_new_ttl_is_set_on_sets_that_are_all_ours() -> None:
    zone = written(MX1)
    diff = plan_zone(ZONE, zone, [Record(ZONE, "MX", MX1.value, 60)], DOMAINS)
    assert lines(diff) == ["update alpha.test MX: 10 mx1.alpha.test (ttl 3600 → 60)"]
    (edit,) = diff.edits
    assert (edit.ttl, edit.add, edit.remove) == (60, (MX1.value,), ())


def test_two_inventories_in_one_zone_leave_each_other_alone() -> None:
    ana = [Record("ana.alpha.test", "MX", "10 mx1.alpha.test")]
    luis = [Record("luis.alpha.test", "MX", "10 mx2.alpha.test")]
    whose = {"ana": Identity(("ana.alpha.test",)), "luis": Identity(("luis.alpha.test",))}
    zone: list[Record] = []
    for desired, identity in ((ana, whose["ana"]), (luis, whose["luis"])) * 2:
        diff = plan_zone(ZONE, zone, desired, identity)
        assert all(c.action is Action.CREATE for c in diff.changes)
        zone = after(zone, diff)
    assert not diff.changes
    assert len(values(zone, "_mailprov.ana.alpha.test", "TXT")) == 1
    assert len(values(zone, "_mailprov.alpha.test", "TXT")) == 1, "one sign for 0.1.0 is enough"
    zone = after(zone, plan_zone(ZONE, zone, [], whose["ana"]))
    assert values(zone, "luis.alpha.test", "MX") == {"10 mx2.alpha.test"}
    assert not values(zone, "ana.alpha.test", "MX")
    (change,) = plan_zone(ZONE, zone, luis, whose["luis"]).changes
    assert (change.action, change.name) == (Action.CREATE, "_mailprov.alpha.test TXT"), (
        "now it is the other's"
    )


def test_what_two_inventories_want_is_removed_by_the_last() -> None:
    """Both have the host mx1; each its own domain."""
    ana, luis = Identity(("ana.test",)), Identity(("luis.test",))
    zone = after([], plan_zone(ZONE, [], [A1], ana))
    diff = plan_zone(ZONE, zone, [Record(A1.name, "A", A1.value, 60)], luis)
    assert lines(diff) == ["create _mailprov.alpha.test TXT: ownership marker: 1 value"], "no TTL of its own"
    zone = after(zone, diff)
    assert not plan_zone(ZONE, zone, [A1], ana).changes
    zone = after(zone, plan_zone(ZONE, zone, [], ana))
    assert values(zone, A1.name, "A") == {A1.value}
    assert not plan_zone(ZONE, zone, [A1], luis).notices
    assert after(zone, plan_zone(ZONE, zone, [], luis)) == []


def test_what_an_inventory_of_0_1_0_owns_is_not_removed_either() -> None:
    text = f"v=mailprov1 for=ana.test mx1/A={digest('A', A1.value)}"
    theirs = Record("_mailprov.alpha.test", "TXT", text)
    luis = Identity(("luis.test",))
    zone = after([A1, theirs], plan_zone(ZONE, [A1, theirs], [A1], luis))
    assert set(after(zone, plan_zone(ZONE, zone, [], luis))) == {A1, theirs}


def test_each_mail_domain_has_its_own_marker() -> None:
    identity = Identity(("alpha.test", "sub.alpha.test"))
    sub = [
        Record("sub.alpha.test", "MX", MX1.value),
        Record("_dmarc.sub.alpha.test", "TXT", "v=DMARC1; p=none"),
    ]
    zone = after([], plan_zone(ZONE, [], [A1, MX1, *sub], identity))
    assert values(zone, "_mailprov.alpha.test", "TXT") == {
        "v=mailprov2 zone=alpha.test for=alpha.test,sub.alpha.test "
        f"@/MX={digest('MX', MX1.value)} mx1/A={digest('A', A1.value)}"
    }
    assert values(zone, "_mailprov.sub.alpha.test", "TXT") == {
        "v=mailprov2 zone=alpha.test for=sub.alpha.test,alpha.test "
        f"_dmarc/TXT={digest('TXT', 'v=DMARC1; p=none')} @/MX={digest('MX', MX1.value)}"
    }
    diff = plan_zone(ZONE, zone, [A1, MX1, *sub[:1]], identity)
    assert [change.name for change in diff.changes] == [
        "_dmarc.sub.alpha.test TXT",
        "_mailprov.sub.alpha.test TXT",
    ]


def test_a_marker_is_known_again_when_domains_come_and_go() -> None:
    zone = after([], plan_zone(ZONE, [], [MX1], Identity(("a.test", "b.test"))))
    assert not plan_zone(ZONE, zone, [MX1], Identity(("a.test", "b.test", "c.test"))).changes, (
        "not of a domain"
    )
    diff = plan_zone(ZONE, zone, [MX1], Identity(("b.test", "c.test")))
    assert lines(diff) == ["update _mailprov.alpha.test TXT: ownership marker: 1 value"]
    zone = after(zone, diff)
    assert values(zone, "_mailprov.alpha.test", "TXT") == {
        f"v=mailprov2 zone=alpha.test for=b.test,c.test @/MX={digest('MX', MX1.value)}"
    }


def test_the_domain_that_could_not_be_cleaned_stays_named() -> None:
    zone = after([], plan_zone(ZONE, [], [MX1], Identity(("alpha.test", "beta.test"))))
    still = Identity(("alpha.test",), pending=frozenset({"beta.test"}))
    assert not plan_zone(ZONE, zone, [MX1], still).changes
    assert lines(plan_zone(ZONE, zone, [MX1], DOMAINS)) == [
        "update _mailprov.alpha.test TXT: ownership marker: 1 value"
    ]


def test_a_new_domain_is_named_by_the_one_before_it() -> None:
    zone = after([], plan_zone(ZONE, [], [MX1], Identity(("alpha.test", "d.test"))))
    assert not plan_zone(ZONE, zone, [MX1], Identity(("alpha.test", "d.test", "e.test"))).changes
    (change,) = plan_zone(ZONE, zone, [MX1], Identity(("alpha.test", "c.test", "d.test"))).changes
    assert change.name == "_mailprov.alpha.test TXT"


def test_every_domain_is_named_by_another_ones_marker() -> None:
    names = tuple(f"d{number}.test" for number in range(40))
    identity = Identity(names)
    named = {name: set(ownership.named_at(name, identity)) - {name} for name in names}
    assert set().union(*named.values()) == set(names)
    assert all(len(several) < ownership.NAMED for several in named.values())


def test_the_marker_of_0_1_0_is_replaced() -> None:
    words = f"for=alpha.test,x.test @/MX={digest('MX', MX1.value)} mx2/A={digest('A', A2.value)}"
    zone = [MX1, A2, GOOGLE, Record("_mailprov.alpha.test", "TXT", f"v=mailprov1 {words}")]
    diff = plan_zone(ZONE, zone, [MX1], DOMAINS)
    assert lines(diff) == [
        "delete mx2.alpha.test A: 10.0.0.2",
        "update _mailprov.alpha.test TXT: ownership marker: 1 value, and replaces the one that mailprov 0.1.0 wrote "
        "for the whole zone",
    ]
    zone = after(zone, diff)
    assert values(zone, "_mailprov.alpha.test", "TXT") == {
        f"v=mailprov2 zone=alpha.test for=alpha.test @/MX={digest('MX', MX1.value)}"
    }
    assert not plan_zone(ZONE, zone, [MX1], DOMAINS).changes


def test_the_marker_of_a_later_version_stops_us() -> None:
    zone = [Record("_mailprov.alpha.test", "TXT", "v=mailprov4 something else")]
    (conflict,) = plan_zone(ZONE, zone, [MX1], DOMAINS).conflicts
    assert "written by a later mailprov" in conflict.what


def test_a_broken_marker_is_no_licence_to_delete() -> None:
    for version in ("v=mailprov1", "v=mailprov2 zone=alpha.test", "v=mailprov2"):
        text = f"{version} for=alpha.test @/MX= nonsense =x /=y @/TXT=zzz"
        zone = [Record("_mailprov.alpha.test", "TXT", text), GOOGLE, SPF]
        left = after(zone, plan_zone(ZONE, zone, [], DOMAINS))
        assert left == [GOOGLE, SPF]


def test_control_characters_of_others_never_reach_the_terminal() -> None:
    assert shown("a\x1b[31m\udcff\nü") == "a\\027[31m\\255\\010ü"


NAMES = st.sampled_from([ZONE, "mx1.alpha.test", "_dmarc.alpha.test"])
TEXTS = st.one_of(
    st.sampled_from(
        ["v=spf1 mx -all", "v=spf1 a -all", "v=spf1 ?all", "v=DMARC1; p=none", "v=mailprov1 for=x.test", "x"]
    ),
    st.text(max_size=20),
)
RECORDS = st.one_of(
    st.builds(Record, NAMES, st.just("A"), st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])),
    st.builds(Record, NAMES, st.just("MX"), st.sampled_from(["10 a.test", "20 b.test", "30 c.test"])),
    st.builds(Record, NAMES, st.just("TXT"), TEXTS),
)
ZONES = st.lists(RECORDS, max_size=8, unique_by=lambda r: (r.name, r.type, r.value))


@settings(max_examples=50, deadline=None)
@given(ZONES, ZONES, ZONES, st.booleans())
def test_foreign_values_are_never_touched(
    foreign: list[Record], first: list[Record], second: list[Record], take: bool
) -> None:
    """Over any zone and any two inventories in turn; taking over may replace what can stand only once. An SPF record of
    somebody else has our terms in between (test_foreign_spf.py), and is as it was in the end.
    """
    zone = foreign
    for desired in (first, second, []):
        diff = plan_zone(ZONE, zone, desired, DOMAINS, take_over=take)
        if diff.conflicts:
            continue
        zone = after(zone, diff)  # raises when a value is removed that is not there
        there = {(r.name, r.type, r.value) for r in zone}
        assert {(r.name, r.type, r.value) for r in desired if not is_spf(r.value)} <= there
        assert not plan_zone(ZONE, zone, desired, DOMAINS, take_over=take).changes
    once = {
        (r.name, r.type, r.value)
        for r in foreign
        if r.type == "MX" or r.value.lower().startswith(("v=spf1", "v=dmarc1"))
    }
    kept = {(r.name, r.type, r.value) for r in foreign} - once
    assert kept <= {(r.name, r.type, r.value) for r in zone}
    if not take:
        assert once <= {(r.name, r.type, r.value) for r in zone}


KEY = "mx1-rsa-1._domainkey.alpha.test"
HEAD = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"
OURS = Record(KEY, "TXT", f"v=DKIM1; k=rsa; p={HEAD}ourmodulus{'x' * 300}OursIDAQAB")
THEIRS = Record(KEY, "TXT", f"v=DKIM1; k=rsa; p={HEAD}theirmodulus{'x' * 300}ThrsIDAQAB")


def test_a_selector_with_another_key_is_refused_and_taken_over_on_request() -> None:
    """RFC 6376 section 3.6.2.2: what a verifier makes of two keys at one name is undefined."""
    (conflict,) = plan_zone(ZONE, [THEIRS], [OURS], DOMAINS).conflicts
    assert conflict.what == (
        "mx1-rsa-1._domainkey.alpha.test has DKIM key that mailprov did not write: "
        "v=DKIM1; k=rsa; p=…theirmodulusxxxx… (wanted: v=DKIM1; k=rsa; p=…ourmodulusxxxxxx…)"
    )
    assert conflict.advice.endswith("or give the domain another dkim.selector")
    taken = plan_zone(ZONE, [THEIRS], [OURS], DOMAINS, take_over=True)
    assert lines(taken)[0] == (
        "update mx1-rsa-1._domainkey.alpha.test TXT: new key (p=MIIB…xxThrsIDAQAB → p=MIIB…xxOursIDAQAB)"
    )
    assert values(after([THEIRS], taken), KEY, "TXT") == {OURS.value}


def test_a_second_value_beside_our_key_is_refused_too() -> None:
    """As 0.1.0 left it where a key stood before."""
    zone = [*written(OURS), Record(KEY, "TXT", "some note")]
    (conflict,) = plan_zone(ZONE, zone, [OURS], DOMAINS).conflicts
    assert "has 2 DKIM key records where there may be only one: " in conflict.what
    assert not plan_zone(ZONE, written(OURS), [OURS], DOMAINS).conflicts
    assert not plan_zone(ZONE, written(THEIRS), [OURS], DOMAINS).conflicts  # a key of ours, renewed


def test_a_key_that_is_still_to_be_made_meets_another_one() -> None:
    to_be_made = Record(KEY, "TXT", "v=DKIM1; k=rsa; p=(made by the apply)")
    (conflict,) = plan_zone(ZONE, [THEIRS], [to_be_made], DOMAINS).conflicts
    assert conflict.what.endswith("(wanted: v=DKIM1; k=rsa; p=(made by the apply))")


@pytest.mark.parametrize(
    "word",
    [
        "@/NS=x",
        "www/CNAME=x",
        "@/*=x",
        "@/TYPE99999=x",
        "@/a=x",
        "a..b/A=x",
        "www./A=x",
        f"{'a' * 64}/A=x",
        "*/A=x",
        "\\300/A=x",
    ],
)
def test_a_marker_can_speak_only_of_what_mailprov_writes(word: str) -> None:
    """Anybody who may write texts may have written it; and whatever it names is asked for."""
    marker = ownership.parse(
        "_mailprov.a.test", f"v=mailprov2 zone=a.test for=a..b,a.test,host/mx1,é @/MX=x {word}"
    )
    assert marker
    assert marker.entries == {("a.test", "MX", "x")}
    assert marker.named == ("a.test", "host/mx1")


ALIAS = {("mx1.alpha.test", "A"): "an alias of lb.example"}


@pytest.mark.parametrize("take_over", [False, True])
@pytest.mark.parametrize("stands", [[], [Record("mx1.alpha.test", "A", "10.0.0.1")]])
def test_what_is_no_plain_data_is_a_conflict_where_something_is_wanted(
    take_over: bool, stands: list[Record]
) -> None:
    """Also where it says what is wanted, and whoever wrote it."""
    diff = plan_zone(ZONE, stands, [A1, MX1], DOMAINS, take_over, special=ALIAS)
    assert [(conflict.what, conflict.advice) for conflict in diff.conflicts] == [
        (
            "mx1.alpha.test A is an alias of lb.example, so 10.0.0.1 cannot stand there",
            "Change that at the provider, or choose another name",
        )
    ]


def test_what_is_no_plain_data_is_left_where_nothing_is_wanted() -> None:
    """Ours once, an alias by now: it stays as the provider has it."""
    diff = plan_zone(ZONE, written(A1, MX1), [MX1], DOMAINS, special=ALIAS)
    assert [edit for edit in diff.edits if edit.name == "mx1.alpha.test"] == []
    assert not diff.conflicts
