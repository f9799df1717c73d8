"""Taking back what was published: what each record set was before a run and after it, and the way back. Pure.

    before_image(zone, edits, existing) -> Image
                                                JSON-ready: {"zone", "sets": [{"name", "type", "before", "after"}]}
    merged(images) -> {zone: Image}             several runs, the oldest first, as one
    reads(image) -> keys                        the sets that undo_zone must know
    undo_zone(image, existing) -> Undo          what to edit now, and what somebody else has changed since

`before` and `after` are {"ttl", "values"}, or null where there is no such set.

The controller keeps no state, by design: any machine with the inventory can go on where another stopped. So a run
gives the images of a zone to the zone's own hosts, with the go and thus before anything is published (an image of what
never got published does no harm: the zone is then found as before). A directory on the controller would be gone in a
pipeline, where every job is a fresh container, and wrong where two people share an inventory; the marker in the zone
itself is public, and has no room for old values.

Only values that the run added or removed are touched, and only while what it added still stands: that is the
compare-and-swap against the after-image. What others added beside it stays; a set in which they changed ours is left
alone and told. So is a value that another inventory owns by now. Of somebody else's SPF record to which the run added
terms (foreign_spf.py) only these go, where its owner has changed it since.

Where the ownership markers stand as the run left them, they are put back as they were. Otherwise a later run has
written them, of this version after one of 0.1.0, or for another domain of the zone: then a set is put back if they say
of it what the run said, and what they say of the others stays. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from mailprov.dns import ownership, undo_terms
from mailprov.dns.aliases import in_order
from mailprov.dns.diff import ZoneDiff, change_of
from mailprov.dns.ownership import Entry, Marker
from mailprov.dns.rrsets import Edit, Key, ancestors
from mailprov.dns.shown import shown
from mailprov.i18n import _
from mailprov.model.events import Change
from mailprov.model.hostnames import inside
from mailprov.model.records import Record
from mailprov.model.values import dataclass
from mailprov.plan import zone_details

Image = dict[str, Any]


@dataclass(frozen=True)
class Undo:
    """`left`: record sets that are not put back, because somebody changed them since; `notices` say what is there."""

    diff: ZoneDiff
    left: tuple[str, ...] = ()


def before_image(zone: str, edits: Iterable[Edit], existing: Iterable[Record]) -> Image:
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


def reads(one: Image) -> set[Key]:
    """All sets of the image, and the markers that may know of them."""
    keys = {(each["name"], each["type"]) for each in one["sets"]}
    for name, __ in list(keys):
        keys |= {
            (ownership.marker_name(parent), "TXT")
            for parent in ancestors(name)
            if inside(parent, one["zone"]) and not parent.startswith("_") and "._" not in parent
        }
    return keys


def undo_zone(
    one: Image,
    existing: Iterable[Record],
    *,
    literal: bool = True,
    apart: Collection[Key] = (),
    special: Mapping[Key, str] | None = None,
) -> Undo:
    """The way back from what stands now. Not `literal`: a part of an image, so markers do not go back as they were.

    `apart`: sets that were in the image, and that stay as they are. `special`: as in rrsets; they stay as well.
    """
    stand: dict[Key, list[Record]] = {}
    for record in existing:
        stand.setdefault((record.name, record.type), []).append(record)
    back = _Back(one, stand, literal, special or {})
    for each in one["sets"]:
        if not ownership.is_marker(each["name"]):
            back.put_back(each)
    if not back.literal:
        back.disown({(each["name"], each["type"]) for each in one["sets"]} | set(apart))
    back.put_back_markers()
    pairs = in_order(list(zip(back.edits, back.changes, strict=True)), lambda pair: pair[0])
    edits, changes = tuple(edit for edit, __ in pairs), tuple(change for __, change in pairs)
    diff = ZoneDiff(changes, edits, tuple(back.notices), compared=len(one["sets"]))
    return Undo(diff, tuple(back.left))


class _Back:
    """The way back of one zone. `literal`: the markers stand as the run left them, and go back as they were."""

    def __init__(
        self, one: Image, stand: dict[Key, list[Record]], literal: bool, special: Mapping[Key, str]
    ) -> None:
        self.zone, self.stand, self._special = one["zone"], stand, special
        self.edits: list[Edit] = []
        self.changes: list[Change] = []
        self.notices: list[str] = []
        self.left: list[str] = []
        self._markers = [each for each in one["sets"] if ownership.is_marker(each["name"])]
        self.literal = literal and all(
            isinstance(_edit(each, self._at(each)), Edit | None) for each in self._markers
        )
        before = _parsed(
            (each["name"], _values(each["before"]) - _values(each["after"])) for each in self._markers
        )
        after = _parsed(
            (each["name"], _values(each["after"]) - _values(each["before"])) for each in self._markers
        )
        self._before, self._after = _entries(before), _entries(after)
        whose = {name for marker in [*before, *after] for name in marker.named}
        now = _parsed(
            (name, {record.value for record in records})
            for (name, kind), records in stand.items()
            if kind == "TXT" and ownership.is_marker(name)
        )
        self._ours = [marker for marker in now if whose & set(marker.named)]
        self._others = _entries(marker for marker in now if not whose & set(marker.named))
        self._entries = _entries(self._ours)

    def _at(self, each: dict[str, Any]) -> list[Record]:
        return self.stand.get((each["name"], each["type"]), [])

    def put_back(self, each: dict[str, Any]) -> None:
        """One record set."""
        now = self._at(each)
        name = f"{each['name']} {each['type']}"
        key = (each["name"], each["type"])
        # A run that changed no marker (a term that was added again): whoever knows the term counts as that run's.
        others = self._others if self._markers else set()
        terms = self._before | self._after | self._entries | (self._others - others)
        swap = undo_terms.of(each, _of(terms, key))
        edit = undo_terms.edit(each, now, swap, _of(others, key), _edit) if swap else _edit(each, now)
        if key in self._special:
            edit = self._special[key]
        if isinstance(edit, str):
            self.left.append(name)
            self.notices.append(
                _("{name} is not what mailprov wrote, so it is left alone; there is now: {values}").format(
                    name=name, values=edit
                )
            )
            return
        if not self.literal:
            said, says = _of(self._after, key), _of(self._entries, key)
            if edit is not None and says != said:
                self.left.append(name)
                self.notices.append(
                    _("a later run of mailprov changed {name}; it is left alone").format(name=name)
                )
                return
            self._entries = (self._entries - says) | _of(self._before, key) if says == said else self._entries
        if edit is not None:
            edit = self._without_others(edit)
        if edit is not None:
            self.edits.append(edit)
            self.changes.append(_change(self.zone, edit, now, ""))

    def _without_others(self, edit: Edit) -> Edit | None:
        """What another inventory owns as well stays."""
        mine = tuple(
            value
            for value in edit.remove
            if (edit.name, edit.type, ownership.digest(edit.type, value)) not in self._others
        )
        return Edit(edit.name, edit.type, edit.ttl, mine, edit.add) if mine or edit.add else None

    def disown(self, sets: Collection[Key]) -> None:
        """What a take-over only made ours, because it was as wanted already, is in the markers alone, and in none of
        these `sets` of values: it is its owner's again. Nothing is made ours in this way.
        """
        for key in {entry[:2] for entry in self._after - self._before} - set(sets):
            if _of(self._entries, key) == _of(self._after, key):
                self._entries -= _of(self._after - self._before, key)

    def put_back_markers(self) -> None:
        if self.literal:
            for each in self._markers:
                edit = _edit(each, self._at(each))
                if isinstance(edit, Edit):
                    self._mark(edit)
            return
        units: dict[str, set[Entry]] = {marker.unit: set() for marker in self._ours}
        for entry in self._entries:
            units.setdefault(ownership.unit_of(entry[0], self.zone, units), set()).add(entry)
        for marker in self._ours:
            wanted = units.pop(marker.unit, set())
            if wanted != marker.entries:
                sign = marker.unit == self.zone and not marker.former and len(self._ours) > 1
                text = ownership.with_entries(marker, wanted) if wanted or sign else ""
                place = ownership.marker_name(marker.unit)
                ttl = next(record.ttl for record in self.stand[place, "TXT"])
                self._mark(Edit(place, "TXT", ttl, (marker.text,), (text,) if text else ()))

    def _mark(self, edit: Edit) -> None:
        self.edits.append(edit)
        count = sum(len(marker.entries) for marker in _parsed([(edit.name, set(edit.add))]))
        now = self.stand.get((edit.name, edit.type), [])
        self.changes.append(_change(self.zone, edit, now, zone_details.restored_marker(count)))


def _values(half: dict[str, Any] | None) -> set[str]:
    return set(half["values"]) if half else set()


def _parsed(texts: Iterable[tuple[str, set[str]]]) -> list[Marker]:
    found = [ownership.parse(name, text) for name, several in texts for text in sorted(several)]
    return [marker for marker in found if marker is not None and not marker.newer]


def _entries(markers: Iterable[Marker]) -> set[Entry]:
    return {entry for marker in markers for entry in marker.entries}


def _of(entries: set[Entry], key: Key) -> set[Entry]:
    return {entry for entry in entries if entry[:2] == key}


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
        return None if as_before else ", ".join(map(shown, stands)) or _("nothing")
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


def _change(zone: str, edit: Edit, now: Sequence[Record], marker: str) -> Change:
    old = [record.value for record in now]
    new = [value for value in old if value not in edit.remove]
    new += [value for value in edit.add if value not in new]
    ttl = now[0].ttl if now and new and now[0].ttl != edit.ttl else None
    change = change_of(zone, edit, old, new, f" (ttl {ttl} → {edit.ttl})" if ttl is not None else "")
    if not marker:
        return change
    return Change(change.subject, change.kind, change.action, change.name, marker)
