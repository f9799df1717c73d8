"""Stand-ins of providers' APIs, each written from the description that the provider publishes (the module of the
provider names the pages): paging, names, quoting, errors, limits, and who may do what.

    StandIn                    zones, as rows in zone file text, and who may see and change them
    Cloudflare, DigitalOcean, Gandi, Ovh

What a row has besides (`more`: a comment, tags, proxied) is the provider's, and must stay. `rights` of a token: "edit",
"read", or nothing any more.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import re
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone

from mailprov.dns.rrsets import Key
from tests.unit.dns.api_server import Answer, ApiServer, Request
from tests.unit.dns.servers import AT_PROVIDERS, HEAD

TOKEN = "token-of-the-stand-in"


@dataclass
class Row:
    id: int
    name: str
    type: str
    ttl: int
    text: str
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.name, self.type


def plain_text(kind: str, text: str) -> str:
    """As zone file text in one spelling; ValueError if it is none."""
    try:
        return dns.rdata.from_text(
            dns.rdataclass.IN, kind, text, origin=dns.name.root, relativize=False
        ).to_text()
    except Exception as error:
        raise ValueError(str(error)) from None


def quoted(text: str) -> str:
    octets = text.encode("utf-8", "surrogateescape")
    chunks = [octets[start : start + 255] for start in range(0, len(octets), 255)] or [b""]
    from dns.rdtypes.ANY.TXT import TXT

    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, chunks).to_text()


def unquoted(text: str) -> str:
    rdata = dns.rdata.from_text(dns.rdataclass.IN, "TXT", text)
    return b"".join(rdata.strings).decode("utf-8", "surrogateescape")  # type: ignore[attr-defined]


class Refused(Exception):
    def __init__(self, status: int, text: str, code: Any = None) -> None:
        super().__init__(text)
        self.status, self.text, self.code = status, text, code


class StandIn(ApiServer):
    most_in_page = 10_000
    lowest_ttl = 1  # nobody can have a lower one there

    def __init__(self) -> None:
        super().__init__()
        self.rights = {TOKEN: "edit"}
        self.numbers = itertools.count(1001)
        self.zones: dict[str, list[Row]] = {}
        for zone, text in AT_PROVIDERS.items():
            self.add(zone, text)

    def add(self, zone: str, text: str = "") -> None:
        rows = self.zones[zone] = []
        for name, each in dns.zone.from_text(HEAD + text, zone, relativize=False).iterate_rdatasets():
            kind = dns.rdatatype.to_text(each.rdtype)
            if kind == "SOA":
                continue
            owner = name.to_text(omit_final_dot=True)
            ttl = max(each.ttl, self.lowest_ttl)
            rows += [Row(next(self.numbers), owner, kind, ttl, one.to_text()) for one in each]

    def put(self, zone: str, name: str, ttl: int, kind: str, *texts: str, **more: Any) -> None:
        ttl = max(ttl, self.lowest_ttl)
        with self.lock:
            rows = [row for row in self.zones[zone] if row.key != (name, kind)]
            self.zones[zone] = rows + [
                Row(next(self.numbers), name, kind, ttl, plain_text(kind, text), dict(more)) for text in texts
            ]
            self.published()

    def published(self) -> None:
        """Where somebody else changes something, it is seen."""

    def seen(self, zone: str) -> list[Row]:
        return self.zones[zone]

    def whole(self, zone: str) -> dict[Key, tuple[int, frozenset[str]]]:
        found: dict[Key, tuple[int, frozenset[str]]] = {}
        for row in self.seen(zone):
            if row.key == (zone, "NS") or row.name == f"ns.{zone}":
                continue
            ttl, texts = found.get(row.key, (row.ttl, frozenset[str]()))
            found[row.key] = (min(ttl, row.ttl), texts | {row.text})
        return found

    def details(self, zone: str) -> dict[tuple[Key, str], tuple[int, dict[str, Any]]]:
        """Of each record what is no DNS data: its id and what the provider has besides."""
        return {(row.key, row.text): (row.id, copy.deepcopy(row.more)) for row in self.seen(zone)}

    def pretended(self, request: Request) -> Answer:
        before = self.kept()
        answer = self.handle(request)
        self.zones = before
        return answer

    def kept(self) -> dict[str, list[Row]]:
        """As they are now: no row is ever changed in place."""
        return {zone: list(rows) for zone, rows in self.zones.items()}

    def handle(self, request: Request) -> Answer:
        try:
            self.authenticate(request)
            before = self.zones if request.method == "GET" else self.kept()
            try:
                return self.route(request)
            except Refused:
                self.zones = before
                raise
        except Refused as error:
            return self.refused(error)

    def token(self, request: Request) -> str:
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    @abstractmethod
    def authenticate(self, request: Request) -> None: ...

    @abstractmethod
    def route(self, request: Request) -> Answer: ...

    @abstractmethod
    def refused(self, error: Refused) -> Answer: ...

    def row(self, zone: str, number: Any, status: int = 404) -> Row:
        found = next((row for row in self.zones.get(zone, ()) if str(row.id) == str(number)), None)
        if found is None:
            raise Refused(status, "record not found")
        return found

    def store(self, zone: str, row: Row) -> None:
        """What every name server demands (RFC 1034 section 3.6.2), and no record twice."""
        try:
            row.text = plain_text(row.type, row.text)
        except ValueError as error:
            raise Refused(422, f"invalid content: {error}") from None
        others = [one for one in self.zones[zone] if one.id != row.id and one.name == row.name]
        if any((one.type == "CNAME") != (row.type == "CNAME") for one in others):
            raise Refused(400, "a CNAME stands alone", 81053)
        if any((one.type, one.text) == (row.type, row.text) for one in others):
            raise Refused(400, "An identical record already exists.", 81058)
        self.zones[zone] = [one for one in self.zones[zone] if one.id != row.id] + [row]

    def page(self, request: Request, items: list[Any], default: int, most: int) -> tuple[list[Any], int, int]:
        """The items of the page that is asked for, its number, and how many pages there are."""
        size = min(int(request.query.get("per_page", default)), most, self.most_in_page)
        number = int(request.query.get("page", 1))
        return items[(number - 1) * size : number * size], number, max(-(-len(items) // size), 1)


def whole_name(label: str, zone: str) -> str:
    return zone if label in ("@", "") else f"{label}.{zone}"


def label_of(name: str, zone: str, apex: str = "@") -> str:
    return apex if name == zone else name.removesuffix(f".{zone}")


TARGETS = ("CNAME", "DNAME", "MX", "NS", "PTR")
FIELDS = {
    "CAA": ("flags", "tag", "value"),
    "SRV": ("priority", "weight", "port", "target"),
    "TLSA": ("usage", "selector", "matching_type", "certificate"),
}


def number_or_text(word: str) -> int | str:
    return int(word) if word.isdigit() else word


class Cloudflare(StandIn):
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


NUMBERS = {"MX": ("priority",), "SRV": ("priority", "weight", "port")}


class DigitalOcean(StandIn):
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


class Gandi(StandIn):
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


def like(pattern: str) -> re.Pattern[str]:
    """LIKE of SQL, as OVH describes its filter: `_` is any character, so `_dmarc` finds more than that."""
    return re.compile("".join({"_": ".", "%": ".*"}.get(one, re.escape(one)) for one in pattern), re.I)


class Ovh(StandIn):
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


STAND_INS: dict[str, Callable[[], StandIn]] = {
    "cloudflare": Cloudflare,
    "digitalocean": DigitalOcean,
    "gandi": Gandi,
    "ovh": Ovh,
}
