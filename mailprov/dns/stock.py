"""What the ownership markers that were met tell: whose values are whose, and which domains have departed. Pure.

    take_stock(sets, inventory, told, also, explored) -> Stock
    Told                    domain → names in DNS of the hosts that served it until now

A domain has departed when a marker of ours names it, the inventory does not have it, and its own marker names a domain
of the inventory, or one that has departed likewise (who took it over has put other names there). Or when a host says
that it served it until now (`told`) and its MX, which a marker knows, leads to that host: DNS alone cannot tell that
from another inventory's domain on the same host. Only what a marker says is ours is ever removed of it.

Raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from mailprov.dns import ownership
from mailprov.dns.ownership import Entry, Identity, Marker, is_marker
from mailprov.dns.rrsets import Key, Snapshot
from mailprov.model.values import dataclass, field

Told = Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Stock:
    """`identity`: with the names that have departed. `ours`: the markers of this inventory, `by_unit` by what they are
    about; `entries` all that they know, `owned` in which zone. `candidates`: names that may have departed. `explored`:
    these, and others that only markers tell.
    """

    identity: Identity
    ours: Sequence[Marker] = ()
    by_unit: Mapping[str, Sequence[Marker]] = field(default_factory=dict)
    entries: frozenset[Entry] = frozenset()
    owned: Mapping[Key, str] = field(default_factory=dict)
    candidates: Sequence[str] = ()
    explored: Sequence[str] = ()

    def has_all(self, key: Key, values: Iterable[str]) -> bool:
        """Whether we wrote all these values, which stand there."""
        return all((*key, ownership.digest(key[1], value)) in self.entries for value in values)


def take_stock(
    sets: Snapshot,
    inventory: Identity,
    told: Told,
    also: Iterable[str],
    explored: Collection[str],
    belongs: Callable[[str, str], bool],
) -> Stock:
    """`explored`: as the stock before this one had it. `also`: further names that may have departed. `belongs`: whether
    a name can be in a zone; what a marker says of its own counts only then, and is empty else.
    """
    explored = set(explored)
    markers = [
        marker
        for (name, kind), rrset in sets.items()
        if kind == "TXT" and is_marker(name)
        for value in rrset.values
        if (marker := ownership.parse(name, value))
    ]
    identity = _with_departed(sets, markers, inventory, told, explored)
    ours = [
        marker if belongs(marker.unit, marker.zone) else replace(marker, zone="")
        for marker in markers
        if identity.has(marker)
    ]
    by_unit: dict[str, list[Marker]] = {}
    for marker in ours:
        by_unit.setdefault(marker.unit, []).append(marker)
    known = {*inventory.names, *inventory.in_use}
    named = [*(name for marker in ours for name in marker.named), *told, *also]
    candidates = dict.fromkeys(name for name in named if name not in known and "/" not in name)
    # Of a domain that is not ours (yet), because only those it names lead to one that is.
    several = [name for marker in markers if marker.unit in explored for name in marker.named]
    others = (name for name in several if name not in known and "/" not in name)
    return Stock(
        identity,
        ours,
        by_unit,
        frozenset(entry for marker in ours for entry in marker.entries),
        {entry[:2]: marker.zone for marker in ours for entry in marker.entries},
        list(candidates),
        list(dict.fromkeys([*candidates, *others])),
    )


def _with_departed(
    sets: Snapshot, markers: Sequence[Marker], inventory: Identity, told: Told, explored: Collection[str]
) -> Identity:
    """With every name that is not in the inventory, and whose marker is still ours."""
    departed = set()
    entries = {entry for marker in markers for entry in marker.entries} if told else set()
    for name, hosts in told.items():
        rrset = sets.get((name, "MX"))
        for value in rrset.values if rrset else ():
            owned = (name, "MX", ownership.digest("MX", value)) in entries
            if owned and value.partition(" ")[2] in hosts:
                departed.add(name)
    identity = replace(inventory, departed=frozenset(departed))
    while True:
        more = {m.unit for m in markers if m.unit in explored and identity.has(m)}
        if more <= departed:
            return identity
        departed |= more
        identity = replace(inventory, departed=frozenset(departed))
