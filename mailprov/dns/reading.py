"""Reads sets of known zones, without what only a wildcard makes up.

    read(driver, zone, keys, wild) -> Snapshot
    read_zones(driver, {zone: keys}, wild) -> ({zone: Snapshot}, wildcards that were met)
    read_plain(driver, keys) -> Snapshot        what is answered, also by wildcards
    same(one, other)                            whether two sets have the same data of their own

Raises DnsFailed where the provider would not tell, and what the driver raises.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from mailprov.dns.driver import Driver, Proof
from mailprov.dns.rrsets import Key, RRset, Snapshot, ancestors


def read(driver: Driver, zone: str, keys: Collection[Key], wild: Collection[str] = ()) -> Snapshot:
    """The RRsets at these names and types as the provider has them, and CNAMEs met there. Missing ones are
    left out.

    What a wildcard made up is left out too: it is not there to be kept, changed or named in a prerequisite. One round,
    and one more where something reads like what a wildcard makes up; not below the wildcards `wild`, which are known.
    """
    snapshots, _ = read_zones(driver, {zone: keys}, wild)
    return snapshots[zone]


def read_zones(
    driver: Driver, keys: Mapping[str, Collection[Key]], wild: Collection[str] = ()
) -> tuple[dict[str, Snapshot], frozenset[str]]:
    asked = {key for several in keys.values() for key in several}
    # Of two zones the nearer one has the name.
    zone_of = {key[0]: zone for zone in sorted(keys, key=len) for key in keys[zone]}
    # RFC 4592: what a wildcard says of this name it says of a name beside it that nobody has.
    nobody = f"mailprov-{os.urandom(8).hex()}"

    def beside(key: Key) -> Key:
        return f"{nobody}.{key[0].partition('.')[2]}", key[1]

    below = [key for key in sorted(asked) if any(f"*.{above}" in wild for above in ancestors(key[0])[1:])]
    ordered = sorted(asked | {beside(key) for key in asked if key[0] != zone_of[key[0]]})
    told = driver.query(ordered, proofs=[(zone_of[key[0]], key) for key in below])
    found: Snapshot = {}
    for key in ordered:
        found.update(told.answers[key].known())
    proven = {key: stored for (_, key), stored in told.stored.items()}
    doubtful = {key for key in found if key[0] in zone_of and same(key, found.get(beside(key)), found[key])}
    made_up = {key for key in doubtful if not proven.get(key, True)}
    made_up |= not_stored(driver, {(zone_of[key[0]], key) for key in doubtful - proven.keys()})
    snapshots = {
        zone: {
            key: found[key]
            for key in dict.fromkeys(
                one for key in several for one in (key, (key[0], "CNAME"), (key[0], "DNAME"))
            )
            if key in found and key not in made_up
        }
        for zone, several in keys.items()
    }
    met = {name.partition(".")[2] for name, _ in found if name.startswith(nobody)}
    return snapshots, frozenset(f"*.{parent}" for parent in met)


def same(key: Key, one: RRset | None, other: RRset | None) -> bool:
    """Whether both have the same data of their own; what is below a DNAME has none."""
    return key[1] != "DNAME" and one is not None and one.same_data(other)


def not_stored(driver: Driver, doubtful: Collection[Proof]) -> set[Key]:
    """Which of these sets, each of a zone, are answered and not there: a wildcard made them up."""
    told = driver.query(proofs=sorted(doubtful)).stored if doubtful else {}
    return {key for (_, key), stored in told.items() if not stored}


def read_plain(driver: Driver, keys: Collection[Key]) -> Snapshot:
    ordered = sorted(set(keys))
    told = driver.query(ordered).answers
    return {found: rrset for key in ordered for found, rrset in told[key].known().items()}
