"""MTA-STS records and policies, right and wrong (RFC 8461 sections 3.1, 3.2 and 4.1)."""

from __future__ import annotations

import pytest

from mailprov.model import mta_sts
from mailprov.model.mta_sts import BadPolicy, Policy

GOOD = "version: STSv1\nmode: enforce\nmx: mx.example.org\nmx: *.mail.example.org\nmax_age: 604800\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("v=STSv1; id=20160831085700Z;", ""),
        ("v=STSv1;id=1", ""),
        ("v=STSv1 ; x=y ; id=a", ""),
        ("v=STSv1;", "no id"),
        ("v=STSv1; ident=1", "no id"),
        ("v=STSv1; id=", "letters and digits"),
        ("v=STSv1; id=2026-11-29", "letters and digits"),
        ("v=STSv1; id=" + "a" * 33, "letters and digits"),
        ("v=STSv1; id=1; hello", "name=value"),
        ("v=STSv1; id=1;;", "name=value"),
    ],
)
def test_records(text: str, says: str) -> None:
    flaw = mta_sts.record_flaw(text)
    assert (says in flaw, bool(flaw)) == (True, bool(says)), flaw


def test_other_texts_at_that_name_do_not_count() -> None:
    assert mta_sts.records(["v=STSv1; id=1", "v=STSv10; id=1", "V=STSv1; id=1", "hello"]) == ["v=STSv1; id=1"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_policy_is_read_as_it_is_written(end: str) -> None:
    policy = mta_sts.parse(GOOD.replace("\n", end))
    assert policy == Policy("enforce", 604800, ("mx.example.org", "*.mail.example.org"))
    assert mta_sts.parse(policy.text()) == policy
    assert not mta_sts.doubts(policy)


def test_what_a_reader_has_to_bear() -> None:
    """No line end at the last line, blanks at the end of one, unknown keys, keys that are there twice."""
    text = "version:STSv1 \nmode:\ttesting\nmode: enforce\nnew-key: a b\nmx: mx.example.org\nmax_age: 86400"
    assert mta_sts.parse(text) == Policy("testing", 86400, ("mx.example.org",))
    assert mta_sts.parse("version: STSv1\nmode: none\nmax_age: 0\n") == Policy("none", 0)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (GOOD, "", "no version"),
        (GOOD, "<html>no such page</html>", "line 1 is not `key: value`"),
        ("STSv1", "STSv2", "its version is STSv2"),
        ("mode: enforce\n", "", "no mode"),
        ("enforce", "report", "its mode is report"),
        ("max_age: 604800\n", "", "no max_age"),
        ("604800", "31557601", "number up to 31557600"),
        ("604800", "-1", "number up to"),
        ("604800", "１２", "number up to"),
        ("604800", "1 week", "number up to"),
        ("mx: mx.example.org\nmx: *.mail.example.org\n", "", "names no mx"),
        ("*.mail.", "mail.*.", "neither a name nor"),
        ("*.mail.", "*.*.", "neither a name nor"),
        ("mx.example.org", "mx.example.org.", "neither a name nor"),
        ("mx: mx", "mx: , mx", "neither a name nor"),
        ("mode: enforce\n", "mode: enforce\n\n", "line 3"),
    ],
)
def test_policies_that_are_none(old: str, new: str, says: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        mta_sts.parse(GOOD.replace(old, new))
    assert says in str(caught.value)


def test_which_mx_a_policy_is_for() -> None:
    policy = mta_sts.parse(GOOD)
    covered = ["MX.example.org", "a.mail.example.org", "mx.example.org."]
    others = ["mail.example.org", "a.b.mail.example.org", "xmail.example.org", "mx.example.com"]
    assert policy.uncovered(covered + others) == others


def test_what_is_valid_and_probably_not_meant() -> None:
    (short,) = mta_sts.doubts(Policy("enforce", 3600, ("mx.example.org",)))
    assert "within a week" in short
    assert "forbids nothing" in mta_sts.doubts(Policy("testing", 3600, ("mx.example.org",)))[0]
    assert "no policy any more" in mta_sts.doubts(Policy("none", 3600))[0]
