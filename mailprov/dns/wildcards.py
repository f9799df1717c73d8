"""What a wildcard stops answering for, once names under it have records of their own.

    shadowed(driver, zone, wild, snapshot, edits, known) -> [sentence]
    wishes(name, wild, zone)       the questions that it takes for a name, if it is new
    stored(wild, known)            those that no wildcard above them makes up

RFC 4592: a wildcard answers for a name that does not exist, for all types. With a record of its own the name exists,
and with it every name between it and the wildcard's parent; the wildcard is silent for all of these, for every type,
and below them. That may be mail or a web site of somebody's, so a plan tells it before it happens.

survey.py asks for all that together with its own last questions; what it did not foresee is asked here. Nothing where
there is no wildcard. Raises what the driver raises.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from mailprov.dns import ownership
from mailprov.dns.driver import Answer, Driver
from mailprov.dns.reading import same
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot, ancestors
from mailprov.dns.shown import shown
from mailprov.i18n import _
from mailprov.model.hostnames import inside

# What people put at wildcards. There is no question for all types that every server answers (RFC 8482).
TYPES = ("A", "AAAA", "CAA", "CNAME", "HTTPS", "MX", "SRV", "SVCB", "TLSA", "TXT", "URI")


Known = Mapping[Key, Answer]


def wishes(name: str, wild: Collection[str], zone: str) -> set[Key]:
    owners = _above(name, wild, zone)
    return {(one, kind) for owner in owners for one in (owner, _top(name, owner)) for kind in TYPES}


def stored(wild: Collection[str], known: Known) -> set[str]:
    """`wild`: as for shadowed. Of two that answer alike, one above the other, the lower one is made up by the other."""
    sets = {
        owner: {kind: rrset for kind in TYPES if (rrset := _known(known, (owner, kind)))} for owner in wild
    }
    return {
        owner
        for owner in wild
        if not any(
            other in sets and _alike(sets[owner], sets[other])
            for other in (f"*.{parent}" for parent in ancestors(owner)[2:])
        )
    }


def _known(known: Known, key: Key) -> RRset | None:
    answer = known.get(key)
    return None if answer is None or answer.error is not None else answer.sets.get(key)


def shadowed(
    driver: Driver,
    zone: str,
    wild: Collection[str],
    snapshot: Snapshot,
    edits: Sequence[Edit],
    known: Known,
) -> list[str]:
    """`wild`: wildcards that answer when they are asked for by name, also of other zones. `known`: answers so far."""
    there = {name for name, __ in snapshot}
    new: dict[str, set[str]] = {}
    for edit in edits:
        if edit.add and edit.name not in there and not ownership.is_marker(edit.name):
            new.setdefault(edit.name, set()).add(edit.type)
    above = {name: _above(name, wild, zone) for name in new}
    sets = _sets(driver, sorted({owner for owners in above.values() for owner in owners}), known)
    over = {name: owner for name, owners in above.items() if (owner := _nearest(owners, sets))}
    tops = {name: _top(name, owner) for name, owner in over.items()}
    probes = sorted({(tops[name], kind) for name, owner in over.items() for kind in sets[owner]})
    answers = dict(zip(probes, _ask(driver, probes, known), strict=True))
    dark: dict[str, dict[str, set[str]]] = {}
    for name, owner in over.items():
        top = tops[name]
        # Where that name exists the wildcard does not answer for it as it is, nor for what is below it.
        if not all(
            _goes(driver, (top, kind), answers[top, kind], rrset) for kind, rrset in sets[owner].items()
        ):
            continue
        lost = set(sets[owner]) - (new[name] if top == name else set())
        dark.setdefault(owner, {}).setdefault(top, set(lost)).update(lost)
    return [_sentence(owner, sets[owner], names) for owner, names in sorted(dark.items())]


def _goes(driver: Driver, key: Key, answer: RRset | None, made_up: RRset) -> bool:
    """Whether the wildcard speaks for this name now. Of what is only stored there (provider.ZoneDriver) a name that has
    nothing is answered for by the wildcard.
    """
    return answer is None if driver.reads_stored else same(key, answer, made_up)


def _above(name: str, wild: Collection[str], zone: str) -> list[str]:
    """The wildcards above a name, the nearest first."""
    every = (f"*.{parent}" for parent in ancestors(name)[1:] if inside(parent, zone))
    return [owner for owner in every if owner in wild and owner != name]


def _top(name: str, owner: str) -> str:
    """The highest name that comes to be: below the wildcard's parent."""
    parent = owner.removeprefix("*.")
    return f"{name.removesuffix(f'.{parent}').rpartition('.')[2]}.{parent}"


def _nearest(owners: Sequence[str], sets: Mapping[str, Mapping[str, RRset]]) -> str:
    """The nearest that is not made up itself by one above it."""
    for number, owner in enumerate(owners):
        if sets[owner] and not any(_alike(sets[owner], sets[other]) for other in owners[number + 1 :]):
            return owner
    return ""


def _alike(one: Mapping[str, RRset], other: Mapping[str, RRset]) -> bool:
    return one.keys() == other.keys() and all(one[kind].same_data(other[kind]) for kind in one)


def _sets(driver: Driver, owners: Sequence[str], known: Known) -> dict[str, dict[str, RRset]]:
    keys = [(owner, kind) for owner in owners for kind in TYPES]
    found: dict[str, dict[str, RRset]] = {owner: {} for owner in owners}
    for (owner, kind), rrset in zip(keys, _ask(driver, keys, known), strict=True):
        if rrset is not None:
            found[owner][kind] = rrset
    return found


def _ask(driver: Driver, keys: Sequence[Key], known: Known) -> list[RRset | None]:
    fresh = [key for key in keys if key not in known]
    answers = {**known, **(driver.query(fresh).answers if fresh else {})}
    return [answers[key].known().get(key) for key in keys]


def _sentence(owner: str, sets: dict[str, RRset], names: dict[str, set[str]]) -> str:
    gives = "; ".join(f"{kind} {_values(rrset)}" for kind, rrset in sorted(sets.items()))
    lost = ", ".join(
        f"{name} ({', '.join(sorted(kinds)) or _('only below it')})" for name, kinds in sorted(names.items())
    )
    return _(
        "{wildcard} ({answers}) answers no more for names that get records of their own, nor "
        "below them (RFC 4592). What goes: {names}. Give a name records of its own for what "
        "it must keep"
    ).format(wildcard=owner, answers=gives, names=lost)


def _values(rrset: RRset) -> str:
    return ", ".join(_listed(rrset.values))


def _listed(values: Iterable[str]) -> list[str]:
    return sorted(shown(value) for value in values)
