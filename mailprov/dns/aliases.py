"""CNAMEs that are wanted: at a name that is one there can be nothing else (RFC 1034 section 3.6.2). Pure.

    beside(records) -> keys                       what must be read as well, to know whether a CNAME can stand
    beyond(stand, want, owned) -> stand           what stands, without the CNAMEs of ours that leave in this run
    in_the_way(stand, want, owned) -> {key: sentences}     what others have at the names of wanted CNAMEs
    in_order(edits, of) -> edits                  what leaves a name goes before what comes there

A server passes over a CNAME that is added beside other data, and other data beside a CNAME, and says nothing (RFC 2136
section 3.4.2.2): so both are seen before, and the order within an update counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from mailprov.dns import ownership
from mailprov.dns.rrsets import Edit, Key
from mailprov.i18n import _
from mailprov.model.records import Record

# All types that mailprov knows. Where another one stands there the write is refused, or seen to be passed over.
_BESIDE = ("A", "AAAA", "CAA", "MX", "SRV", "TLSA", "TXT")

Standing = Mapping[Key, Sequence[Record]]
T = TypeVar("T")


def beside(keys: Iterable[Key]) -> set[Key]:
    return {(name, other) for name, kind in keys if kind == "CNAME" for other in _BESIDE}


def beyond(
    stand: Mapping[Key, list[Record]], want: Collection[Key], owned: ownership.Ownership
) -> dict[Key, list[Record]]:
    """For judging the other types at these names."""

    def leaves(key: Key) -> bool:
        return key[1] == "CNAME" and key not in want and _all_ours(stand[key], owned)

    return {key: records for key, records in stand.items() if not leaves(key)}


def in_the_way(stand: Standing, want: Standing, owned: ownership.Ownership) -> dict[Key, tuple[str, str]]:
    """By wanted CNAME, and what to do about it."""
    found: dict[str, list[str]] = {}
    for name, kind in stand:
        if kind in ("CNAME", "DNAME") or (name, "CNAME") not in want:
            continue
        if (name, kind) in want or not _all_ours(stand[name, kind], owned):
            found.setdefault(name, []).append(kind)
    form = _("{name} has {types} records that mailprov did not write, so it cannot be a CNAME of {target}")
    result: dict[Key, tuple[str, str]] = {}
    for name, kinds in found.items():
        target = want[name, "CNAME"][0].value
        told = form.format(name=name, types=", ".join(sorted(kinds)), target=target)
        result[name, "CNAME"] = (told, _("Remove them, or leave the CNAME out"))
    return result


def _all_ours(records: Sequence[Record], owned: ownership.Ownership) -> bool:
    return all(
        owned.owns(one.name, one.type, one.value) and not owned.shared(one.name, one.type, one.value)
        for one in records
    )


def in_order(items: Sequence[T], of: Callable[[T], Edit]) -> list[T]:
    """Stable. `of` gives the edit of an item."""
    aliases = {edit.name for edit in map(of, items) if edit.type == "CNAME"}
    return sorted(items, key=lambda item: not (of(item).name in aliases and not of(item).add))
