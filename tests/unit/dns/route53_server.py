"""A stand-in for Amazon Route 53, written from its API reference (2013-04-01): hosted zones and their records.

It checks what Route 53 checks of a change batch, and does all of it or nothing: a set is deleted only as it is, and
created only where there is none. (moto 5.2 accepts stale deletions, so that it would prove nothing.)
"""

from __future__ import annotations

import copy
import re
import time
from datetime import datetime, timezone
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import dns.rdata
import dns.rdatatype

from tests.unit.dns.api_server import Answer, ApiServer, Request

XMLNS = "https://route53.amazonaws.com/doc/2013-04-01/"
READS = "AKIAMAYONLYREAD"  # with the same secret
KEY_ID, SECRET = "AKIAMAILPROVTESTS", "a/secret+of/forty/characters+that/is/none"
CLOCK = time.time  # not that of a test that sets this machine's wrong
LIKE_A = re.compile(r"\\(\d{3})")
Set = dict[str, Any]


class Zone:
    """`sets`: (name, type, identifier) → as the API gives it."""

    def __init__(self, name: str, *, private: bool = False) -> None:
        self.name, self.private = name, private
        self.sets: dict[tuple[str, str, str], Set] = {}

    def put(self, made: Set) -> None:
        self.sets[canonical(made["Name"]), made["Type"], made.get("SetIdentifier", "")] = made


def canonical(name: str) -> str:
    """Route 53 keeps names in lower case, with what is not a-z 0-9 - _ in octal."""
    plain = LIKE_A.sub(lambda one: chr(int(one[1], 8)), name).lower().removesuffix(".")
    return "".join(one if re.match(r"[a-z0-9_.-]", one) else f"\\{ord(one):03o}" for one in plain) + "."


def reversed_labels(name: str) -> str:
    return "".join(f"{label}." for label in reversed(name.rstrip(".").split(".")))


class Invalid(Exception):
    pass


