"""Reads what planning needs of all zones at once: where the wanted records belong, what stands there, what is ours.

    survey(driver, desired, identity, told, also, covers) -> Survey

Everything that can be asked is asked at once, and what the answers lead to in the next round: first all wanted sets and
the markers of their names and of those above (ownership.py: a marker's name needs no zone); then sets in which only we
have values, zones that were not told, wildcards, domains that have left; then proofs against wildcards, and what these
lose. What a round might lead to is asked together with it, where it is little. So three rounds do for any number of
zones. Only a chain of departed domains takes one more for each further step: each is named by the marker of the one
before, and by nothing else.

The zone of a name is told by any answer that something is not there (its SOA, RFC 2308 section 3), or by our own marker
where all that stands at the name is what we wrote; only what is left is asked for its SOA.

Which domains have departed: stock.py. One whose provider answers with an error is not looked at any more, where
others can do without (driver.fail).

Raises what the driver raises, and DnsFailed where the provider would not tell what must be known, and where markers
lead on without end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping

from mailprov.dns import aliases, wildcards
from mailprov.dns.driver import Answer, Driver, Place, Proof
from mailprov.dns.ownership import Identity, Marker, is_marker, marker_name
from mailprov.dns.reading import same
from mailprov.dns.rrsets import Key, RRset, Snapshot, ancestors
from mailprov.dns.stock import Stock, Told, take_stock
from mailprov.errors import DnsFailed
from mailprov.i18n import _
from mailprov.model.hostnames import inside
from mailprov.model.records import Record
from mailprov.model.values import dataclass, field
from mailprov.records import types

# A longer chain of departed domains was not written by mailprov, but by somebody who wants us to go on for ever.
MOST_ROUNDS = 100


@dataclass
class Survey:
    """`places`: of all names. `identity`: with the names that have departed. `snapshots` and `ours` (markers): by zone.

    `gone`: departed names of which something of ours may stand, and their zone; None where that is not known. `wild`:
    wildcards met. `answers`: all of them, for what is to be known besides.
    """

    places: Mapping[str, Place]
    identity: Identity
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    ours: dict[str, list[Marker]] = field(default_factory=dict)
    gone: dict[str, str | None] = field(default_factory=dict)
    wild: set[str] = field(default_factory=set)
    answers: Mapping[Key, Answer] = field(default_factory=dict, repr=False)


def survey(
    driver: Driver,
    desired: Iterable[Record],
    identity: Identity,
    told: Told | None = None,
    also: Iterable[str] = (),
    covers: Callable[[str], bool] = lambda name: True,
) -> Survey:
    """Read what planning these records needs. `also`: further names at which markers of ours may stand. Where `covers`
    does not hold for a name or a zone, an answer that is an error raises nothing: it is only not known what is there.
    """
    return _Reader(driver, desired, identity, told or {}, also, covers).read()


class _Reader:
    """`data` and `sets`: what was answered so far; the rest is what follows from it, made anew after each round.

    `ahead`: answers to what only might be needed. They say nothing until it is: what follows is the same as if they had
    not been asked for, but for the rounds.
    """

    def __init__(
        self,
        driver: Driver,
        desired: Iterable[Record],
        identity: Identity,
        told: Told,
        also: Iterable[str],
        covers: Callable[[str], bool],
    ) -> None:
        self._driver = driver
        self._covers = covers
        self._inventory = identity
        self._told = {name: hosts for name, hosts in told.items() if name not in identity.names}
        self._also = dict.fromkeys(also)
        desired = tuple(desired)
        self._desired = dict.fromkeys((record.name, record.type) for record in desired)
        self._above = {key for record in desired for key in types.above(record)}
        self._kinds: dict[str, list[str]] = {}
        for name, kind in self._desired:
            self._kinds.setdefault(name, []).append(kind)
        self._names = dict.fromkeys(self._kinds)
        self._nobody = f"mailprov-{os.urandom(8).hex()}"
        self._data: dict[Key, Answer] = {}
        self._ahead: dict[Key, Answer] = {}
        self._apex: dict[str, RRset] = {}  # their SOA, with the serial
        self._looked: dict[str, Place] = {}  # zones that were asked for
        self._stands: dict[tuple[str, Key], bool] = {}  # by zone and set: what proofs told
        self._rounds = 0
        self._sets: Snapshot = {}
        self._at: dict[str, list[Key]] = {}  # what stands at a name
        self._soa: dict[str, str] = {}  # zones that answers told
        self._found: dict[str, Place] = {}  # those of them that had to be
        self._stock = Stock(identity)
        self._parent: dict[str, str] = {}  # markers' names that are not of a name asked → zone

    def read(self) -> Survey:
        ask = {*self._desired, *((marker_name(name), "TXT") for name in self._names if _may_be_unit(name))}
        ask |= {(marker_name(name), "TXT") for name in self._also} | self._above
        ask |= aliases.beside(self._desired)
        # A wildcard beside a host: it may say what stood at the host's name, and must not be taken for that.
        hosts = {name.partition(".")[2] for name, kind in self._desired if kind in ("A", "AAAA")}
        ask |= {(f"*.{parent}", "TXT") for parent in hosts}
        for name in self._told:
            ask |= {(marker_name(name), "TXT"), (name, "MX")}
        self._fetch(ask)
        self._note(ask)
        while True:
            self._take_stock()
            heard = [name for name in self._all if name in self._heard and name not in self._found]
            names = [name for name in heard if self._zone[name] is None]
            ask = self._next() - self._data.keys()
            if not ask and not names and not self._doubtful():
                break
            if self._rounds >= MOST_ROUNDS:
                name = next(reversed(self._stock.explored), "")
                raise DnsFailed(
                    self._driver.where,
                    _(
                        "ownership markers lead on from domain to domain without end, at last to {name}"
                    ).format(name=name),
                    _("Look at who may write texts in these zones"),
                )
            self._fetch(ask, names, self._doubtful())
            self._note(ask)
            if names:
                self._found.update((name, self._place(name)) for name in sorted(names))
        self._fetch(self._wishes())
        return self._result()

    def _place(self, name: str) -> Place:
        place = self._looked[name]
        if place.error is not None and self._covers(name):
            self._driver.fail(name, place.error)
        return place

    def _fetch(
        self, keys: Collection[Key], names: Collection[str] = (), proofs: Collection[Proof] = ()
    ) -> None:
        """One round, if anything of it is not known yet, together with what it may lead to."""
        known = self._data.keys() | self._ahead.keys()
        fresh = set(keys) - known
        walk = set(names) - self._looked.keys()
        doubts = set(proofs)
        if not (fresh or walk or doubts):
            return
        guesses = self._guesses()
        if self._rounds:
            # Of a name that only a marker tells: mostly its own marker tells the zone, but not always.
            walk |= {n for n in self._stock.explored if self._zone[n] is None} - self._looked.keys()
        if self._rounds > 1:
            # What is read for the first time in the third round is proved in it.
            unsure = {key for key in self._suspects() if self._beside(*key) not in self._data}
            unsure |= {key for key in fresh if key in self._stock.owned}
            doubts |= {(zone, key) for key in unsure if (zone := self._zone_of_key(key))}
            guesses |= {self._beside(*key) for key in unsure} | self._wishes()
        self._rounds += 1
        ordered = sorted(fresh, key=_rank) + sorted(guesses - known - fresh, key=_rank)
        told = self._driver.query(ordered, sorted(walk), sorted(doubts - self._stands.keys()))
        self._ahead.update(told.answers)
        self._looked.update(told.places)
        self._stands.update(told.stored)

    def _guesses(self) -> set[Key]:
        """What may be asked for in the round after the one that comes."""
        if not self._rounds:
            # A name of one label is hardly a zone of anybody who reads this.
            above = {key for name in (*self._names, *self._told, *self._also) for key in _markers_above(name)}
            return {key for key in above if "." in key[0].removeprefix(marker_name(""))}
        found = {key for name in self._stock.explored for key in _markers_above(name)}
        for name in self._names:
            if self._zone[name] is None and self._may_be_new(name):
                found |= {(f"*.{above}", "TXT") for above in ancestors(name)[1:]}
        return found

    def _wishes(self) -> set[Key]:
        """What wildcards.py wants to know of names that may come to be below the wildcards that were met."""
        wild = self._wild()
        found: set[Key] = set()
        for name in self._names if wild else ():
            zone = self._zone[name]
            if zone and all(map(self._may_be_made_up, self._at.get(name, ()))):
                found |= wildcards.wishes(name, wild, zone)
        return found

    def _may_be_made_up(self, key: Key) -> bool:
        beside = self._beside(*key)
        return (key[1] != "DNAME" and beside not in self._data) or self._reads_made_up(key)

    def _note(self, keys: Collection[Key]) -> None:
        """Takes what was answered to these for known."""
        for key in sorted(keys, key=_rank):
            answer = self._data[key] = self._ahead.pop(key)
            if answer.error is None:  # else see _result
                for found, rrset in answer.sets.items():
                    self._sets[found] = rrset
                    if found not in self._at.setdefault(found[0], []):
                        self._at[found[0]].append(found)
            if zone := answer.zone:
                name = key[0].removeprefix(marker_name(""))
                if zone != key[0] or name == key[0]:
                    self._soa.setdefault(name, zone)
                if answer.apex is not None:
                    self._apex.setdefault(zone, answer.apex)

    def _take_stock(self) -> None:
        self._stock = take_stock(
            self._sets, self._inventory, self._told, self._also, self._stock.explored, self._driver.belongs
        )
        self._identity = self._stock.identity
        self._all = [*self._names, *self._stock.explored]
        self._heard = {key[0].removeprefix(marker_name("")) for key in self._data}
        self._zone = {name: self._zone_of(name) for name in self._all}

    def _zone_of(self, name: str) -> str | None:
        """The zone of a name as far as the answers tell; None: it must be asked for, or there is none."""
        if name in self._found:
            return self._found[name].zone
        if name in self._soa:
            return self._soa[name]
        for unit in ancestors(name):
            for marker in self._stock.by_unit.get(unit, ()):
                if inside(unit, marker.zone):
                    # Where a name has its own marker, it was in that zone when the marker was written.
                    standing = self._at.get(name, ())
                    if unit == name or (standing and all(map(self._is_ours, standing))):
                        return marker.zone
        return None

    def _is_ours(self, key: Key) -> bool:
        return self._stock.has_all(key, self._sets[key].values)

    def _next(self) -> set[Key]:
        """What the answers lead to."""
        ask: set[Key] = {(name, kind) for name, kind, __ in self._stock.entries}
        ask |= {(marker_name(name), "TXT") for name in self._stock.explored}
        for name, zone in self._zone.items():
            # Whoever else writes in this zone has a marker at the zone, or at a domain between it and the name.
            for parent in ancestors(name)[1:] if zone and zone != name else ():
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
        new = {name: zone for name in self._names if (zone := self._zone[name]) and self._may_be_new(name)}
        return {
            (f"*.{above}", "TXT")
            for name, zone in new.items()
            for above in ancestors(name)[1:]
            if inside(above, zone)
        }

    def _may_be_new(self, name: str) -> bool:
        answers = [self._data[name, kind] for kind in self._kinds[name]]
        new = not all(map(self._is_ours, self._at.get(name, ()))) or name not in self._at
        return new and any(answer.exists for answer in answers)

    def _wild(self) -> set[str]:
        return {
            name
            for (name, __), answer in self._data.items()
            if name.startswith("*.") and answer.exists and answer.authoritative
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
            and key[1] != "DNAME"
            and self._zone.get(key[0]) != key[0]
            and (f"*.{key[0].partition('.')[2]}" in wild or not self._is_ours(key))
            and not (is_marker(key[0]) and self._stock.by_unit.get(key[0].removeprefix(marker_name(""))))
        ]

    def _doubtful(self) -> set[Proof]:
        """Sets that read like what a wildcard makes up, and are not proved yet."""
        doubts = [key for key in self._suspects() if self._reads_made_up(key)]
        return {(zone, key) for key in doubts if (zone := self._zone_of_key(key))} - self._stands.keys()

    def _reads_made_up(self, key: Key) -> bool:
        return same(key, self._sets.get(self._beside(*key)), self._sets[key])

    def _made_up(self) -> set[Key]:
        doubts = [key for key in self._suspects() if self._reads_made_up(key)]
        return {key for key in doubts if (zone := self._zone_of_key(key)) and not self._stands[zone, key]}

    def _result(self) -> Survey:
        places = {name: self._found.get(name) or Place(zone) for name, zone in self._zone.items()}
        answers = {**self._ahead, **self._data}
        result = Survey(places, self._identity, wild=self._wild(), answers=answers)
        made_up = self._made_up()
        for key, answer in self._data.items():
            zone = self._zone_of_key(key)
            if not zone or not self._covers(zone) or key[0].startswith((self._nobody, "*.")):
                continue
            if answer.error is not None:
                self._driver.fail(zone, answer.error)
                continue
            into = result.snapshots.setdefault(zone, {})
            for found in (key, (key[0], "CNAME"), (key[0], "DNAME")):
                if found in self._sets and found not in made_up:
                    into[found] = self._sets[found]
        for zone, snapshot in result.snapshots.items():
            if zone in self._apex:
                snapshot[zone, "SOA"] = self._apex[zone]  # for guard.py
        for marker in self._stock.ours:
            if marker.zone:
                result.ours.setdefault(marker.zone, []).append(marker)
        for name in self._stock.candidates:
            zone = self._zone[name]
            left = self._stock.by_unit.get(name) or any(
                inside(entry[0], name) for entry in self._stock.entries
            )
            if zone is None or left:
                result.gone[name] = zone
        return result

    def _zone_of_key(self, key: Key) -> str | None:
        name = key[0].removeprefix(marker_name(""))
        return self._zone.get(name) or self._parent.get(key[0]) or self._stock.owned.get(key)


def _markers_above(name: str) -> set[Key]:
    return {(marker_name(parent), "TXT") for parent in ancestors(name)[1:] if _may_be_unit(parent)}


def _rank(key: Key) -> tuple[bool, Key]:
    return key[0].startswith("*."), key


def _may_be_unit(name: str) -> bool:
    """Whether it can be a mail domain: names like _dmarc.alpha.test cannot."""
    return not name.startswith("_") and "._" not in name
