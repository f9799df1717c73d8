"""Stand-ins of providers whose records are rows: one value each, with an id and what the provider has besides.

    Row                        a record, in zone file text
    RowServer                  an ApiServer with zones of rows, and who may see and change them

What a row has besides (`more`: a comment, tags, proxied) is the provider's, and must stay. `rights` of a token: "edit",
"read", or nothing any more.
"""

from __future__ import annotations

import copy
import itertools
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone

from mailprov.dns.rrsets import Key
from tests.unit.dns.api_server import Answer, ApiServer, Request
from tests.unit.dns.servers import AT_PROVIDERS, sets_of

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


class RowServer(ApiServer):
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
        for owner, kind, ttl, values in sets_of(zone, text):
            if kind == "SOA":
                continue
            ttl = max(ttl, self.lowest_ttl)
            rows += [Row(next(self.numbers), owner, kind, ttl, one) for one in values]

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
