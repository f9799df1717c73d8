"""What a provider's driver can do, and what it cannot: the planner, the guard and the batches go by it. Pure values."""

from __future__ import annotations

from mailprov.model.values import dataclass


@dataclass(frozen=True)
class Abilities:
    """`atomic`: of one write all is done, or nothing; otherwise set by set, and what is half done is read back.
    `compare_and_swap`: a write is refused where a touched set is not as it was read; otherwise the sets are read once
    more just before, and a change in that moment is found when reading back, if at all. `holds_version`: it can require
    that the whole zone is as it was (see guard.py). `lists_zones`: it knows its zones; else each name is asked for.
    `reads_sets`: the cost of reading does not grow with the zone. `types`: of records; None for all. `ttls`: the lowest
    and the highest. `calls_per_second`: its limit, for a driver to keep; None: none is known. `most_in_set`: records
    that it takes in one set. `longest_text`: characters of one TXT, written with its quotes. `capacity`: what `weigh`
    may be at most; `capacity_is`: what that is, for people, marked with N_ (i18n.py).
    """

    atomic: bool
    compare_and_swap: bool
    holds_version: bool
    lists_zones: bool
    reads_sets: bool
    types: frozenset[str] | None = None
    ttls: tuple[int, int] = (0, 2**31 - 1)
    calls_per_second: float | None = None
    most_in_set: int | None = None
    longest_text: int | None = None
    capacity: int | None = None
    capacity_is: str = ""
