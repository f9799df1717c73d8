"""The driver for PowerDNS over HTTP: reads the sets of one name at a time, writes all of a batch in one PATCH.

What the API has and mailprov does not mean stays as it is: a value that somebody disabled, and comments. A value that
is wanted and stands there disabled is refused: who disabled it had a reason. Where a LUA record makes up the answers of
a type, that type is `special`. Asked for one name the server leaves out what is disabled (4.7), and a set is replaced
as a whole: so just before a write the whole zone is read, once, and nothing is written where a set is not as before.

Servers before 4.6 know no rrset_name and answer with the whole zone: then that is what is read, once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mailprov.dns.api.client import part
from mailprov.dns.api.driver import ApiDriver
from mailprov.dns.api.records import Item, plain, sets, steps
from mailprov.dns.driver import Say
from mailprov.dns.guard import as_read
from mailprov.dns.ownership import is_marker
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot, ancestors, values_after
from mailprov.errors import DnsFailed
from mailprov.i18n import N_, _
from mailprov.model.hostnames import inside
from mailprov.records import types

_SERVER = "/api/v1/servers/localhost"
# Of these the records come from another server, or from a catalog: what is written here is lost.
_COPIES = {"slave", "secondary", "consumer"}
_MADE_UP = N_("made up by a LUA record of the name server")
_MAKING_SERIALS = {"master", "primary", "producer"}


class PowerDnsDriver(ApiDriver):
    def list_zones(self) -> Mapping[str, str]:
        listed = self.client.get(f"{_SERVER}/zones", [("dnssec", "false")]).data
        return {plain(str(zone["name"])): str(zone["id"]) for zone in listed if plain(str(zone["name"]))}

    def signed(self, zones: Collection[str]) -> Mapping[str, bool | None]:
        with self._sense():
            return {zone: bool(self._zone(zone, [("rrsets", "false")])["dnssec"]) for zone in sorted(zones)}

    def read(self, zone: str, keys: Collection[Key]) -> Snapshot:
        names = {step for key in keys for step in ancestors(key[0]) if inside(step, zone)}
        items: dict[Item, None] = {}
        waiting = sorted(names)
        while waiting:
            name = waiting.pop()
            told = self._zone(zone, [("rrset_name", f"{name}."), ("rrsets", "true")])
            found = [one for rrset in told["rrsets"] for one in _items(rrset)]
            items.update(dict.fromkeys(found))
            if any(one.key[0] != name for one in found):
                break  # it was the whole zone
        noted = self.noted(zone, items, keys)
        snapshot = sets(item for item in noted if not item.raw.get("disabled"))
        for item in noted:
            made = item.text.split(" ")[0].upper() if item.key[1] == "LUA" else ""
            if made and not item.raw.get("disabled"):
                key = (item.key[0], made)
                stored = snapshot[key].stored if key in snapshot else ()
                snapshot[key] = RRset(item.ttl, stored, _(_MADE_UP))
        return snapshot

    def _zone(self, zone: str, query: Sequence[tuple[str, str]]) -> dict[str, Any]:
        path = f"{_SERVER}/zones/{part(self.zones[zone])}"
        told: dict[str, Any] = self.client.get(path, query).data
        if str(told.get("kind", "")).lower() in _COPIES:
            raise DnsFailed(
                f"zone {zone}",
                _("{server} has only a copy of it, from another server ({kind})").format(
                    server=self.where, kind=told["kind"]
                ),
                _("Name the server that the records come from"),
            )
        return told

    def change(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], say: Say) -> bool:
        told = self._zone(zone, [])
        keys = {(edit.name, edit.type) for edit in edits}
        noted = self.noted(zone, (one for rrset in told["rrsets"] for one in _items(rrset)), keys)
        now = sets(item for item in noted if not item.raw.get("disabled"))
        if any(not as_read(now.get(key), snapshot.get(key)) for key in keys if not is_marker(key[0])):
            return False
        self._mind_the_serial(zone, told, say)
        body = {"rrsets": [self._set(zone, edit) for edit in edits]}
        names = ", ".join(f"{edit.name} {edit.type}" for edit in edits[:5]) + (
            ", …" if len(edits) > 5 else ""
        )
        self.client.call("PATCH", f"{_SERVER}/zones/{part(self.zones[zone])}", names, body=body)
        return True

    def weigh(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit]) -> int:
        texts = (types.render(edit.type, value) for edit in edits for value in values_after(snapshot, edit))
        heads = (len(edit.name) + 100 for edit in edits)
        return sum(heads) + sum(len(json.dumps(text)) + 40 for text in texts)

    def _set(self, zone: str, edit: Edit) -> dict[str, Any]:
        standing = self.standing(zone, edit)
        off = [item for item in standing if item.raw.get("disabled")]
        if asleep := [item.value for item in off if item.value in edit.add]:
            raise DnsFailed(
                f"zone {zone}",
                _("{record} is disabled in {server}; nothing was written").format(
                    record=f"{edit.name} {edit.type} {', '.join(asleep)}", server=self.where
                ),
                _("Enable or delete it there"),
            )
        todo = steps([item for item in standing if item not in off], edit)
        gone = {*todo.remove, *(item for item, value in todo.change if item.value != value)}
        texts = [(item.text, item in off) for item in standing if item not in gone]
        new = [value for item, value in todo.change if item in gone]
        texts += [(types.render(edit.type, value), False) for value in (*new, *todo.make)]
        ttl = edit.ttl if edit.add else min((item.ttl for item in standing), default=edit.ttl)
        head = {"name": f"{edit.name}.", "type": edit.type}
        if not texts:
            return {**head, "changetype": "DELETE"}
        records = [{"content": text, "disabled": disabled} for text, disabled in texts]
        return {**head, "ttl": ttl, "changetype": "REPLACE", "records": records}  # no `comments`: they stay

    def _mind_the_serial(self, zone: str, told: Mapping[str, Any], say: Say) -> None:
        if not told.get("soa_edit_api") and str(told.get("kind", "")).lower() in _MAKING_SERIALS:
            say(
                _(
                    "{server} does not raise the serial of {zone} when records are written over HTTP, so its "
                    "secondaries do not fetch them; this changes it: {command}"
                ).format(
                    server=self.where, zone=zone, command=f"pdnsutil set-meta {zone} SOA-EDIT-API DEFAULT"
                )
            )


def _items(rrset: Mapping[str, Any]) -> list[Item]:
    key = (plain(str(rrset["name"])), str(rrset["type"]).upper())
    return [Item(key, int(rrset["ttl"]), str(one["content"]), raw=one) for one in rrset["records"]]
