"""Reads what planning needs of all zones at once: where the wanted records belong, what stands there, what is ours.

    survey(session, desired, identity, told, also, covers) -> Survey

Everything that can be asked is asked at once, and what the answers lead to in the next round: first all wanted sets and
the markers of their names (ownership.py: a marker's name needs no zone); then markers of the zones, sets in which only
we have values, proofs against wildcards, domains that have left. So three rounds do for any number of zones, and one
more for each further step of a chain of departed domains, or where a wildcard is met.

The zone of a name is told by any answer that something is not there (its SOA, RFC 2308 section 3), or by our own marker
where all that stands at the name is what we wrote; only what is left is asked for its SOA.

A domain has departed when a marker of ours names it, the inventory does not have it, and its own marker names a domain
of the inventory, or one that has departed likewise (who took it over has put other names there). Or when a host says
that it served it until now (`told`) and its MX, which a marker knows, leads to that host: DNS alone cannot tell that
from another inventory's domain on the same host. Only what a marker says is ours is ever removed of it.

Raises what zones.py and session.py raise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import dns.flags
import dns.message
import dns.rcode

from mailprov.dns import ownership, zones
from mailprov.dns.diff import Key
from mailprov.dns.ownership import Entry, Identity, Marker, inside, is_marker, marker_name
from mailprov.dns.rdata import from_rdata
from mailprov.dns.session import Session
from mailprov.dns.zones import Snapshot, Zones
from mailprov.model.records import Record

Told = Mapping[str, Collection[str]]  # domain → names in DNS of the hosts that served it until now


@dataclass
class Survey:
    """`identity`: with the names that have departed. `snapshots` and `ours` (markers): by zone.

    `gone`: departed names of which something of ours may stand, and their zone; None where that is not known. `wild`:
    wildcards met.
    """

    zones: Zones
    identity: Identity
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    ours: dict[str, list[Marker]] = field(default_factory=dict)
    gone: dict[str, str | None] = field(default_factory=dict)
    wild: set[str] = field(default_factory=set)


def survey(
    session: Session,
    desired: Iterable[Record],
    identity: Identity,
    told: Told | None = None,
    also: Iterable[str] = (),
    covers: Callable[[str], bool] = lambda name: True,
) -> Survey:
    """Read what planning these records needs. `also`: further names at which markers of ours may stand. Where `covers`
    does not hold for a name or a zone, an answer that is an error raises nothing: it is only not known what is there.
    """
    return _Reader(session, desired, identity, told or {}, also, covers).read()


class _Reader:
    """`data` and `sets`: what was answered so far; the rest is what follows from it, made anew after each round."""

    def __init__(
        self,
        session: Session,
        desired: Iterable[Record],
        identity: Identity,
        told: Told,
        also: Iterable[str],
        covers: Callable[[str], bool],
    ) -> None:
        self._session = session
        self._covers = covers
        self._inventory = identity
        self._told = {name: hosts for name, hosts in told.items() if name not in identity.names}
        self._also = dict.fromkeys(also)
        self._desired = dict.fromkeys((record.name, record.type) for record in desired)
        self._kinds: dict[str, list[str]] = {}
        for name, kind in self._desired:
            self._kinds.setdefault(name, []).append(kind)
        self._names = dict.fromkeys(self._kinds)
        self._nobody = f"mailprov-{os.urandom(8).hex()}"
        self._data: dict[Key, dns.message.Message] = {}
        self._sets: Snapshot = {}
        self._at: dict[str, list[Key]] = {}  # what stands at a name
        self._soa: dict[str, str] = {}  # zones that answers told
        self._found = Zones()  # zones that had to be asked for
        self._explored: dict[str, None] = {}
        self._parent: dict[str, str] = {}  # markers' names that are not of a name asked → zone

    def read(self) -> Survey:
        ask = {*self._desired, *((marker_name(name), "TXT") for name in self._names if _may_be_unit(name))}
        ask |= {(marker_name(name), "TXT") for name in self._also}
        # A wildcard beside a host: it may say what stood at the host's name, and must not be taken for that.
        ask |= {
            (f"*.{name.partition('.')[2]}", "TXT") for name, kind in self._desired if kind in ("A", "AAAA")
        }
        for name in self._told:
            ask |= {(marker_name(name), "TXT"), (name, "MX")}
        names: list[str] = []
        while ask or names:
            self._ask(sorted(ask, key=lambda key: (key[0].startswith("*."), key)), names)
            self._take_stock()
            names = [
                n
                for n in self._all
                if n in self._heard and self._zone[n] is None and n not in self._found.zone_of
            ]
            ask = self._next() - self._data.keys()
        return self._result()

    def _ask(self, keys: Sequence[Key], names: Collection[str]) -> None:
        """One round."""
        look_up, judge = zones.finding(names, self._covers)
        answers = self._session.ask([*(zones.question(*key) for key in keys), *look_up])
        for key, answer in zip(keys, answers[: len(keys)], strict=True):
            self._data[key] = answer
            if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):  # else see _result
                for found, rrset in zones.data_of(self._session, key, answer).items():
                    self._sets[found] = rrset
                    if found not in self._at.setdefault(found[0], []):
                        self._at[found[0]].append(found)
            if zone := zones.soa_of(key[0], answer):
                name = key[0].removeprefix(marker_name(""))
                if zone != key[0] or name == key[0]:
                    self._soa.setdefault(name, zone)
        found_now = judge(self._session, answers[len(keys) :])
        self._found.zone_of.update(found_now.zone_of)
        self._found.seen.update(found_now.seen)

    def _take_stock(self) -> None:
        markers = [
            marker
            for (name, kind), rrset in self._sets.items()
            if kind == "TXT" and is_marker(name)
            for rdata in rrset.rdatas
            if (marker := ownership.parse(name, from_rdata(rdata)))
        ]
        self._find_departed(markers)
        self._ours = [marker for marker in markers if self._identity.has(marker)]
        self._entries: set[Entry] = {entry for marker in self._ours for entry in marker.entries}
        self._owned = {entry[:2]: marker.zone for marker in self._ours for entry in marker.entries}
        self._by_unit: dict[str, list[Marker]] = {}
        for marker in self._ours:
            self._by_unit.setdefault(marker.unit, []).append(marker)
        known = set(self._inventory.names)
        named = [*(name for marker in self._ours for name in marker.named), *self._told, *self._also]
        self._candidates = dict.fromkeys(name for name in named if name not in known and "/" not in name)
        # Of a domain that is not ours (yet), because only those it names lead to one that is.
        several = [name for marker in markers if marker.unit in self._explored for name in marker.named]
        self._explored = dict.fromkeys(
            [*self._candidates, *(name for name in several if name not in known and "/" not in name)]
        )
        self._all = [*self._names, *self._explored]
        self._heard = {key[0].removeprefix(marker_name("")) for key in self._data}
        self._zone = {name: self._zone_of(name) for name in self._all}

    def _find_departed(self, markers: Sequence[Marker]) -> None:
        """Every name that is not in the inventory, and whose marker is still ours."""
        departed = set()
        entries = {entry for marker in markers for entry in marker.entries} if self._told else set()
        for name, hosts in self._told.items():
            rrset = self._sets.get((name, "MX"))
            for value in map(from_rdata, rrset.rdatas if rrset else ()):
                owned = (name, "MX", ownership.digest("MX", value)) in entries
                if owned and value.partition(" ")[2] in hosts:
                    departed.add(name)
        self._identity = replace(self._inventory, departed=frozenset(departed))
        while True:
            more = {m.unit for m in markers if m.unit in self._explored and self._identity.has(m)}
            if more <= departed:
                return
            departed |= more
            self._identity = replace(self._inventory, departed=frozenset(departed))

    def _zone_of(self, name: str) -> str | None:
        """The zone of a name as far as the answers tell; None: it must be asked for, or there is none."""
        if name in self._found.zone_of:
            return self._found.zone_of[name]
        if name in self._soa:
            return self._soa[name]
        for unit in zones.ancestors(name):
            for marker in self._by_unit.get(unit, ()):
                if inside(unit, marker.zone):
                    # Where a name has its own marker, it was in that zone when the marker was written.
                    standing = self._at.get(name, ())
                    if unit == name or (standing and all(map(self._is_ours, standing))):
                        return marker.zone
        return None

    def _is_ours(self, key: Key) -> bool:
        """Whether we wrote all values that stand there."""
        values = map(from_rdata, self._sets[key].rdatas)
        return all((*key, ownership.digest(key[1], value)) in self._entries for value in values)

    def _next(self) -> set[Key]:
        """What the answers lead to."""
        ask: set[Key] = {(name, kind) for name, kind, _ in self._entries}
        ask |= {(marker_name(name), "TXT") for name in self._explored}
        for name, zone in self._zone.items():
            # Whoever else writes in this zone has a marker at the zone, or at a domain between it and the name.
            for parent in zones.ancestors(name)[1:] if zone and zone != name else ():
                if inside(parent, zone or "") and _may_be_unit(parent):
                    ask.add((marker_name(parent), "TXT"))
                    self._parent.setdefault(marker_name(parent), zone or "")
        # RFC 4592: what a wildcard says of a name it says of a name beside it that nobody has.
        ask |= {self._beside(name, kind) for name, kind in self._suspects()}
        return ask | self._wildcards()

    def _wildcards(self) -> set[Key]:
        """Above names that may be new and are not unknown to the server: by NXDOMAIN it says that no wildcard answers
        for them (RFC 4592 section 2.2.1). Of those found wildcards.py tells what they lose.
        """
        ask: set[Key] = set()
        for name in self._names:
            zone = self._zone[name]
            answers = [self._data[name, kind] for kind in self._kinds[name]]
            new = not all(map(self._is_ours, self._at.get(name, ()))) or name not in self._at
            if zone and new and any(answer.rcode() == dns.rcode.NOERROR for answer in answers):
                ask |= {(f"*.{above}", "TXT") for above in zones.ancestors(name)[1:] if inside(above, zone)}
        return ask

    def _wild(self) -> set[str]:
        return {
            name
            for (name, _), answer in self._data.items()
            if name.startswith("*.") and answer.rcode() == dns.rcode.NOERROR and answer.flags & dns.flags.AA
        }

    def _beside(self, name: str, kind: str) -> Key:
        return f"{self._nobody}.{name.partition('.')[2]}", kind

    def _suspects(self) -> list[Key]:
        """Sets that a wildcard may have made up; what we wrote only beside a wildcard that is known."""
        wild = self._wild()
        return [
            key
            for key in self._sets
            if not key[0].startswith((self._nobody, "*."))
            and self._zone.get(key[0]) != key[0]
            and (f"*.{key[0].partition('.')[2]}" in wild or not self._is_ours(key))
            and not (is_marker(key[0]) and self._by_unit.get(key[0].removeprefix(marker_name(""))))
        ]

    def _made_up(self) -> set[Key]:
        doubtful = {
            key: zone
            for key in self._suspects()
            if (zone := self._zone_of_key(key))
            and zones.same(self._sets.get(self._beside(*key)), self._sets[key])
        }
        return zones.not_stored(self._session, doubtful) if doubtful else set()

    def _result(self) -> Survey:
        result = Survey(Zones(dict(self._zone), self._found.seen), self._identity, wild=self._wild())
        made_up = self._made_up()
        for key, answer in self._data.items():
            zone = self._zone_of_key(key)
            if zone is None or not self._covers(zone) or key[0].startswith((self._nobody, "*.")):
                continue
            zones.data_of(self._session, key, answer)  # raises where the server would not tell
            into = result.snapshots.setdefault(zone, {})
            for found in ((key[0], key[1]), (key[0], "CNAME")):
                if found in self._sets and found not in made_up:
                    into[found] = self._sets[found]
        for marker in self._ours:
            result.ours.setdefault(marker.zone, []).append(marker)
        for name in self._candidates:
            zone = self._zone[name]
            left = self._by_unit.get(name) or any(inside(entry[0], name) for entry in self._entries)
            if zone is None or left:
                result.gone[name] = zone
        return result

    def _zone_of_key(self, key: Key) -> str | None:
        name = key[0].removeprefix(marker_name(""))
        return self._zone.get(name) or self._parent.get(key[0]) or self._owned.get(key)


def _may_be_unit(name: str) -> bool:
    """Whether it can be a mail domain: names like _dmarc.alpha.test cannot."""
    return not name.startswith("_") and "._" not in name
