"""What stands in a zone, and how it is to be changed, whoever the provider is. Pure values.

    Key            (absolute name, type)
    Stored         one value as it stands there
    RRset          all values of one name and type, which share a TTL (RFC 2181 section 5.2)
    Snapshot       {Key: RRset}
    Edit           a change of one RRset
    values_after(snapshot, edit), after(snapshot, edits), as_records(snapshot)
    special(snapshot) -> {Key: what it is}, fixed(snapshot) -> {Key: what is in it}
    ancestors(name)

A DNAME above a name stands in a snapshot under that name, with the type DNAME: what is put below it nobody sees (RFC
6672 section 2.4).
"""

from __future__ import annotations

from collections.abc import Iterable

from mailprov.model.records import Record
from mailprov.model.values import dataclass
from mailprov.records import types

Key = tuple[str, str]


@dataclass(frozen=True)
class Stored:
    """`value`: canonical, as in model.records.Record. `exact`: as the provider has it, by which its driver finds it
    again: of two spellings of one value (a TXT that is cut elsewhere) it is the one that is there.
    """

    value: str
    exact: str = ""


@dataclass(frozen=True)
class RRset:
    """`special`: empty for plain DNS data. Else what this is at the provider ("an alias of lb.example"), in which no
    value can be added, changed or removed without spoiling it: then nothing is ever written there. `fixed`: what is in
    it ("a text that …") that its driver could not write back together with a change; nothing is written there either.
    """

    ttl: int
    stored: tuple[Stored, ...]
    special: str = ""
    fixed: str = ""

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(one.value for one in self.stored)

    def same_data(self, other: RRset | None) -> bool:
        return (
            other is not None
            and set(self.values) == set(other.values)
            and bool(self.special) == bool(other.special)
        )


Snapshot = dict[Key, RRset]


@dataclass(frozen=True)
class Edit:
    """One RRset: remove these values, add those. Where only the TTL changes, `add` repeats the values."""

    name: str
    type: str
    ttl: int
    remove: tuple[str, ...]
    add: tuple[str, ...]


def values_after(snapshot: Snapshot, edit: Edit) -> list[str]:
    rrset = snapshot.get((edit.name, edit.type))
    values = rrset.values if rrset else ()
    return list(dict.fromkeys([*(value for value in values if value not in edit.remove), *edit.add]))


def after(snapshot: Snapshot, edits: Iterable[Edit]) -> Snapshot:
    """As the zone is read when these edits have been done."""
    result = dict(snapshot)
    for edit in edits:
        key = (edit.name, edit.type)
        old = {one.value: one for one in result[key].stored} if key in result else {}
        values = values_after(result, edit)
        result.pop(key, None)
        if values:
            stored = tuple(old.get(value) or Stored(value) for value in values)
            result[key] = RRset(edit.ttl if edit.add else snapshot[key].ttl, stored)
    return result


def as_records(snapshot: Snapshot) -> list[Record]:
    """The snapshot as the pure code wants it; TXT that differ only in how they are cut have the same value.

    Sorted, because servers give the records of a set in another order each time: MX by preference.
    """
    records = [
        Record(name, kind, value, rrset.ttl)
        for (name, kind), rrset in snapshot.items()
        for value in rrset.values
    ]
    return sorted(records, key=lambda r: (r.name, r.type, types.rank(r.type, r.value), r.value))


def special(snapshot: Snapshot) -> dict[Key, str]:
    """The sets that are no plain DNS data, and what they are."""
    return {key: rrset.special for key, rrset in snapshot.items() if rrset.special}


def fixed(snapshot: Snapshot) -> dict[Key, str]:
    """The sets in which nothing can be changed, and what is in them."""
    return {key: rrset.fixed for key, rrset in snapshot.items() if rrset.fixed}


def ancestors(name: str) -> list[str]:
    """The name, and all above it but the root."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]
