"""A stand-in for the DNS part of Cloudflare's API (v4): records by their ids, and batches of them."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import Any

from tests.unit.dns.api_server import Answer, Request
from tests.unit.dns.rows import TARGETS, Refused, Row, RowServer, quoted

FIELDS = {
    "CAA": ("flags", "tag", "value"),
    "SRV": ("priority", "weight", "port", "target"),
    "TLSA": ("usage", "selector", "matching_type", "certificate"),
}


def number_or_text(word: str) -> int | str:
    return int(word) if word.isdigit() else word


class Cloudflare(RowServer):
    prefix = "/client/v4"

    def authenticate(self, request: Request) -> None:
        token = self.token(request)
        if len(token) < 10:
            raise Refused(400, "Invalid request headers", 6003)
        rights = self.rights.get(token)
        if rights is None:
            raise Refused(403, "Authentication error", 10000)
        if rights == "read" and request.method != "GET":
            raise Refused(403, "Unauthorized to access requested resource", 9109)

    def refused(self, error: Refused) -> Answer:
        errors = [{"code": error.code or 1004, "message": error.text}]
        return Answer(error.status, {"success": False, "errors": errors, "messages": [], "result": None})

    def route(self, request: Request) -> Answer:
        steps = request.path.strip("/").split("/")
        if steps == ["zones"]:
            zones = [
                {"id": self.id_of(zone), "name": zone, "status": "active", "type": "full"}
                for zone in self.zones
            ]
            return self.listed(request, zones, 20, 50)
        zone = next((one for one in self.zones if self.id_of(one) == steps[1]), None)
        if zone is None:
            raise Refused(404, "Invalid zone identifier", 7003)
        if steps[2] == "pagerules":
            return Answer(200, {"success": True, "errors": [], "result": []})
        if request.method == "GET":
            rows = [row for row in self.zones[zone] if row.key != (zone, "NS")]
            return self.listed(request, rows, 100, 5_000_000, self.told)
        if steps[3:] == ["batch"]:
            assert request.method == "POST", request
            return self.batch(zone, request.body)
        return self.single(zone, request, int(steps[3], 16) if steps[3:] else None)

    def id_of(self, zone: str) -> str:
        return hashlib.md5(zone.encode()).hexdigest()

    def listed(
        self,
        request: Request,
        items: list[Any],
        default: int,
        most: int,
        told: Callable[[Any], Any] = lambda one: one,
    ) -> Answer:
        some, number, pages = self.page(request, items, default, most)
        page = list(map(told, some))
        size = int(request.query.get("per_page", default))
        info = {"page": number, "total_pages": pages, "count": len(page), "total_count": len(items)}
        info["per_page"] = min(size, most, self.most_in_page)
        return Answer(200, {"success": True, "errors": [], "result": page, "result_info": info})

    def told(self, row: Row) -> dict[str, Any]:
        content = row.text.removesuffix(".") if row.type in TARGETS else row.text
        told = {
            "id": f"{row.id:032x}",
            "name": row.name,
            "type": row.type,
            "content": content,
            "ttl": row.ttl,
        }
        if row.type == "MX":
            priority, content = content.split(" ")
            told |= {"priority": int(priority), "content": content}
        elif row.type in FIELDS:
            words = content.split(" ", len(FIELDS[row.type]) - 1)
            words[-1] = words[-1].strip('"').removesuffix(".") or "."
            told["data"] = dict(zip(FIELDS[row.type], map(number_or_text, words), strict=True))
        return {**told, "proxied": False, "comment": None, "tags": [], **row.more}

    def single(self, zone: str, request: Request, number: int | None) -> Answer:
        """POST makes one, PUT overwrites all of it."""
        row = None if number is None else copy.deepcopy(self.row(zone, number))
        if request.method == "DELETE":
            assert row is not None
            self.zones[zone].remove(row)
            return Answer(200, {"success": True, "errors": [], "result": {"id": f"{number:032x}"}})
        body = request.body
        made = Row(row.id if row else next(self.numbers), body["name"], body["type"], 1, "")
        made.more = {key: body[key] for key in ("proxied", "comment", "tags") if key in body}
        self.fill(made, body)
        self.store(zone, made)
        return Answer(200, {"success": True, "errors": [], "result": self.told(made)})

    def batch(self, zone: str, body: dict[str, Any]) -> Answer:
        if sum(map(len, body.values())) > 200:
            raise Refused(400, "batch size exceeds the maximum of 200", 9207)
        for one in body["deletes"]:
            row = self.row(zone, int(one["id"], 16))
            self.zones[zone].remove(row)
        for one in body["patches"]:
            row = copy.deepcopy(self.row(zone, int(one["id"], 16)))
            self.fill(row, one)
            self.store(zone, row)
        for one in body["posts"]:
            row = Row(next(self.numbers), one["name"], one["type"], 1, "")
            if row.type in ("A", "AAAA"):
                row.more["proxied"] = one.get("proxied", False)
            self.fill(row, one)
            self.store(zone, row)
        return Answer(200, {"success": True, "errors": [], "result": {}})

    def fill(self, row: Row, one: dict[str, Any]) -> None:
        ttl = one.get("ttl", row.ttl)
        if ttl != 1 and not 60 <= ttl <= 86400:
            raise Refused(400, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.", 9021)
        row.ttl = ttl
        if row.type in FIELDS:
            said = set(one.get("data", {})) - {"service", "proto", "name"}  # of a form that is still accepted
            if said != set(FIELDS[row.type]):
                raise Refused(400, f"{' '.join(FIELDS[row.type])}: required data fields", 9101)
            words = [one["data"][name] for name in FIELDS[row.type]]
            if row.type != "TLSA":
                words[-1] = f'"{words[-1]}"' if row.type == "CAA" else f"{words[-1].removesuffix('.')}."
            row.text = " ".join(map(str, words))
            return
        content = one["content"]
        if row.type == "TXT" and not content.startswith('"'):
            content = quoted(content)
        if row.type in TARGETS:
            content = f"{content.removesuffix('.')}."
        row.text = f"{one['priority']} {content}" if row.type == "MX" else content
