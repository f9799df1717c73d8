"""The driver for Cloudflare: reads all records of a zone, page by page, and writes a batch.

Records are changed by their ids, in place where a value takes another one's place, so what the API has besides
(comment, tags, an automatic TTL) stays. A TTL of 1 is "automatic", which is 300 seconds. A record behind Cloudflare's
proxy is answered with the addresses of the proxy, which takes no mail: such a set is `special`. CAA, SRV and TLSA
have their parts in an object, `data`; their text is told and cannot be written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mailprov.dns.api.client import Reply, part
from mailprov.dns.api.driver import ApiDriver
from mailprov.dns.api.records import TARGETS, Item, plain, sets, steps, unquoted
from mailprov.dns.driver import Say
from mailprov.dns.rrsets import Edit, Key, Snapshot
from mailprov.errors import DnsFailed
from mailprov.i18n import N_, _
from mailprov.records import types

_COPY = "secondary"
_AUTOMATIC, _AUTOMATIC_IS = 1, 300
_PROXIED = N_("behind Cloudflare's proxy, which takes no mail")
# Records in a page. The API takes more; a page of these is about half a megabyte.
_PAGE = 1000
# In the order of zone file text.
_PARTS = {
    "CAA": ("flags", "tag", "value"),
    "SRV": ("priority", "weight", "port", "target"),
    "TLSA": ("usage", "selector", "matching_type", "certificate"),
}


class CloudflareDriver(ApiDriver):
    def list_zones(self) -> Mapping[str, str]:
        zones = self._all("/zones", 50)
        # A name may be a second zone elsewhere that waits for its name servers: the active one comes last, and counts.
        zones.sort(key=lambda zone: zone.get("status") == "active")
        self._kinds = {plain(str(zone["name"])): str(zone.get("type")) for zone in zones}
        return {plain(str(zone["name"])): str(zone["id"]) for zone in zones}

    def read(self, zone: str, keys: Collection[Key]) -> Snapshot:
        path = self._path(zone)
        if self._kinds.get(zone) == _COPY:
            raise DnsFailed(
                f"zone {zone}",
                _("{server} has only a copy of it, from another server ({kind})").format(
                    server=self.where, kind=_COPY
                ),
                _("Name the server that the records come from"),
            )
        return sets(self.noted(zone, [_item(one) for one in self._all(path, _PAGE)], keys))

    def change(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], say: Say) -> bool:
        deletes: list[dict[str, Any]] = []
        patches: list[dict[str, Any]] = []
        posts: list[dict[str, Any]] = []
        for edit in edits:
            todo = steps(self.standing(zone, edit), edit)
            deletes += [{"id": item.id} for item in todo.remove]
            patches += [{"id": item.id, **_data(edit, value)} for item, value in todo.change]
            posts += [
                {"name": edit.name, "type": edit.type, **_data(edit, value)}
                | ({"proxied": False} if edit.type in ("A", "AAAA") else {})
                for value in todo.make
            ]
        body = {"deletes": deletes, "patches": patches, "posts": posts}
        names = ", ".join(f"{edit.name} {edit.type}" for edit in edits[:5]) + (
            ", …" if len(edits) > 5 else ""
        )
        path = f"{self._path(zone)}/batch"
        self._result(self.client.call("POST", path, names, body=body), f"POST {names}")
        return True

    def weigh(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit]) -> int:
        return sum(len(edit.remove) + len(edit.add) for edit in edits)

    def _path(self, zone: str) -> str:
        return f"/zones/{part(self.zones[zone])}/dns_records"

    def _all(self, path: str, size: int) -> list[dict[str, Any]]:
        def fetch(number: int) -> tuple[Sequence[dict[str, Any]], int | None, bool]:
            reply = self.client.get(path, [("page", number), ("per_page", size)])
            told = reply.data.get("result_info") or {}
            return (
                self._result(reply, path),
                told.get("total_count"),
                number < int(told.get("total_pages") or 1),
            )

        return self.client.pages(fetch, f"GET {path}")

    def _result(self, reply: Reply, asked: str) -> Any:
        if not isinstance(reply.data, dict) or reply.data.get("success") is not True:
            raise self.client.refusal(reply, asked)
        return reply.data.get("result")


def _item(record: Mapping[str, Any]) -> Item:
    kind, text = str(record["type"]), str(record.get("content") or "")
    parts = record.get("data")
    if kind == "TXT":
        text = unquoted(text)
    elif kind in _PARTS and isinstance(parts, Mapping):
        text = _joined(kind, parts)
    elif kind in TARGETS:
        text = f"{text.removesuffix('.')}."
    if kind == "MX":
        text = f"{record.get('priority', 0)} {text}"
    ttl = int(record["ttl"])
    return Item(
        (plain(str(record["name"])), kind),
        _AUTOMATIC_IS if ttl == _AUTOMATIC else ttl,
        text,
        str(record["id"]),
        record,
        _(_PROXIED) if record.get("proxied") else "",
    )


def _joined(kind: str, parts: Mapping[str, Any]) -> str:
    if kind == "CAA":
        return f'{parts.get("flags")} {parts.get("tag")} "{parts.get("value")}"'
    *numbers, last = (str(parts.get(name)) for name in _PARTS[kind])
    return " ".join([*numbers, f"{last.removesuffix('.')}." if kind == "SRV" else last])


def _data(edit: Edit, value: str) -> dict[str, Any]:
    text = types.render(edit.type, value)
    if edit.type in _PARTS:
        *numbers, last = text.split(" ", len(_PARTS[edit.type]) - 1)
        words = [*(int(word) if word.isdigit() else word for word in numbers), last.strip('"')]
        return {"data": dict(zip(_PARTS[edit.type], words, strict=True)), "ttl": edit.ttl}
    if edit.type == "MX":
        preference, target = value.split(" ")
        return {"content": target, "priority": int(preference), "ttl": edit.ttl}
    return {"content": text.removesuffix(".") if edit.type in TARGETS else text, "ttl": edit.ttl}
