"""Names compared label by label: zones and what is in them, certificates and the hosts they are for (RFC 9525)."""

from __future__ import annotations

import pytest

from mailprov.model.hostnames import below, inside, matches


@pytest.mark.parametrize(
    ("name", "parent", "is_inside", "is_below"),
    [
        ("alpha.test", "alpha.test", True, False),
        ("mx1.alpha.test", "alpha.test", True, True),
        ("a.b.alpha.test", "alpha.test", True, True),
        ("xalpha.test", "alpha.test", False, False),
        ("alpha.test", "mx1.alpha.test", False, False),
        ("alpha.test", "", False, False),
    ],
)
def test_names_in_a_zone(name: str, parent: str, is_inside: bool, is_below: bool) -> None:
    assert (inside(name, parent), below(name, parent)) == (is_inside, is_below)


@pytest.mark.parametrize(
    ("name", "host", "is_for"),
    [
        ("mx1.alpha.test", "mx1.alpha.test", True),
        ("MX1.Alpha.Test.", "mx1.alpha.test", True),
        ("*.alpha.test", "mx1.alpha.test", True),
        ("*.alpha.test", "a.mx1.alpha.test", False),
        ("*.alpha.test", "alpha.test", False),
        ("*.mx1.alpha.test", "mx1.alpha.test", False),
        ("*.test", "alpha.test", False),
        ("*.test", "mx1.alpha.test", False),
        ("m*.alpha.test", "mx1.alpha.test", False),
        ("alpha.test", "mx1.alpha.test", False),
        ("*", "mx1.alpha.test", False),
        ("*", "alpha", False),
    ],
)
def test_names_by_rfc_9525(name: str, host: str, is_for: bool) -> None:
    assert matches(name, host) is is_for
