"""A stand-in for the DNS part of Hetzner's Cloud API, written from its reference: zones, record sets, actions.

What changes a set answers with an action that runs, and is done when that is asked for the first time.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import dns.rdata

from tests.unit.dns.api_server import Answer, ApiServer, Request

TOKEN, READ_ONLY = "hetzner-token-of-64-letters-in-tests", "hetzner-token-that-may-only-read"
Json = dict[str, Any]


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str = "x") -> None:
        super().__init__(code)
        self.answer = error(status, code, message)


class HetznerServer(ApiServer):
    """`zones`: name → as the API has it. `sets`: zone → (name, type) → likewise."""

    def __init__(self) -> None:
        super().__init__()
        self.zones: dict[str, Json] = {}
        self.sets: dict[str, dict[tuple[str, str], Json]] = {}
        self.most = 50
        self.revoked = False
        self.actions: list[Callable[[], None] | str] = []  # an error, if it is one

    def add(self, name: str, mode: str = "primary") -> None:
        number = len(self.zones) + 1
        self.zones[name] = {
            "id": number,
            "name": name,
            "mode": mode,
            "ttl": 3600,
            "created": "2026-01-01T00:00:00Z",
        }
        self.sets[name] = {}
        self.put(
            name, "@", "SOA", None, "hydrogen.ns.hetzner.com. dns.hetzner.com. 1 86400 10800 3600000 3600"
        )
        self.put(name, "@", "NS", None, "hydrogen.ns.hetzner.com.")

    def put(
        self, zone: str, name: str, kind: str, ttl: int | None, *values: str, protected: bool = False
    ) -> None:
        self.sets[zone][name, kind] = {
            "id": f"{name}/{kind}",
            "name": name,
            "type": kind,
            "ttl": ttl,
            "labels": {},
            "protection": {"change": protected},
            "records": [{"value": value, "comment": "theirs"} for value in values],
            "zone": self.zones[zone]["id"],
        }

    def handle(self, request: Request) -> Answer:
        try:
            return self._handled(request)
        except Refused as refused:
            return refused.answer

    def pretended(self, request: Request) -> Answer:
        answer = self.handle(request)
        self.actions[-1] = _nothing
        return answer

    def done(self, request: Request) -> None:
        actions = len(self.actions)
        self.handle(request)
        for number in range(actions, len(self.actions)):
            self._action(number)

    def _handled(self, request: Request) -> Answer:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.revoked or token not in (TOKEN, READ_ONLY):
            raise Refused(401, "unauthorized", "unable to authenticate")
        if token == READ_ONLY and request.method != "GET":
            raise Refused(403, "token_readonly", "the token is only allowed to perform GET requests")
        parts = [part for part in request.path.split("/") if part]
        match [request.method, *parts]:
            case ["GET", "actions", number]:
                return self._action(int(number))
            case ["GET", "zones"]:
                counted = [
                    {**zone, "record_count": len(self.sets[name])} for name, zone in self.zones.items()
                ]
                return self._page(request, "zones", counted)
            case ["GET", "zones", zone, "rrsets"]:
                wanted = request.query.get("name")
                found = [one for one in self.sets[self._zone(zone)].values() if wanted in (None, one["name"])]
                return self._page(request, "rrsets", found)
            case ["POST", "zones", zone, "rrsets", name, kind, "actions", what]:
                return self._change(self._zone(zone), (name, kind), what, request.body)
        raise Refused(404, "not_found", f"not in this stand-in: {request.method} {request.path}")

    def _zone(self, told: str) -> str:
        for name, zone in self.zones.items():
            if told in (name, str(zone["id"])):
                return name
        raise Refused(404, "not_found", "zone not found")

    def _page(self, request: Request, called: str, every: list[Json]) -> Answer:
        page = int(request.query.get("page", "1"))
        size = min(int(request.query.get("per_page", "25")), self.most)
        last = max(1, -(-len(every) // size))
        meta = {
            "page": page,
            "per_page": size,
            "previous_page": page - 1 or None,
            "next_page": page + 1 if page < last else None,
            "last_page": last,
            "total_entries": len(every),
        }
        return Answer(200, {called: every[(page - 1) * size : page * size], "meta": {"pagination": meta}})

    def _change(self, zone: str, key: tuple[str, str], what: str, body: Json) -> Answer:
        if self.zones[zone]["mode"] != "primary":
            raise Refused(422, "incorrect_zone_mode")
        sets = copy.deepcopy(self.sets[zone])
        there = sets.get(key)
        if there and there["protection"]["change"]:
            raise Refused(403, "protected", "rrset is protected")
        texts = [record["value"] for record in body.get("records", ())]
        if what == "add_records":
            check(sets, key, texts)
            if there is None:
                sets[key] = {
                    **{
                        "id": "/".join(key),
                        "name": key[0],
                        "type": key[1],
                        "ttl": body.get("ttl"),
                        "labels": {},
                    },
                    **{"protection": {"change": False}, "records": [], "zone": self.zones[zone]["id"]},
                }
            elif body.get("ttl", there["ttl"]) != there["ttl"]:
                raise Refused(422, "invalid_input", "ttl differs from that of the rrset")
            sets[key]["records"] += [{"value": text, "comment": ""} for text in texts]
        elif there is None:
            raise Refused(404, "not_found", "rrset not found")
        elif what == "remove_records":
            if not set(texts) <= {record["value"] for record in there["records"]}:
                raise Refused(404, "not_found", "record not found")
            there["records"] = [record for record in there["records"] if record["value"] not in texts]
            if not there["records"]:
                del sets[key]
        elif what == "change_ttl":
            there["ttl"] = body["ttl"]
        else:
            raise Refused(404, "not_found")

        def finish() -> None:
            self.sets[zone] = sets

        self.actions.append(finish)
        return Answer(201, {"action": self._shown(len(self.actions) - 1, "running")})

    def _action(self, number: int) -> Answer:
        todo = self.actions[number]
        if isinstance(todo, str):
            return Answer(
                200, {"action": {**self._shown(number, "error"), "error": {"code": todo, "message": "no"}}}
            )
        self.actions[number] = _nothing
        todo()
        return Answer(200, {"action": self._shown(number, "success")})

    def _shown(self, number: int, status: str) -> Json:
        return {
            "id": number,
            "command": "change",
            "status": status,
            "progress": 0,
            "resources": [],
            "error": None,
        }


def _nothing() -> None:
    """What there is to do for an action that is done."""


def check(sets: dict[tuple[str, str], Json], key: tuple[str, str], texts: list[str]) -> None:
    beside = {kind for name, kind in sets if name == key[0]}
    if "CNAME" in beside or (key[1] == "CNAME" and beside):
        raise Refused(422, "invalid_input", "a CNAME stands alone")
    stand = {record["value"] for record in sets.get(key, {"records": ()})["records"]}
    if stand & set(texts) or len(set(texts)) < len(texts):
        raise Refused(409, "uniqueness_error", "record exists already")
    for text in texts:
        strings = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
        if key[1] == "TXT" and (not strings or re.sub(r'"(?:[^"\\]|\\.)*"', "", text).strip()):
            raise Refused(422, "invalid_input", "a TXT is in quotes")
        try:
            dns.rdata.from_text("IN", key[1], text)
        except Exception as why:
            raise Refused(422, "invalid_input", str(why)) from None


def error(status: int, code: str, message: str = "x") -> Answer:
    return Answer(status, {"error": {"code": code, "message": message, "details": None}})