class Route53Server(ApiServer):
    """`most`: on one page, whatever is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.zones: dict[str, Zone] = {}
        self.most = 300
        self.revoked = False
        self.zones_on_page = 10

    def add(self, name: str, *, private: bool = False) -> str:
        zone_id = f"Z{len(self.zones) + 1:04d}TEST"
        self.zones[zone_id] = Zone(f"{name}.", private=private)
        apex = {
            "NS": ["ns-1.awsdns-01.example."],
            "SOA": ["ns-1.awsdns-01.example. a.example. 1 7200 900 9 60"],
        }
        for kind, values in apex.items():
            self.zones[zone_id].put({"Name": f"{name}.", "Type": kind, "TTL": 900, "Values": values})
        return zone_id

    def pretended(self, request: Request) -> Answer:
        before = copy.deepcopy(self.zones)
        answer = self.handle(request)
        self.zones = before
        return answer

    def handle(self, request: Request) -> Answer:
        credential = request.headers.get("authorization", "")
        if f"Credential={READS}/" in credential:
            if request.method == "GET":
                return self._done(request)
            return error(403, "AccessDenied", "not authorized to perform: route53:ChangeResourceRecordSets")
        if self.revoked or f"Credential={KEY_ID}/" not in credential:
            return error(
                403, "InvalidClientTokenId", "The security token included in the request is invalid."
            )
        if (late := self.ahead(request.headers.get("x-amz-date", ""))) > 300:
            return error(403, "RequestExpired", f"Request is {late:.0f} s off")
        return self._done(request)

    @staticmethod
    def ahead(sent: str) -> float:
        """Seconds by which the clocks differ."""
        there = datetime.strptime(sent, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        return abs(there.timestamp() - CLOCK())

    def _done(self, request: Request) -> Answer:
        parts = [part for part in request.path.split("/") if part][1:]
        if parts == ["hostedzone"]:
            return self._zones(request)
        if len(parts) == 3 and parts[0] == "hostedzone" and parts[2] == "rrset":
            zone = self.zones.get(parts[1])
            if zone is None:
                return error(404, "NoSuchHostedZone", f"No hosted zone found with ID: {parts[1]}")
            return self._sets(zone, request) if request.method == "GET" else self._change(zone, request.raw)
        return error(400, "InvalidInput", f"not in this stand-in: {request.method} {request.path}")

    def _zones(self, request: Request) -> Answer:
        start = int(request.query.get("marker", "0"))
        every = list(self.zones.items())
        page = every[start : start + self.zones_on_page]
        rows = "".join(
            f"<HostedZone><Id>/hostedzone/{zone_id}</Id><Name>{escape(zone.name)}</Name>"
            f"<CallerReference>{zone_id}</CallerReference><Config><PrivateZone>{str(zone.private).lower()}"
            f"</PrivateZone></Config></HostedZone>"
            for zone_id, zone in page
        )
        more = start + len(page) < len(every)
        marker = f"<NextMarker>{start + len(page)}</NextMarker>" if more else ""
        return answer(
            "ListHostedZonesResponse",
            f"<HostedZones>{rows}</HostedZones><IsTruncated>{str(more).lower()}</IsTruncated>{marker}"
            f"<MaxItems>{self.zones_on_page}</MaxItems>",
        )

    def _sets(self, zone: Zone, request: Request) -> Answer:
        def rank(key: tuple[str, str, str]) -> tuple[str, str, str]:
            return reversed_labels(key[0]), key[1], key[2]

        start = [request.query.get(name, "") for name in ("name", "type", "identifier")]
        first = rank((canonical(start[0]), start[1], start[2])) if start[0] else ("", "", "")
        most = min(int(request.query.get("maxitems", "300")), self.most)
        keys = [key for key in sorted(zone.sets, key=rank) if rank(key) >= first]
        more = ""
        if len(keys) > most:
            name, kind, identifier = keys[most]
            more = f"<NextRecordName>{escape(name)}</NextRecordName><NextRecordType>{kind}</NextRecordType>"
            more += f"<NextRecordIdentifier>{identifier}</NextRecordIdentifier>" if identifier else ""
        rows = "".join(shown(zone.sets[key]) for key in keys[:most])
        return answer(
            "ListResourceRecordSetsResponse",
            f"<ResourceRecordSets>{rows}</ResourceRecordSets>"
            f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}<MaxItems>{most}</MaxItems>",
        )

    def _change(self, zone: Zone, body: bytes) -> Answer:
        changes = [
            (each.findtext(f"{{{XMLNS}}}Action", ""), read(each))
            for each in ElementTree.fromstring(body).iter(f"{{{XMLNS}}}Change")
        ]
        made = copy.deepcopy(zone)
        try:
            values = [value for _, one in changes for value in one["Values"]]
            if len(values) > 1000 or sum(map(len, values)) > 32000:
                raise Invalid("The request contains too many resource records or characters")
            for action, one in changes:
                apply(made, action, one)
        except Invalid as why:
            return error(400, "InvalidChangeBatch", f"[{why}]")
        zone.sets = made.sets
        return answer(
            "ChangeResourceRecordSetsResponse",
            "<ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status>"
            "<SubmittedAt>2026-11-29T12:00:00Z</SubmittedAt></ChangeInfo>",
        )


def apply(zone: Zone, action: str, one: Set) -> None:
    name, kind = canonical(one["Name"]), one["Type"]
    if not f".{name}".endswith(f".{zone.name}"):
        raise Invalid(f"RRSet with DNS name {name} is not permitted in zone {zone.name}")
    key = (name, kind, one.get("SetIdentifier", ""))
    place = f"resource record set [name='{name}', type='{kind}']"
    there = zone.sets.get(key)
    if action == "DELETE":
        if there is None or "AliasTarget" in there:
            raise Invalid(f"Tried to delete {place} but it was not found")
        if (sorted(there["Values"]), there["TTL"]) != (sorted(one["Values"]), one["TTL"]):
            raise Invalid(f"Tried to delete {place} but the values provided do not match the current values")
        del zone.sets[key]
        return
    assert action == "CREATE", action
    beside = [other for other in zone.sets if other[0] == name]
    if any(other[1] == kind for other in beside):
        raise Invalid(f"Tried to create {place} but it already exists")
    if (kind == "CNAME" and beside) or any(other[1] == "CNAME" for other in beside):
        raise Invalid(
            f"RRSet of type {kind} with DNS name {name} is not permitted because a conflicting RRSet with the same "
            f"DNS name already exists in zone {zone.name}"
        )
    for value in one["Values"]:
        check(kind, value)
    if len(set(one["Values"])) < len(one["Values"]) or not one["Values"] or len(one["Values"]) > 400:
        raise Invalid(f"Duplicate Resource Record, none, or too many: {one['Values']}")
    zone.put({**one, "Name": name})


def check(kind: str, value: str) -> None:
    if kind == "TXT":
        strings = re.findall(r'"((?:[^"\\]|\\.)*)"', value)
        if not strings or re.sub(r'"(?:[^"\\]|\\.)*"', "", value).strip():
            raise Invalid("InvalidCharacterString (Value should be enclosed in quotation marks)")
        if re.search(r"\\[0-9]*[89]", value) or not value.isascii():
            raise Invalid("Invalid Resource Record: octal escapes have digits of 0 to 7")
        if any(len(re.sub(r"\\\d{3}|\\.", "x", string)) > 255 for string in strings):
            raise Invalid("CharacterStringTooLong (Value is too long)")
    else:
        try:
            dns.rdata.from_text("IN", kind, value)
        except Exception as error:
            raise Invalid(f"Invalid Resource Record: {error}") from None


def read(change: ElementTree.Element) -> Set:
    one = change.find(f"{{{XMLNS}}}ResourceRecordSet")
    assert one is not None
    made: Set = {
        "Name": one.findtext(f"{{{XMLNS}}}Name", ""),
        "Type": one.findtext(f"{{{XMLNS}}}Type", ""),
        "TTL": int(one.findtext(f"{{{XMLNS}}}TTL", "0")),
        "Values": [each.text or "" for each in one.iter(f"{{{XMLNS}}}Value")],
    }
    return made


def shown(one: Set) -> str:
    if alias := one.get("AliasTarget"):
        data = (
            f"<AliasTarget><HostedZoneId>Z2TEST</HostedZoneId><DNSName>{escape(alias)}</DNSName>"
            "<EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>"
        )
    else:
        values = "".join(
            f"<ResourceRecord><Value>{escape(value)}</Value></ResourceRecord>" for value in one["Values"]
        )
        data = f"<TTL>{one['TTL']}</TTL><ResourceRecords>{values}</ResourceRecords>"
    routing = ""
    if identifier := one.get("SetIdentifier"):
        routing = f"<SetIdentifier>{identifier}</SetIdentifier><Weight>10</Weight>"
    return (
        f"<ResourceRecordSet><Name>{escape(one['Name'])}</Name><Type>{one['Type']}</Type>{routing}{data}"
        "</ResourceRecordSet>"
    )


def answer(root: str, body: str, status: int = 200) -> Answer:
    text = f'<?xml version="1.0"?>\n<{root} xmlns="{XMLNS}">{body}</{root}>'
    return Answer(status, text.encode(), {"Content-Type": "text/xml", "x-amzn-RequestId": "r"})


def error(status: int, code: str, message: str) -> Answer:
    body = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return answer("ErrorResponse", f"{body}<RequestId>r</RequestId>", status)
