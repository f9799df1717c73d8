"""Cuts the changes of a zone into writes that the provider takes at once. Pure.

    batches(zone, snapshot, edits, names, abilities, weigh) -> [edits of one write]     one, if all of it fits
    one_by_one(edits) -> edits                                  in which order, where a write can end in the middle

A domain's records and its marker are always in one write, so that each by itself leaves the zone as a run
would that is about some of the domains. First comes what belongs to the zone itself, with the sign at which 0.1.0
stops; last goes the marker that 0.1.0 wrote for the whole zone, when all that it knows is known elsewhere. Sets of more
records than the provider may take come with the first write: where they are refused, nothing was written.

Where a provider writes record by record, what was written must be known for ours wherever that ends: so first the
markers get their new texts, then the records are written, and then the markers lose the old texts. Several texts at one
marker are read as one (ownership.py).

Raises DnsFailed for a domain that does not fit by itself, and for a text that is too long for the provider; nothing has
been written then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from mailprov.dns import ownership
from mailprov.dns.abilities import Abilities
from mailprov.dns.rrsets import Edit, Snapshot, values_after
from mailprov.errors import DnsFailed
from mailprov.i18n import _
from mailprov.records import types

Weigh = Callable[[str, Snapshot, Sequence[Edit]], int]


def batches(
    zone: str,
    snapshot: Snapshot,
    edits: Sequence[Edit],
    names: Iterable[str],
    abilities: Abilities,
    weigh: Weigh,
) -> list[list[Edit]]:
    """`names`: the mail domains of the inventory. `weigh`: as in provider.Driver."""
    limit = abilities.capacity
    whole = list(edits)
    _all_short(zone, whole, abilities.longest_text or sys.maxsize)
    if not whole or limit is None or weigh(zone, snapshot, whole) <= limit:
        return [whole] if whole else []
    units: dict[str, list[Edit]] = {zone: []}
    marked = (
        edit.name.removeprefix(ownership.marker_name("")) for edit in edits if ownership.is_marker(edit.name)
    )
    known = {*names, *marked}  # also domains that have left
    last: list[Edit] = []
    for edit in edits:
        unit = ownership.unit_of(edit.name, zone, known)
        now = edit
        if ownership.is_marker(edit.name):
            unit = edit.name.removeprefix(ownership.marker_name(""))
            former = tuple(text for text in edit.remove if text.startswith(f"{ownership.FORMER} "))
            if former:
                last.append(replace(edit, remove=former, add=()))
                now = replace(edit, remove=tuple(text for text in edit.remove if text not in former))
        if now.remove or now.add:
            units.setdefault(unit, []).append(now)
    groups = [(unit, group, weigh(zone, snapshot, group)) for unit, group in units.items() if group]
    if too_large := [unit for unit, __, weight in groups if weight > limit]:
        raise DnsFailed(
            f"zone {zone}",
            _("the changed records of {domains} do not fit in {limit}, so nothing was written").format(
                domains=", ".join(too_large), limit=_(abilities.capacity_is)
            ),
            _("Apply in several steps with fewer hosts each"),
        )

    most = abilities.most_in_set or sys.maxsize

    def first(group: tuple[str, list[Edit], int]) -> tuple[bool, bool]:
        return group[0] != zone, not any(len(values_after(snapshot, edit)) > most for edit in group[1])

    groups.sort(key=first)
    found: list[list[Edit]] = []
    room = 0
    for __, group, weight in groups:
        if weight > room:
            found.append([])
            room = limit
        found[-1] += group
        room -= weight
    return [*found, last] if last else found


def _all_short(zone: str, edits: Iterable[Edit], most: int) -> None:
    for edit in edits:
        for value in edit.add if edit.type == "TXT" else ():
            if (count := len(types.render("TXT", value))) > most:
                what = _(
                    "{name} needs a text of {count} characters, and the provider takes {most} at most, so nothing was "
                    "written"
                )
                raise DnsFailed(
                    f"zone {zone}",
                    what.format(name=edit.name, count=count, most=most),
                    _(
                        "A DKIM key of 2048 bits, or an Ed25519 key, fits; else move the zone to a provider that takes "
                        "long texts"
                    ),
                )


def one_by_one(edits: Iterable[Edit]) -> list[Edit]:
    whole = list(edits)
    markers = [edit for edit in whole if ownership.is_marker(edit.name)]
    return [
        *(replace(edit, remove=()) for edit in markers if edit.add),
        *(edit for edit in whole if edit not in markers),
        *(replace(edit, add=()) for edit in markers if edit.remove),
    ]
