"""The driver for Gandi LiveDNS: reads all sets of a zone, page by page, and replaces one set after the other.

Names are labels in the zone, `@` the zone itself; a target without a final dot begins at the zone. Others' values in a
set go back exactly as they were told. A TXT is told in quotes; where it is not, it is one text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from mailprov.dns.api.client import part
from mailprov.dns.api.driver import ApiDriver
from mailprov.dns.api.records import (
    TARGETS,
    Item,
    absolute,
    plain,
    relative,
    sets,
    steps,
    unquoted,
    whole_target,
)
from mailprov.dns.driver import Say
from mailprov.dns.rrsets import Edit, Key, Snapshot
from mailprov.records import types

_PAGE = 500


class GandiDriver(ApiDriver):
    def list_zones(self) -> Mapping[str, str]:
        names = [str(zone["fqdn"]) for zone in self._all("/domains")]
        return {plain(name): name for name in names}

    def read(self, zone: str, keys: Collection[Key]) -> Snapshot:
        told = self._all(self._path(zone))
        return sets(self.noted(zone, [item for one in told for item in _items(one, zone)], keys))

    def change(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], say: Say) -> bool:
        for edit in edits:
            key = (edit.name, edit.type)
            standing = self.standing(zone, edit)
            todo = steps(standing, edit)
            gone = {*todo.remove, *(item for item, value in todo.change if item.value != value)}
            new = [value for item, value in todo.change if item in gone]
            ttl = edit.ttl if edit.add else min((item.ttl for item in standing), default=edit.ttl)
            items = [item for item in standing if item not in gone]
            for value in (*new, *todo.make):
                text = types.render(edit.type, value)
                items.append(Item(key, ttl, text, raw={"value": text}))
            path = f"{self._path(zone)}/{part(relative(edit.name, zone))}/{edit.type}"
            about = f"{edit.name} {edit.type}"
            if items:
                values = [item.raw["value"] for item in items]
                self.client.call("PUT", path, about, body={"rrset_ttl": ttl, "rrset_values": values})
            else:
                self.client.call("DELETE", path, about, absent=True)
            self._items[zone, key] = items
        return True

    def _path(self, zone: str) -> str:
        return f"/domains/{part(self.zones[zone])}/records"

    def _all(self, path: str) -> list[dict[str, Any]]:
        seen = 0

        def fetch(number: int) -> tuple[Sequence[dict[str, Any]], int | None, bool]:
            nonlocal seen
            reply = self.client.get(path, [("page", number), ("per_page", _PAGE)])
            seen = len(reply.data) + (seen if number > 1 else 0)
            count = int(reply.headers["total-count"]) if "total-count" in reply.headers else None
            more = seen < count if count is not None else len(reply.data) >= _PAGE
            return reply.data, count, more and bool(reply.data)

        return self.client.pages(fetch, f"GET {path}")


def _items(rrset: Mapping[str, Any], zone: str) -> Iterator[Item]:
    key = (absolute(str(rrset["rrset_name"]), zone), str(rrset["rrset_type"]))
    for value in rrset["rrset_values"]:
        text = (
            unquoted(value) if key[1] == "TXT" else whole_target(value, zone) if key[1] in TARGETS else value
        )
        yield Item(key, int(rrset["rrset_ttl"]), text, raw={"value": value})
