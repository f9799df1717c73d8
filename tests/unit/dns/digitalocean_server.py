"""A stand-in for DigitalOcean's API (v2): domains and their records, a value in fields."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.unit.dns.api_server import Answer, Request
from tests.unit.dns.rows import TARGETS, Refused, Row, RowServer, label_of, quoted, unquoted, whole_name

NUMBERS = {"MX": ("priority",), "SRV": ("priority", "weight", "port")}


class DigitalOcean(RowServer):
    """Its description names no limit of a text; other tools met this one, quotes between the strings included."""

    prefix = "/v2"
    most_of_a_text = 512

    def authenticate(self, request: Request) -> None:
        rights = self.rights.get(self.token(request))
        if rights is None:
            raise Refused(401, "Unable to authenticate you", "Unauthorized")
        if rights == "read" and request.method != "GET":
            raise Refused(403, "You are missing the required permission domain:create.", "Forbidden")

    def refused(self, error: Refused) -> Answer:
        code = error.code if isinstance(error.code, str) else "unprocessable_entity"
        status = 422 if error.status == 400 else error.status
        return Answer(status, {"id": code, "message": error.text, "request_id": "4d9d8375"})

    def route(self, request: Request) -> Answer:
        steps = request.path.strip("/").split("/")
        if steps == ["domains"]:
            zones = [{"name": zone, "ttl": 1800, "zone_file": ""} for zone in self.zones]
            return self.listed(request, "domains", zones)
        zone = steps[1]
        if zone not in self.zones:
            raise Refused(404, "The resource you requested could not be found.", "not_found")
        if request.method == "GET":
            return self.listed(request, "domain_records", self.zones[zone], partial(self.told, zone))
        if request.method == "POST":
            row = Row(
                next(self.numbers), whole_name(request.body["name"], zone), request.body["type"], 1800, ""
            )
            if row.name.endswith(f"{zone}.{zone}"):
                raise Refused(422, "name is not a label of this domain")
            self.fill(zone, row, request.body)
            self.store(zone, row)
            return Answer(201, {"domain_record": self.told(zone, row)})
        row = copy.deepcopy(self.row(zone, steps[3]))
        if request.method == "DELETE":
            self.zones[zone].remove(row)
            return Answer(204)
        if request.body["type"] != row.type:
            raise Refused(422, "Type cannot be changed")
        self.fill(zone, row, request.body)
        self.store(zone, row)
        return Answer(200, {"domain_record": self.told(zone, row)})

    def listed(
        self, request: Request, name: str, items: list[Any], told: Callable[[Any], Any] = lambda one: one
    ) -> Answer:
        some, number, pages = self.page(request, items, 20, 200)
        page = list(map(told, some))
        links: dict[str, Any] = {"pages": {"last": f"…?page={pages}", "next": f"…?page={number + 1}"}}
        if number >= pages:
            links = {"pages": {"first": "…?page=1", "prev": "…"}} if pages > 1 else {}
        return Answer(200, {name: page, "links": links, "meta": {"total": len(items)}})

    def told(self, zone: str, row: Row) -> dict[str, Any]:
        data: str = row.text
        fields: dict[str, Any] = dict.fromkeys(("priority", "port", "weight", "flags", "tag"))
        if row.type == "TXT":
            data = unquoted(data)
        elif row.type == "CAA":
            flags, fields["tag"], data = data.split(" ", 2)
            fields["flags"], data = int(flags), data.strip('"')
        elif row.type in NUMBERS:
            *numbers, data = data.split(" ")
            fields |= dict(zip(NUMBERS[row.type], map(int, numbers), strict=True))
        if row.type in (*TARGETS, "SRV"):
            data = data.removesuffix(".") or "."
            data = "@" if data == zone else data
        told = {
            "id": row.id,
            "type": row.type,
            "name": label_of(row.name, zone),
            "data": data,
            "ttl": row.ttl,
        }
        return {**told, **fields}

    def fill(self, zone: str, row: Row, body: dict[str, Any]) -> None:
        row.ttl = body.get("ttl", row.ttl)
        if row.ttl < 30:
            raise Refused(422, "TTL must be at least 30")
        data = body["data"]
        if row.type == "TXT":
            if data.startswith('"'):
                raise Refused(422, "Data must not be quoted")
            data = quoted(data)
            if len(data) > self.most_of_a_text:
                raise Refused(422, "Data is too long (maximum is 512 characters)")
        if row.type in (*TARGETS, "SRV", "CAA") and not data.endswith("."):
            raise Refused(422, "Data needs to end with a dot (.)")
        if row.type == "CAA":
            data = f'{body["flags"]} {body["tag"]} "{data[:-1]}"'
        row.text = " ".join([*(str(body[name]) for name in NUMBERS.get(row.type, ())), data])
