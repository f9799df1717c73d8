"""What the plan of a zone says of a record set beside its values: `Change.detail`, which is English in every language.

    new_key(old, new), another_key(values), marker(count, …), restored_marker(count)     as `Change.detail` has it
    in_language(detail) -> str       as it is shown: in the user's language, where it is one of these

A saved plan is compared by the detail, and programs read it in --json: so it is the same whoever plans and applies.
Reports show it through `in_language`. Values of records are never translated. Pure; raises nothing.
"""

from __future__ import annotations

import re
from functools import cache

from mailprov.i18n import N_, NN_, _, ngettext

NEW_KEY = N_("new key ({old} → {new})")
KEY_TO_COME = N_("new key ({old} → made by the apply)")
_ANOTHER_KEY = N_("{values} (another key)")
_MARKER = NN_("ownership marker: {count} value", "ownership marker: {count} values")
_FIRST_MARKER = NN_(
    "ownership marker: {count} value, and replaces the one that mailprov 0.1.0 wrote for the whole zone",
    "ownership marker: {count} values, and replaces the one that mailprov 0.1.0 wrote for the whole zone",
)
_RESTORED = NN_("ownership marker: as before, {count} value", "ownership marker: as before, {count} values")
_SIGN = N_("ownership marker: says that the domains' own markers stand below")
_FIRST_SIGN = N_(
    "ownership marker: says that the domains' own markers stand below, and replaces the one that mailprov 0.1.0 wrote "
    "for the whole zone"
)
_COUNTED = (_MARKER, _FIRST_MARKER, _RESTORED)
_TTL = re.compile(r"(?P<rest>.*?)(?P<ttl> \(ttl \d+ → \d+\))?", re.DOTALL)


def new_key(old: str, new: str) -> str:
    """`old` and `new`: excerpts of a DKIM key's record; `made by the apply` where there is no new one yet."""
    return NEW_KEY.format(old=old, new=new)


def another_key(values: str) -> str:
    """Of DKIM keys that look alike when they are shortened."""
    return _ANOTHER_KEY.format(values=values)


def marker(count: int, *, replaces_first: bool) -> str:
    """Of the ownership marker of `count` values; without any it says that there are others. `replaces_first`: the one
    that 0.1.0 wrote.
    """
    if not count:
        return _FIRST_SIGN if replaces_first else _SIGN
    return _english(_FIRST_MARKER if replaces_first else _MARKER, count)


def restored_marker(count: int) -> str:
    return _english(_RESTORED, count)


def in_language(detail: str) -> str:
    found = _TTL.fullmatch(detail)
    assert found is not None, "the pattern has optional parts only"
    rest, ttl = found["rest"], found["ttl"] or ""
    for pattern, text, texts in _patterns():
        values = pattern.fullmatch(rest)
        if values and texts:
            return ngettext(*texts, int(values["count"])).format(count=values["count"]) + ttl
        if values:
            return _(text).format(**values.groupdict()) + ttl
    return detail


def _english(texts: tuple[str, str], count: int) -> str:
    return texts[count != 1].format(count=count)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str, tuple[str, str] | tuple[()]], ...]:
    """Narrow, because a value of a record may be anybody's: it is shown as it is."""
    key = r"p=[^ ()]*"
    found = [
        (re.compile(rf"new key \((?P<old>{key}) → made by the apply\)"), KEY_TO_COME, ()),
        (re.compile(rf"new key \((?P<old>{key}) → (?P<new>{key})\)"), NEW_KEY, ()),
        (re.compile(r"(?P<values>v=DKIM1.*) \(another key\)", re.DOTALL), _ANOTHER_KEY, ()),
        *((re.compile(re.escape(text)), text, ()) for text in (_SIGN, _FIRST_SIGN)),
    ]
    counted = [
        (re.compile(re.escape(one).replace(r"\{count\}", r"(?P<count>\d+)")), "", texts)
        for texts in _COUNTED
        for one in texts
    ]
    return (*found, *counted)
