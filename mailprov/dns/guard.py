"""What a compare-and-swap of sets cannot hold: TTLs, and where a zone ends. And what stands for it where there is none.

    Guard(driver, zone).before(snapshot, edits) -> whether all is as in the snapshot; else look again
    Guard.version                                    what the write is to require beside the sets, if anything
    Guard.away(names), Guard.no_effect(missing)      why what was sent is not there: a new delegation or DNAME
    as_read(now, then)                               whether a set has the same values

Prerequisites compare values, not TTLs (RFC 2136 section 2.4.2), and records added to a set give all of it their TTL. So
where a set stands whose TTL an edit sets, the TTLs are read once more, and the write requires the zone's version (its
SOA, with the serial) as it was before that: whatever anybody changes in between changes it, and the write is refused. A
server may answer questions that travel at once in any order, so the version that comes with the TTLs counts only where
it is the one that the plan saw: then nothing was changed from the plan until it was read. Else the TTLs are read again,
which costs a round that nothing can save: the version must be known to be older than they are. A server whose SOA
cannot be required (PowerDNS may keep another than it tells) is met by the TTLs read just before.

Where a provider knows no compare-and-swap at all, every touched set is read once more here, and nothing is written
where one is not as in the snapshot: the moment in which somebody's change can be lost is then as short as it can be.

A server also takes records below a delegation or a DNAME, and then nobody sees them. So the zone of each name is asked
for before; what comes in between is seen when reading back, and named.

Raises DnsFailed, DnsUnreachable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mailprov.dns import ownership
from mailprov.dns.aliases import beside
from mailprov.dns.driver import Driver, Place
from mailprov.dns.reading import read_plain
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot
from mailprov.errors import DnsFailed
from mailprov.i18n import _


class Guard:
    """One for an apply: it remembers the version of the last try."""

    def __init__(self, driver: Driver, zone: str) -> None:
        self._driver, self._zone = driver, zone
        self._last: RRset | None = None
        # Requiring the version cannot be, or was refused though it is the same.
        self._unhelpful = not driver.abilities.holds_version
        self.version: RRset | None = None

    def before(self, snapshot: Snapshot, edits: Sequence[Edit]) -> bool:
        """Sets `version`. DnsFailed where a name does not belong to this zone any more."""
        names = dict.fromkeys(edit.name for edit in edits)
        apex: Key = (self._zone, "SOA")
        timed = sorted({(edit.name, edit.type) for edit in edits if _sets_ttl(snapshot, edit)})
        # Without compare-and-swap all that is touched is read once more, as late as can be.
        touched = [] if self._driver.abilities.compare_and_swap else _touched(edits)
        told = self._driver.query([apex, *timed, *touched], names)
        for name in names:
            if error := told.places[name].error:
                raise error
        self._refuse(told.places, names)
        self.version = None
        now: Snapshot = {}
        for key in (*timed, *touched):
            now.update(told.answers[key].known())
        if any(not as_read(now.get(key), snapshot.get(key)) for key in touched):
            return False
        if not timed:
            return True
        version = told.answers[apex].known().get(apex)
        self._unhelpful = self._unhelpful or _same(version, self._last)
        self.version = None if self._unhelpful else version
        if self.version is not None and not _same(self.version, snapshot.get(apex)):
            now = read_plain(self._driver, timed)
        same = all(key in now and now[key].ttl == snapshot[key].ttl for key in timed)
        self._last = version if same and not self._unhelpful else None
        return same

    def _refuse(self, found: Mapping[str, Place], names: Iterable[str]) -> None:
        for name in names:
            if self._away(found[name]):
                unseen = _("a record there would not be seen; nothing was written")
                raise DnsFailed(
                    f"zone {self._zone}", f"{_why(found[name], name)}; {unseen}", _("Look at a new plan")
                )

    def _away(self, place: Place) -> bool:
        return place.zone != self._zone or bool(place.dname)

    def away(self, names: Iterable[str]) -> str:
        """After a write: which of these names are not in the zone any more, and why; empty when all are."""
        asked = dict.fromkeys(names)
        found = self._driver.query(names=list(asked)).places
        for name in asked:
            if error := found[name].error:
                raise error
        return "; ".join(_why(found[name], name) for name in asked if self._away(found[name]))

    def no_effect(self, missing: Mapping[str, str]) -> DnsFailed | None:
        """What was accepted and is not there, when its names are not in the zone any more."""
        why = self.away(key.split(" ")[0] for key in missing)
        if not why:
            return None
        return DnsFailed(
            f"zone {self._zone}",
            _("{server} accepted the update, but nobody sees what it wrote: {reason}").format(
                server=self._driver.where, reason=why
            ),
            _("Somebody wrote that in the same moment: remove it, or plan anew"),
        )


def _same(version: RRset | None, other: RRset | None) -> bool:
    """Two answers may give the SOA with another TTL (RFC 2308 section 3)."""
    return version is not None and version.same_data(other)


def _why(place: Place, name: str) -> str:
    if place.dname:
        return _("{name} is below a DNAME of {owner} now").format(name=name, owner=place.dname)
    if place.zone:
        return _("{name} is now in zone {zone}").format(name=name, zone=place.zone)
    return _("{name} is no longer in this zone ({reason})").format(
        name=name, reason=place.seen or _("no answer")
    )


def as_read(now: RRset | None, then: RRset | None) -> bool:
    return (now is None and then is None) or (now is not None and now.same_data(then))


def _touched(edits: Iterable[Edit]) -> list[Key]:
    keys = {(edit.name, edit.type): bool(edit.add) for edit in edits}
    return sorted(keys.keys() | beside(key for key, adds in keys.items() if adds))


def _sets_ttl(snapshot: Snapshot, edit: Edit) -> bool:
    """Whether others' wish about a TTL could be lost. A marker's TTL is nobody's wish."""
    return bool(edit.add) and (edit.name, edit.type) in snapshot and not ownership.is_marker(edit.name)
