"""Cuts the changes of a zone into UPDATE messages that fit. Pure.

    batches(zone, snapshot, edits, names) -> [edits of one message]     one, if all of it fits
    after(snapshot, edits) -> Snapshot                                  what stands when they are done
    size(snapshot, edit) -> int                                         how many records a set will have

A domain's records and its marker are always in one message, so that each message by itself leaves the zone as a run
would that is about some of the domains. First comes what belongs to the zone itself, with the sign at which 0.1.0
stops; last goes the marker that 0.1.0 wrote for the whole zone, when all that it knows is known elsewhere. Sets of more
records than BIND takes by default come with the first message: where they are refused, nothing was written.

Raises DnsFailed for a domain that does not fit into a message by itself; nothing has been written then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mailprov.dns import ownership
from mailprov.dns.diff import Edit
from mailprov.dns.rdata import from_rdata, to_rdata
from mailprov.dns.update import build_update
from mailprov.dns.zones import RRset, Snapshot
from mailprov.errors import DnsFailed

LIMIT = 64_000  # octets; a message has 65,535 (RFC 1035 section 4.2.2), and a signature and a guard are added
MOST_RECORDS = 100  # in one set, BIND's max-records-per-type


def batches(zone: str, snapshot: Snapshot, edits: Sequence[Edit], names: Iterable[str]) -> list[list[Edit]]:
    """`names`: the mail domains of the inventory."""
    whole = list(edits)
    if not whole or _octets(zone, snapshot, whole) <= LIMIT:
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
    groups = [(unit, group, _octets(zone, snapshot, group)) for unit, group in units.items() if group]
    if too_large := [unit for unit, _, octets in groups if octets > LIMIT]:
        raise DnsFailed(
            f"zone {zone}",
            f"the changed records of {', '.join(too_large)} do not fit in one DNS message of 64 KiB, so nothing was "
            "written",
            "Apply in several steps with fewer hosts each",
        )

    def first(group: tuple[str, list[Edit], int]) -> tuple[bool, bool]:
        return group[0] != zone, not any(size(snapshot, edit) > MOST_RECORDS for edit in group[1])

    groups.sort(key=first)
    found: list[list[Edit]] = []
    room = 0
    for _, group, octets in groups:
        if octets > room:
            found.append([])
            room = LIMIT
        found[-1] += group
        room -= octets
    return [*found, last] if last else found


def size(snapshot: Snapshot, edit: Edit) -> int:
    return len(_values(snapshot, edit))


def after(snapshot: Snapshot, edits: Iterable[Edit]) -> Snapshot:
    """As the zone is read when these edits have been done."""
    result = dict(snapshot)
    for edit in edits:
        key = (edit.name, edit.type)
        old = {from_rdata(rdata): rdata for rdata in result[key].rdatas} if key in result else {}
        values = _values(result, edit)
        result.pop(key, None)
        if values:
            rdatas = tuple(old.get(value) or to_rdata(edit.type, value) for value in values)
            result[key] = RRset(edit.ttl if edit.add else snapshot[key].ttl, rdatas)
    return result


def _values(snapshot: Snapshot, edit: Edit) -> list[str]:
    rrset = snapshot.get((edit.name, edit.type))
    values = [from_rdata(rdata) for rdata in rrset.rdatas] if rrset else []
    return list(dict.fromkeys([*(v for v in values if v not in edit.remove), *edit.add]))


def _octets(zone: str, snapshot: Snapshot, edits: Iterable[Edit]) -> int:
    """Octets of the message, without compression, which only makes it smaller."""
    total = 0
    for section in build_update(zone, snapshot, edits).sections:
        for rrset in section:
            name = len(rrset.name.to_wire() or b"")
            total += sum(name + 10 + len(rdata.to_wire() or b"") for rdata in rrset) or name + 10
    return total
