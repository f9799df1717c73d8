"""The driver for DigitalOcean: reads all records of a zone, page by page, and writes record by record.

Names are labels in the zone, `@` the zone itself. Targets are told without a final dot, and `@` for the zone; written
they need the dot. A TXT is one text without quotes. MX, SRV and CAA have their numbers in fields of their
own; the authority of a CAA is written with a final dot as well, and told without.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mailprov.dns.api.client import part
from mailprov.dns.api.driver import RecordsDriver
from mailprov.dns.api.records import TARGETS, Item, absolute, plain, relative, sets, unquoted
from mailprov.dns.rrsets import Edit, Key, Snapshot
from mailprov.records import types

_PAGE = 200  # the largest
_NUMBERS = {"MX": ("priority",), "SRV": ("priority", "weight", "port")}


class DigitalOceanDriver(RecordsDriver):
    def list_zones(self) -> Mapping[str, str]:
        names = [str(zone["name"]) for zone in self._all("/domains", "domains")]
        return {plain(name): name for name in names}

    def read(self, zone: str, keys: Collection[Key]) -> Snapshot:
        told = self._all(self._path(zone), "domain_records")
        return sets(self.noted(zone, [_item(one, zone) for one in told], keys))

    def make(self, zone: str, edit: Edit, value: str, about: str) -> Item:
        body = {"type": edit.type, "name": relative(edit.name, zone), **_data(edit, value)}
        made = self.client.call("POST", self._path(zone), about, body=body).data["domain_record"]
        return Item((edit.name, edit.type), edit.ttl, types.render(edit.type, value), str(made["id"]))

    def alter(self, zone: str, edit: Edit, item: Item, value: str, about: str) -> None:
        body = {"type": edit.type, **_data(edit, value)}
        self.client.call("PATCH", f"{self._path(zone)}/{part(item.id)}", about, body=body)

    def remove(self, zone: str, item: Item, about: str) -> None:
        self.client.call("DELETE", f"{self._path(zone)}/{part(item.id)}", about)

    def _path(self, zone: str) -> str:
        return f"/domains/{part(self.zones[zone])}/records"

    def _all(self, path: str, what: str) -> list[dict[str, Any]]:
        def fetch(number: int) -> tuple[Sequence[dict[str, Any]], int | None, bool]:
            told = self.client.get(path, [("page", number), ("per_page", _PAGE)]).data
            pages = (told.get("links") or {}).get("pages") or {}
            return told[what], (told.get("meta") or {}).get("total"), "next" in pages

        return self.client.pages(fetch, f"GET {path}")


def _item(record: Mapping[str, Any], zone: str) -> Item:
    kind, text = str(record["type"]), str(record["data"])
    if kind == "TXT":
        text = unquoted(text)
    elif kind in TARGETS:
        text = f"{zone if text == '@' else text.removesuffix('.')}."
    if kind in _NUMBERS:
        text = f"{' '.join(str(record.get(name) or 0) for name in _NUMBERS[kind])} {text}"
    elif kind == "CAA":
        text = f'{record.get("flags") or 0} {record.get("tag")} "{text}"'
    return Item(
        (absolute(str(record["name"]), zone), kind), int(record["ttl"]), text, str(record["id"]), record
    )


def _data(edit: Edit, value: str) -> dict[str, Any]:
    if edit.type in _NUMBERS:
        *numbers, target = types.render(edit.type, value).split(" ")
        fields = dict(zip(_NUMBERS[edit.type], map(int, numbers), strict=True))
        return {"data": target, **fields, "ttl": edit.ttl}
    if edit.type == "CAA":
        flags, tag, authority = value.split(" ", 2)
        return {"data": f"{authority.strip(chr(34))}.", "flags": int(flags), "tag": tag, "ttl": edit.ttl}
    return {"data": value if edit.type == "TXT" else types.render(edit.type, value), "ttl": edit.ttl}
