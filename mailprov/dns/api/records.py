"""Between the records of an API and what mailprov means. Pure.

    Item                                 one record as the provider has it
    item(…), canonical(kind, text)       made of what it tells; of a text that makes no sense the text itself
    sets(items) -> Snapshot
    steps(items, edit) -> Steps          which records of a set are removed, changed in place and made
    plain(name), absolute(label, zone), relative(name, zone), whole_target(text, zone)
    unquoted(text)                       a TXT that may stand there in quotes, or without

Names: some providers tell them whole, some as labels in the zone, with `@` or nothing for the zone itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot, Stored
from mailprov.model.hostnames import below
from mailprov.model.values import dataclass, field
from mailprov.records import types


@dataclass(frozen=True)
class Item:
    """`text`: as zone file text. `id`: the provider's. `raw`: all that it told. `special`: as of an RRset."""

    key: Key
    ttl: int
    text: str
    id: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    special: str = ""

    @property
    def value(self) -> str:
        return canonical(self.key[1], self.text)


@dataclass(frozen=True)
class Steps:
    """`change`: in place, to this value and the edit's TTL."""

    remove: tuple[Item, ...] = ()
    change: tuple[tuple[Item, str], ...] = ()
    make: tuple[str, ...] = ()


def canonical(kind: str, text: str) -> str:
    try:
        return types.parse(kind, text)
    except ValueError:
        return text


def sets(items: Iterable[Item]) -> Snapshot:
    """Of several TTLs in a set the lowest counts (RFC 2181 section 5.2)."""
    grouped: dict[Key, list[Item]] = {}
    for one in items:
        grouped.setdefault(one.key, []).append(one)
    return {
        key: RRset(
            min(one.ttl for one in some),
            tuple(Stored(one.value, one.text) for one in some),
            next((one.special for one in some if one.special), ""),
        )
        for key, some in grouped.items()
    }


def steps(items: Sequence[Item], edit: Edit) -> Steps:
    """`items`: of the edit's set. A value takes the place of one that goes: an SPF record is never missing and never
    twice, not even for a moment.
    """
    going = [one for one in items if one.value in edit.remove and one.value not in edit.add]
    standing = {one.value for one in items}
    coming = [value for value in edit.add if value not in standing]
    retimed = [(one, one.value) for one in items if one.value in edit.add and one.ttl != edit.ttl]
    both = min(len(going), len(coming))
    return Steps(
        tuple(going[both:]),
        (*retimed, *zip(going[:both], coming[:both], strict=True)),
        tuple(coming[both:]),
    )


def plain(name: str) -> str:
    """A whole name as mailprov has it."""
    name = name.removesuffix(".").lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            pass
    return name


def absolute(label: str, zone: str) -> str:
    if label in ("", "@"):
        return zone
    return plain(label) if label.endswith(".") else plain(f"{label}.{zone}")


def relative(name: str, zone: str, apex: str = "@") -> str:
    return name.removesuffix(f".{zone}") if below(name, zone) else apex


def whole_target(text: str, zone: str) -> str:
    """The data of a CNAME, MX, NS, SRV: its last word is a name, which without a final dot begins at the zone."""
    before, space, target = text.rpartition(" ")
    return f"{before}{space}{absolute(target, zone)}."


TARGETS = frozenset({"CNAME", "DNAME", "MX", "NS", "SRV", "PTR"})


def unquoted(text: str) -> str:
    """As zone file text: what stands there without quotes is one string."""
    return text if text.startswith('"') else types.render("TXT", text)
