"""The driver: values are added to sets and removed from them, set by set; no set is ever written as a whole.

So what somebody adds to a set at the same moment stays. Values come before others go, so that at no moment there is
none. A set's TTL is changed only where the edit changes it: a set without one has the zone's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from mailprov.dns.abilities import Abilities
from mailprov.dns.api import records
from mailprov.dns.driver import Outcome, Result, Say, ZoneDriver
from mailprov.dns.providers.hetzner.calls import WHERE, Calls
from mailprov.dns.providers.hetzner.settings import HetznerSettings
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot, Stored, ancestors
from mailprov.errors import DnsFailed, DnsUnreachable
from mailprov.model.hostnames import inside
from mailprov.records import types

IN_A_PAGE = 50


class HetznerDriver(ZoneDriver):
    where = WHERE

    def __init__(self, settings: HetznerSettings, abilities: Abilities) -> None:
        self.abilities = abilities
        self._calls = Calls(settings)
        self._zones: dict[str, Any] | None = None

    def close(self) -> None:
        self._calls.close()

    def find_zones(self) -> Collection[str]:
        if self._zones is None:
            self._zones = {records.plain(zone.name): zone for zone in self._calls.zones()}
        return self._zones

    def _zone(self, name: str) -> Any:
        self.find_zones()
        assert self._zones is not None
        return self._zones[name]

    def read(self, zone: str, keys: Collection[Key]) -> Snapshot:
        """Name by name, or the whole zone where that takes fewer calls."""
        there = self._zone(zone)
        names = sorted({one for name, kind in keys for one in ancestors(name) if inside(one, zone)})
        pages = 1 + (there.record_count or 10**9) // IN_A_PAGE
        if pages <= len(names):
            return self._snapshot(there, self._calls.sets(there))
        found: Snapshot = {}
        for name in names:
            found.update(self._snapshot(there, self._calls.sets(there, records.relative(name, zone))))
        return found

    def _snapshot(self, zone: Any, sets: Iterable[Any]) -> Snapshot:
        """`protection` is no matter here: the API refuses what it protects."""
        found: Snapshot = {}
        for one in sets:
            key = (records.absolute(one.name, records.plain(zone.name)), one.type)
            texts = [record.value for record in one.records or ()]
            ttl = zone.ttl if one.ttl is None else one.ttl
            found[key] = RRset(ttl, tuple(Stored(records.canonical(one.type, text), text) for text in texts))
        return found

    def write(
        self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], version: RRset | None, say: Say
    ) -> Outcome:
        try:
            for edit in edits:
                self._write(zone, snapshot.get((edit.name, edit.type)), edit)
        except DnsFailed as refused:
            return Outcome(Result.REFUSED, refused)
        except DnsUnreachable as lost:
            return Outcome(Result.UNKNOWN, lost)
        return Outcome(Result.DONE)

    def _write(self, zone: str, old: RRset | None, edit: Edit) -> None:
        there, name = self._zone(zone), records.relative(edit.name, zone)
        stored = old.stored if old else ()
        stands = {one.value for one in stored}
        add = [types.render(edit.type, value) for value in edit.add if value not in stands]
        remove = [one.exact for one in stored if one.value in edit.remove and one.value not in edit.add]
        if add:
            self._calls.add(there, name, edit.type, add, None if old else edit.ttl)
        if old and edit.add and old.ttl != edit.ttl:
            self._calls.retime(there, name, edit.type, edit.ttl)
        if remove:
            self._calls.remove(there, name, edit.type, remove)
