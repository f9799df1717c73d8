"""Moments on a command line, in this machine's zone where they have none."""

from __future__ import annotations

import datetime
import time

import pytest

from mailprov.cli.moments import moment
from mailprov.errors import InputError

NOW = time.mktime((2026, 11, 30, 14, 30, 0, 0, 0, -1))


def local(*parts: int) -> float:
    return time.mktime((*(*parts, 0, 0, 0)[:6], 0, 0, -1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-29", local(2026, 11, 29)),
        ("2026-11-29 10:15", local(2026, 11, 29, 10, 15)),
        ("2026-11-29T10:15:30", local(2026, 11, 29, 10, 15, 30)),
        (
            "2026-11-29T10:15:30Z",
            datetime.datetime(2026, 11, 29, 10, 15, 30, tzinfo=datetime.timezone.utc).timestamp(),
        ),
        ("2026-11-29T10:15:30+02:00", 1_795_940_130.0),
        ("today", local(2026, 11, 30)),
        ("yesterday", local(2026, 11, 29)),
        (" 2H ", NOW - 7_200),
        ("90 min", NOW - 5_400),
        ("3d", NOW - 259_200),
        ("1w", NOW - 604_800),
        ("10:15", local(2026, 11, 30, 10, 15)),
        ("23:59", local(2026, 11, 29, 23, 59)),  # it is still to come today
    ],
)
def test_what_people_write(text: str, wanted: float) -> None:
    assert moment("--since", text, NOW) == wanted


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "10:61", "2026-13-01", "2h ago", "-2h", "9999999w", "\x00"]
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(InputError, match="is no moment"):
        moment("--since", text, NOW)
