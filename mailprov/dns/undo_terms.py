"""Taking back terms of ours in somebody else's SPF record, of which a run's image has the whole record. Pure.

    of(each, entries) -> Swap | None          what the run did to it, if it did only that
    edit(each, now, swap, others, whole)      the way back from what stands now, as undo.py has it for whole values
    believed(edit, now, owned, wanted)        of an image without a seal (unsealed.py), what is believed of that

Where the record stands as the run left it, it goes back as it was, exactly. Where its owner has changed it since, the
terms that the run added go, and those that it took out come back, each if it is still ours to do that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from mailprov.dns import ownership, spf_merge
from mailprov.dns.ownership import Entry
from mailprov.dns.rrsets import Edit
from mailprov.model.records import Record
from mailprov.model.values import dataclass
from mailprov.records.spf_text import records

Half = dict[str, Any]
Way = Callable[[dict[str, Any], Sequence[Record]], Edit | str | None]


@dataclass(frozen=True)
class Swap:
    """`before`, `after`: the record. `gone`: terms that the run took out, `come` those that it added."""

    before: str
    after: str
    gone: tuple[str, ...]
    come: tuple[str, ...]


def of(each: dict[str, Any], entries: Collection[Entry]) -> Swap | None:
    """`entries`: what markers know of this set, before the run, behind it or now."""
    if each["type"] != "TXT" or not each["before"] or not each["after"]:
        return None
    before, after = records(each["before"]["values"]), records(each["after"]["values"])
    if len(before) != 1 or len(after) != 1 or before == after:
        return None
    name = each["name"]
    found = spf_merge.difference(before[0], after[0], name)
    known = _same(ownership.terms_of(entries, name), name)
    if found is None or not _same([*found[0], *found[1]], name) <= known:
        return None
    return Swap(before[0], after[0], tuple(found[0]), tuple(found[1]))


def edit(
    each: dict[str, Any], now: Sequence[Record], swap: Swap, others: Collection[Entry], whole: Way
) -> Edit | str | None:
    """`others`: what other inventories own of this set."""
    name = each["name"]
    stands = records(record.value for record in now)
    theirs = _same(ownership.terms_of(others, name), name)
    ours = [term for term in swap.come if not _same([term], name) & theirs]
    if len(stands) != 1 or (stands[0] == swap.after and len(ours) == len(swap.come)):
        return whole(each, now)
    rest = whole(
        {
            **each,
            "before": _without(each["before"], swap.before),
            "after": _without(each["after"], swap.after),
        },
        [record for record in now if record.value != stands[0]],
    )
    new = spf_merge.exchanged(stands[0], ours, swap.gone, name)
    if isinstance(rest, str) or new == stands[0]:
        return rest
    remove, add = (rest.remove, rest.add) if rest else ((), ())
    return Edit(name, each["type"], now[0].ttl, (*remove, stands[0]), (*add, new))


def believed(
    edit: Edit, now: Collection[str], owned: ownership.Ownership, wanted: Sequence[str]
) -> tuple[tuple[str, ...], list[str]]:
    """(values of this edit, terms that come back): the SPF record that it takes away, and the one that it brings, where
    they differ only by terms that are ours by the markers, and by terms of the record that is `wanted`.
    """
    gone, come = records(edit.remove), records(value for value in edit.add if value not in now)
    if len(gone) != 1 or len(come) != 1:
        return (), []
    found = spf_merge.difference(gone[0], come[0], edit.name)
    may_come = [term.text for text in wanted for term in spf_merge.counting(text)]
    if (
        found is None
        or not _same(found[0], edit.name) <= _same(owned.terms(edit.name), edit.name)
        or not _same(found[1], edit.name) <= _same(may_come, edit.name)
    ):
        return (), []
    return (gone[0], come[0]), found[1]


def _same(terms: Collection[str], name: str) -> set[str]:
    return {spf_merge.same(term, name) for term in terms}


def _without(half: Half, value: str) -> Half:
    return {**half, "values": [one for one in half["values"] if one != value]}
