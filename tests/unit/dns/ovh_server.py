"""A stand-in for the DNS part of OVHcloud's API: signed calls, and a zone that `refresh` publishes."""

from __future__ import annotations

import copy
import hashlib
import re
import time
from typing import Any

from tests.unit.dns.api_server import Answer, Request
from tests.unit.dns.rows import TARGETS, Refused, Row, RowServer, label_of, quoted, unquoted, whole_name


def like(pattern: str) -> re.Pattern[str]:
    """LIKE of SQL, as OVH describes its filter: `_` is any character, so `_dmarc` finds more than that."""
    return re.compile("".join({"_": ".", "%": ".*"}.get(one, re.escape(one)) for one in pattern), re.I)


class Ovh(RowServer):
    prefix = "/1.0"
    application, secret, ahead = "key-of-the-application", "secret-of-the-application", 5400

    def __init__(self) -> None:
        self.live: dict[str, list[Row]] = {}
        super().__init__()
        self.published()

    def published(self) -> None:
        self.live = self.kept()

    def seen(self, zone: str) -> list[Row]:
        return self.live[zone]

    def token(self, request: Request) -> str:
        return request.headers.get("x-ovh-consumer", "")

    def authenticate(self, request: Request) -> None:
        if request.path == "/auth/time":
            return
        now = request.headers.get("x-ovh-timestamp", "")
        if abs(int(now or 0) - time.time() - self.ahead) > 30:
            raise Refused(400, "Invalid signature", "INVALID_SIGNATURE")
        if request.headers.get("x-ovh-application") != self.application:
            raise Refused(403, "This application key is invalid", "INVALID_KEY")
        parts = [self.secret, self.token(request), request.method, request.url, request.raw.decode(), now]
        expected = "$1$" + hashlib.sha1("+".join(parts).encode()).hexdigest()
        if request.headers.get("x-ovh-signature") != expected:
            raise Refused(400, "Invalid signature", "INVALID_SIGNATURE")
        rights = self.rights.get(self.token(request))
        if rights is None:
            raise Refused(403, "This credential is not valid", "INVALID_CREDENTIAL")
        if rights == "read" and request.method != "GET":
            raise Refused(403, "This call has not been granted", "NOT_GRANTED_CALL")

    def refused(self, error: Refused) -> Answer:
        told = {"message": error.text, "httpCode": f"{error.status} X"}
        return Answer(error.status, told | ({"errorCode": error.code} if isinstance(error.code, str) else {}))

    def route(self, request: Request) -> Answer:
        steps = request.path.strip("/").split("/")
        if steps == ["auth", "time"]:
            return Answer(200, int(time.time()) + self.ahead)
        if steps == ["domain", "zone"]:
            return Answer(200, list(self.zones))
        zone = steps[2]
        if zone not in self.zones:
            raise Refused(404, "This service does not exist", "NOT_FOUND")
        if steps[3] == "refresh":
            self.live[zone] = list(self.zones[zone])
            return Answer(200, None)
        if len(steps) == 4 and request.method == "GET":
            rows = self.zones[zone]
            if "subDomain" in request.query:
                wanted = like(request.query["subDomain"])
                rows = [row for row in rows if wanted.fullmatch(label_of(row.name, zone, ""))]
            return Answer(200, [row.id for row in rows])
        if request.method == "POST":
            body = request.body
            row = Row(next(self.numbers), whole_name(body["subDomain"], zone), body["fieldType"], 0, "")
            self.fill(zone, row, body)
            self.store(zone, row)
            return Answer(200, self.told(zone, row))
        row = copy.deepcopy(self.row(zone, steps[4]))
        if request.method == "GET":
            return Answer(200, self.told(zone, row))
        if request.method == "DELETE":
            self.zones[zone].remove(row)
            return Answer(200, None)
        if "fieldType" in request.body:
            raise Refused(400, "Try to alter read-only properties: fieldType")
        self.fill(zone, row, request.body)
        self.store(zone, row)
        return Answer(200, None)

    def told(self, zone: str, row: Row) -> dict[str, Any]:
        native = row.more.get("fieldType", row.type)
        target = unquoted(row.text) if native in ("DKIM", "DMARC") else row.text
        told = {"id": row.id, "zone": zone, "subDomain": label_of(row.name, zone, ""), "fieldType": native}
        return {**told, "target": target, "ttl": row.more.get("ttl", row.ttl)}

    def fill(self, zone: str, row: Row, body: dict[str, Any]) -> None:
        native = row.more.get("fieldType", row.type)
        row.ttl = body.get("ttl") or 3600
        row.more.pop("ttl", None)
        if row.ttl < 60:
            raise Refused(400, "Invalid TTL")
        text = body["target"]
        if native in ("DKIM", "DMARC"):
            if '"' in text:
                raise Refused(400, f"Invalid subfield found in {native}")
            text = quoted(text)
        elif row.type == "TXT" and not text.startswith('"'):
            text = quoted(text)
        if row.type in TARGETS and not text.endswith("."):
            text = f"{text}.{zone}."
        row.text = text
