"""TLSA records on the way back: they name what is served then, whatever they were before the run. Pure.

    settled(image, served) -> Settled

A rollback cannot always bring the key before back: an authority's certificate stays as it is. Its record is not put
back then, for senders would trust a key again that was replaced, perhaps because somebody else had it; and the record
of a key that is served is not taken away, also where it is what the run brought.

`served`: names of records, each with the values that are right once the hosts have gone back. Other sets, and those of
hosts that have told nothing, are as in the image.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from mailprov.dns.rrsets import Key
from mailprov.i18n import _


class Settled(NamedTuple):
    """`apart`: sets that were in the image and stay as they are. `notices`: what is done in another way; without one it
    is the image itself.
    """

    image: dict[str, Any]
    apart: tuple[Key, ...] = ()
    notices: tuple[str, ...] = ()


def settled(image: dict[str, Any], served: Mapping[str, Collection[str]]) -> Settled:
    sets: list[dict[str, Any]] = []
    apart: list[Key] = []
    notices: list[str] = []
    for each in image["sets"]:
        right = served.get(each["name"]) if each["type"] == "TLSA" else None
        before, after = (_values(each[half]) for half in ("before", "after"))
        wanted = before
        if right is not None and before:  # without a record nobody is misled by a key
            wanted = [one for one in before if one in after or one in right]
            wanted += [one for one in after if one in right and one not in wanted]
        if wanted == before:
            sets.append(each)
            continue
        notices.append(
            _(
                "{name} TLSA: not put back as it was before that run, since the host goes on with another key"
            ).format(name=each["name"])
        )
        if set(wanted) == set(after):
            apart.append((each["name"], each["type"]))
            continue
        ttl = (each["before"] or each["after"])["ttl"]
        sets.append({**each, "before": {"ttl": ttl, "values": wanted} if wanted else None})
    return Settled({**image, "sets": sets}, tuple(apart), tuple(notices)) if notices else Settled(image)


def _values(half: dict[str, Any] | None) -> list[str]:
    return list(half["values"]) if half else []
