"""The driver: one batch for one write, which Route 53 does as a whole or not at all (ChangeResourceRecordSets).

Each touched set is deleted exactly as it was read, TTL included, and created as it is to be: a set that is another by
now, or there in the meantime, has the whole batch refused. That is the compare-and-swap.

Sets are read from a name on, as Route 53 lists them: a page has those of all names between its first and its last, so
that there are never more calls than names, nor than the zone has pages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from mailprov.dns.abilities import Abilities
from mailprov.dns.driver import Outcome, Result, Say, ZoneDriver
from mailprov.dns.providers.route53 import text
from mailprov.dns.providers.route53.calls import WHERE, Calls, Changed
from mailprov.dns.providers.route53.settings import Route53Settings
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot, Stored, after, ancestors
from mailprov.errors import DnsFailed, DnsUnreachable
from mailprov.i18n import _
from mailprov.model.hostnames import inside
from mailprov.records import types

# A batch takes 1,000 records and 32,000 characters of values.
CHARACTERS_FOR_A_RECORD = 32


class Route53Driver(ZoneDriver):
    where = WHERE

    def __init__(self, settings: Route53Settings, abilities: Abilities) -> None:
        self.abilities = abilities
        self._chosen = settings.zone_id
        self._calls = Calls(settings)
        self._ids: dict[str, list[str]] | None = None

    def close(self) -> None:
        self._calls.close()

    def find_zones(self) -> Collection[str]:
        return self._zones()

    def _zones(self) -> dict[str, list[str]]:
        """Looked up once: who creates a zone meanwhile runs the command again."""
        if self._ids is None:
            found = self._calls.zones()
            if self._chosen and not any(self._chosen in ids for ids in found.values()):
                what = _("it has no public hosted zone {id}").format(id=self._chosen)
                raise DnsFailed(WHERE, what, _("Correct dns.zone_id, or use credentials of its account"))
            self._ids = {name: [self._chosen] if self._chosen in ids else ids for name, ids in found.items()}
        return self._ids

    def _id(self, zone: str) -> str:
        ids = self._zones()[zone]
        if len(ids) > 1:
            what = _("it has several public hosted zones {zone}: {ids}").format(
                zone=zone, ids=", ".join(sorted(ids))
            )
            raise DnsFailed(WHERE, what, _("Say in dns.zone_id which one the domain's registrar names"))
        return ids[0]

    def read(self, zone: str, keys: Collection[Key]) -> Snapshot:
        names = {one for name, kind in keys for one in ancestors(name) if inside(one, zone)}
        waiting = sorted(names, key=text.order)
        found: dict[str, dict[tuple[str, str, str], dict[str, Any]]] = {}
        while waiting:
            page = self._calls.sets(self._id(zone), waiting[0])
            for one in page.sets:
                name = text.plain(one["Name"])
                found.setdefault(name, {})[name, one["Type"], one.get("SetIdentifier", "")] = one
            # Of a name below which the next page begins, this page does not tell that it exists.
            waiting = [
                name for name in waiting[1:] if not page.covers(name) or (page.end and inside(page.end, name))
            ]
        return _snapshot(one for sets in found.values() for one in sets.values())

    def write(
        self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], version: RRset | None, say: Say
    ) -> Outcome:
        try:
            self._calls.change(self._id(zone), [one for edit in edits for one in _changes(snapshot, edit)])
        except Changed:
            return Outcome(Result.CHANGED)
        except DnsFailed as refused:
            return Outcome(Result.REFUSED, refused)
        except DnsUnreachable as lost:
            return Outcome(Result.UNKNOWN, lost)
        return Outcome(Result.DONE)

    def weigh(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit]) -> int:
        values = [
            record["Value"]
            for edit in edits
            for change in _changes(snapshot, edit)
            for record in change["ResourceRecordSet"]["ResourceRecords"]
        ]
        return max(sum(map(len, values)), CHARACTERS_FOR_A_RECORD * len(values))


def _snapshot(sets: Iterable[dict[str, Any]]) -> Snapshot:
    found: Snapshot = {}
    for one in sets:
        key = (text.plain(one["Name"]), one["Type"])
        values = [record["Value"] for record in one.get("ResourceRecords", ())]
        stored = tuple(Stored(types.parse(key[1], text.from_value(value)), value) for value in values)
        special = _special(one)
        if key in found:  # several with an identifier each
            stored += found[key].stored
        found[key] = RRset(one.get("TTL", 0), stored, special)
    return found


def _special(one: dict[str, Any]) -> str:
    if alias := one.get("AliasTarget"):
        return _("an alias of {target}").format(target=text.plain(alias["DNSName"]))
    if "SetIdentifier" in one:
        return _("a set with a routing policy")
    return _("a part of a traffic policy") if "TrafficPolicyInstanceId" in one else ""


def _changes(snapshot: Snapshot, edit: Edit) -> list[dict[str, Any]]:
    key = (edit.name, edit.type)
    old, new = snapshot.get(key), after(snapshot, [edit]).get(key)
    if old and old.special:
        what = _("{record} is {special}, in which no record can be put; nothing was written").format(
            record=f"{edit.name} {edit.type}", special=old.special
        )
        raise DnsFailed(WHERE, what, _("Change that in Route 53"))
    return [
        {"Action": action, "ResourceRecordSet": _set(key, rrset)}
        for action, rrset in (("DELETE", old), ("CREATE", new))
        if rrset
    ]


def _set(key: Key, rrset: RRset) -> dict[str, Any]:
    values = [one.exact or text.to_value(types.render(key[1], one.value)) for one in rrset.stored]
    records = [{"Value": value} for value in values]
    return {"Name": text.written(key[0]), "Type": key[1], "TTL": rrset.ttl, "ResourceRecords": records}
