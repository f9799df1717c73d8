"""A moment as people write it on a command line.

    moment(option, text, now) -> unix seconds     2026-11-30, "2026-11-30 10:15", 10:15, 2h, 3d, today, yesterday, or
                                                  a time of ISO 8601 with its zone

What has no zone is of this machine's. Raises InputError.
"""

from __future__ import annotations

import datetime
import re

from mailprov.errors import InputError
from mailprov.i18n import _

_AGO = re.compile(r"(\d{1,6})\s*(s|m|min|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")


def moment(option: str, text: str, now: float) -> float:
    """`now`: unix seconds. `yesterday` is its midnight. A time of day that is still to come is yesterday's."""
    words = text.strip().lower()
    today = (
        datetime.datetime.fromtimestamp(now).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    )
    if words in ("today", "yesterday"):
        return (today - datetime.timedelta(days=words == "yesterday")).timestamp()
    if ago := _AGO.fullmatch(words):
        return now - int(ago[1]) * _SECONDS[ago[2]]
    if _CLOCK.fullmatch(words):
        hour, minute, second = (*map(int, words.split(":")), 0)[:3]
        if hour < 24 and minute < 60 and second < 60:
            at = today.replace(hour=hour, minute=minute, second=second)
            return (at if at.timestamp() <= now else at - datetime.timedelta(days=1)).timestamp()
    try:
        return datetime.datetime.fromisoformat(re.sub(r"z$", "+00:00", words).upper()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise InputError(
            f'{option} "{text}"',
            _("is no moment"),
            _(
                'Write a date (2026-11-30), a time ("2026-11-30 10:15", 10:15), how long ago (2h, 3d), or yesterday'
            ),
        ) from None
