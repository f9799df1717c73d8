"""What a wildcard stops answering for, once names under it have records of their own.

    shadowed(session, zone, wild, snapshot, edits) -> [sentence]

RFC 4592: a wildcard answers for a name that does not exist, for all types. With a record of its own the name exists,
and with it every name between it and the wildcard's parent; the wildcard is silent for all of these, for every type,
and below them. That may be mail or a web site of somebody's, so a plan tells it before it happens.

Asks nothing where there is no wildcard. Raises what zones.py and session.py raise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from mailprov.dns import ownership, zones
from mailprov.dns.diff import Edit, Key, shown
from mailprov.dns.rdata import from_rdata
from mailprov.dns.session import Session
from mailprov.dns.zones import RRset, Snapshot

# What people put at wildcards. There is no question for all types that every server answers (RFC 8482).
TYPES = ("A", "AAAA", "CAA", "CNAME", "HTTPS", "MX", "SRV", "SVCB", "TLSA", "TXT", "URI")


def shadowed(
    session: Session, zone: str, wild: Collection[str], snapshot: Snapshot, edits: Sequence[Edit]
) -> list[str]:
    """`wild`: wildcards that answer when they are asked for by name, also of other zones."""
    there = {name for name, _ in snapshot}
    new: dict[str, set[str]] = {}
    for edit in edits:
        if edit.add and edit.name not in there and not ownership.is_marker(edit.name):
            new.setdefault(edit.name, set()).add(edit.type)
    above = {name: _above(name, wild, zone) for name in new}
    sets = _sets(session, sorted({owner for owners in above.values() for owner in owners}))
    over = {name: owner for name, owners in above.items() if (owner := _nearest(owners, sets))}
    probes = [(name, kind) for name, owner in over.items() for kind in sets[owner]]
    answers = dict(zip(probes, _ask(session, probes), strict=True))
    dark: dict[str, dict[str, set[str]]] = {}
    for name, owner in over.items():
        # A name that exists, or is below one that does, is not answered for by this wildcard as it is.
        if not all(zones.same(answers[name, kind], rrset) for kind, rrset in sets[owner].items()):
            continue
        # The highest name that comes to be: below the wildcard's parent there is none yet.
        parent = owner.removeprefix("*.")
        top = f"{name.removesuffix(f'.{parent}').rpartition('.')[2]}.{parent}"
        lost = set(sets[owner]) - (new[name] if top == name else set())
        dark.setdefault(owner, {}).setdefault(top, set(lost)).update(lost)
    return [_sentence(owner, sets[owner], names) for owner, names in sorted(dark.items())]


def _above(name: str, wild: Collection[str], zone: str) -> list[str]:
    """The wildcards above a name, the nearest first."""
    every = (f"*.{parent}" for parent in zones.ancestors(name)[1:] if ownership.inside(parent, zone))
    return [owner for owner in every if owner in wild and owner != name]


def _nearest(owners: Sequence[str], sets: Mapping[str, Mapping[str, RRset]]) -> str:
    """The nearest that is not made up itself by one above it."""
    for number, owner in enumerate(owners):
        if sets[owner] and not any(_alike(sets[owner], sets[other]) for other in owners[number + 1 :]):
            return owner
    return ""


def _alike(one: Mapping[str, RRset], other: Mapping[str, RRset]) -> bool:
    return one.keys() == other.keys() and all(zones.same(one[kind], other[kind]) for kind in one)


def _sets(session: Session, owners: Sequence[str]) -> dict[str, dict[str, RRset]]:
    keys = [(owner, kind) for owner in owners for kind in TYPES]
    found: dict[str, dict[str, RRset]] = {owner: {} for owner in owners}
    for (owner, kind), rrset in zip(keys, _ask(session, keys), strict=True):
        if rrset is not None:
            found[owner][kind] = rrset
    return found


def _ask(session: Session, keys: Sequence[Key]) -> list[RRset | None]:
    answers = session.ask([zones.question(*key) for key in keys])
    return [zones.data_of(session, key, answer).get(key) for key, answer in zip(keys, answers, strict=True)]


def _sentence(owner: str, sets: dict[str, RRset], names: dict[str, set[str]]) -> str:
    gives = "; ".join(f"{kind} {_values(rrset)}" for kind, rrset in sorted(sets.items()))
    lost = ", ".join(
        f"{name} ({', '.join(sorted(kinds)) or 'only below it'})" for name, kinds in sorted(names.items())
    )
    return (
        f"{owner} ({gives}) answers no more for names that get records of their own, nor below them (RFC 4592). "
        f"What goes: {lost}. Give a name records of its own for what it must keep"
    )


def _values(rrset: RRset) -> str:
    return ", ".join(_listed(from_rdata(rdata) for rdata in rrset.rdatas))


def _listed(values: Iterable[str]) -> list[str]:
    return sorted(shown(value) for value in values)
