"""Taking back what was published: what each record set was before a run and after it, and the way back. Pure.

    image(zone, edits, existing) -> Image       JSON-ready: {"zone", "sets": [{"name", "type", "before", "after"}]}
    merged(images) -> {zone: Image}             several runs, the oldest first, as one
    undo_zone(image, existing) -> Undo          what to edit now, and what somebody else has changed since

`before` and `after` are {"ttl", "values"}, or null where there is no such set.

The controller keeps no state, by design: any machine with the inventory can go on where another stopped. So a run
gives the images of a zone to the zone's own hosts, with the go and thus before anything is published (an image of what
never got published does no harm: the zone is then found as before). A directory on the controller would be gone in a
pipeline, where every job is a fresh container, and wrong where two people share an inventory; the memory in the zone
itself is public, and has no room for old values.

Only values that the run added or removed are touched, and only while what it added still stands: that is the
compare-and-swap against the after-image. What others added beside it stays; a set in which they changed ours is left
alone and told. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mailprov.dns import memory
from mailprov.dns.diff import Edit, ZoneDiff, change_of, shown
from mailprov.model.events import Change
from mailprov.model.records import Record

Image = dict[str, Any]


@dataclass(frozen=True)
class Undo:
    """`left`: record sets that are not put back, because somebody changed them since; `notices` say what is there."""

    diff: ZoneDiff
    left: tuple[str, ...] = ()


def image(zone: str, edits: Iterable[Edit], existing: Iterable[Record]) -> Image:
    """What these edits change in a zone that was read as `existing`."""
    stand: dict[tuple[str, str], list[Record]] = {}
    for record in existing:
        stand.setdefault((record.name, record.type), []).append(record)
    sets = []
    for edit in edits:
        old = stand.get((edit.name, edit.type), [])
        values = [record.value for record in old if record.value not in edit.remove]
        values += [value for value in edit.add if value not in values]
        before = _half(old[0].ttl, [record.value for record in old]) if old else None
        after = _half(edit.ttl, values) if values else None
        sets.append({"name": edit.name, "type": edit.type, "before": before, "after": after})
    return {"zone": zone, "sets": sets}


def _half(ttl: int, values: Sequence[str]) -> dict[str, Any]:
    return {"ttl": ttl, "values": list(values)}


def merged(images: Iterable[Image]) -> dict[str, Image]:
    """By zone: before the first, after the last."""
    zones: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for one in images:
        sets = zones.setdefault(one["zone"], {})
        for each in one["sets"]:
            key = (each["name"], each["type"])
            sets[key] = {**each, "before": sets.get(key, each)["before"]}
    return {zone: {"zone": zone, "sets": list(sets.values())} for zone, sets in zones.items()}


def undo_zone(one: Image, existing: Iterable[Record]) -> Undo:
    """The way back from what stands now."""
    zone = one["zone"]
    stand: dict[tuple[str, str], list[Record]] = {}
    for record in existing:
        stand.setdefault((record.name, record.type), []).append(record)
    edits: list[Edit] = []
    changes: list[Change] = []
    notices: list[str] = []
    left: list[str] = []
    for each in one["sets"]:
        now = stand.get((each["name"], each["type"]), [])
        edit = _edit(each, now)
        name = f"{each['name']} {each['type']}"
        marker = each["name"] == memory.marker_name(zone)
        if isinstance(edit, str):
            if marker:
                notices = [f"a later run of mailprov changed {zone}; its records are left alone"]
                return Undo(ZoneDiff(notices=tuple(notices)), (name,))
            left.append(name)
            notices.append(f"{name} is not what mailprov wrote, so it is left alone; there is now: {edit}")
        elif edit is not None:
            edits.append(edit)
            changes.append(_change(zone, edit, now, marker))
    diff = ZoneDiff(tuple(changes), tuple(edits), tuple(notices), compared=len(one["sets"]))
    return Undo(diff, tuple(left))


def _edit(each: dict[str, Any], now: Sequence[Record]) -> Edit | str | None:
    """The edit that undoes one set; None when it is as before; what is there now when that is not ours any more."""
    before, after = each["before"] or _half(0, []), each["after"] or _half(0, [])
    stands = [record.value for record in now]
    added = [value for value in after["values"] if value not in before["values"]]
    removed = [value for value in before["values"] if value not in after["values"]]
    ttl_changed = bool(before["values"] and after["values"] and before["ttl"] != after["ttl"])
    written = added if added or removed else after["values"]  # only its TTL was changed
    if not set(written) <= set(stands):
        as_before = set(stands) == set(before["values"])  # it was never published
        return None if as_before else ", ".join(map(shown, stands)) or "nothing"
    back = [value for value in removed if value not in stands]
    ttl = before["ttl"] if before["values"] else now[0].ttl if now else after["ttl"]
    if ttl_changed and now and now[0].ttl == after["ttl"]:
        final = [value for value in stands if value not in added] + back
        return Edit(each["name"], each["type"], ttl, tuple(added), tuple(final))
    if not added and not back:
        return None
    if [value for value in stands if value not in added and value not in before["values"]]:
        ttl = now[0].ttl  # one set, one TTL: other people's stays (RFC 2181 section 5.2)
    return Edit(each["name"], each["type"], ttl, tuple(added), tuple(back))


def _change(zone: str, edit: Edit, now: Sequence[Record], marker: bool) -> Change:
    old = [record.value for record in now]
    new = [value for value in old if value not in edit.remove]
    new += [value for value in edit.add if value not in new]
    ttl = now[0].ttl if now and new and now[0].ttl != edit.ttl else None
    change = change_of(zone, edit, old, new, f" (ttl {ttl} → {edit.ttl})" if ttl is not None else "")
    if not marker:
        return change
    detail = "mailprov's memory of what it wrote: as before"
    return Change(change.subject, change.kind, change.action, change.name, detail)
