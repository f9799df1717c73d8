"""A stand-in for Gandi's LiveDNS API (v5): record sets, which are replaced as a whole."""

from __future__ import annotations

from typing import Any

from mailprov.dns.rrsets import Key
from tests.unit.dns.api_server import Answer, Request
from tests.unit.dns.rows import TARGETS, Refused, Row, RowServer, label_of, quoted, whole_name


class Gandi(RowServer):
    prefix = "/v5/livedns"
    lowest_ttl = 300

    def authenticate(self, request: Request) -> None:
        rights = self.rights.get(self.token(request))
        if rights is None:
            raise Refused(
                401, "The server could not verify that you authorized to access the document", "Unauthorized"
            )
        if rights == "read" and request.method != "GET":
            raise Refused(403, "Access was denied to this resource.", "Forbidden")

    def refused(self, error: Refused) -> Answer:
        cause = error.code if isinstance(error.code, str) else "Bad Request"
        told = {"object": f"HTTP{cause}", "cause": cause, "code": error.status, "message": error.text}
        return Answer(error.status, told)

    def route(self, request: Request) -> Answer:
        steps = request.path.strip("/").split("/")
        if steps == ["domains"]:
            return self.listed(request, [{"fqdn": zone, "domain_href": "…"} for zone in self.zones])
        zone = steps[1]
        if zone not in self.zones:
            raise Refused(404, "The resource could not be found.", "Not Found")
        if request.method == "GET":
            return self.listed(request, self.sets(zone))
        name, kind = whole_name(steps[3], zone), steps[4]
        old = [row for row in self.zones[zone] if row.key == (name, kind)]
        self.zones[zone] = [row for row in self.zones[zone] if row not in old]
        if request.method == "DELETE":
            return Answer(204)
        ttl = request.body["rrset_ttl"]
        if not 300 <= ttl <= 2592000:
            raise Refused(400, "rrset_ttl: invalid TTL, it must be between 300 and 2592000", "Bad Request")
        for value in request.body["rrset_values"]:
            text = value
            if kind in TARGETS and not text.endswith("."):
                text = f"{text}.{zone}."
            if kind == "TXT" and not text.startswith('"'):
                text = quoted(text)
            self.store(zone, Row(next(self.numbers), name, kind, ttl, text))
        return Answer(201, {"message": "DNS Record Created"})

    def sets(self, zone: str) -> list[dict[str, Any]]:
        found: dict[Key, dict[str, Any]] = {}
        for row in self.zones[zone]:
            new = {
                "rrset_name": label_of(row.name, zone),
                "rrset_type": row.type,
                "rrset_ttl": row.ttl,
                "rrset_values": [],
                "rrset_href": "…",
            }
            text = row.more.get("as_told", row.text)
            found.setdefault(row.key, new)["rrset_values"].append(text)
        return list(found.values())

    def listed(self, request: Request, items: list[Any]) -> Answer:
        page, _number, _pages = self.page(request, items, 100, 1000)
        return Answer(200, page, {"Total-Count": str(len(items))})
