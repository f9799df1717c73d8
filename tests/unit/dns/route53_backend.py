"""Route 53 as a Backend (drivers.py), on the stand-in of route53_server.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.rdata
import dns.rdatatype
import dns.zone
import pytest

from mailprov.dns.api.pace import Pace
from mailprov.dns.providers.route53 import calls, text
from mailprov.dns.providers.route53.driver import Route53Driver
from mailprov.dns.providers.route53.settings import Route53Settings
from mailprov.model.dns import DnsSettings
from mailprov.model.secret import Secret
from tests.unit.dns.api_server import serving
from tests.unit.dns.backend import Backend, Zone
from tests.unit.dns.route53_server import KEY_ID, SECRET, Route53Server, canonical
from tests.unit.dns.servers import AT_PROVIDERS, sets_of


class Route53(Backend):
    driver = Route53Driver
    redirects = False  # it has no DNAME

    def __init__(self, server: Route53Server) -> None:
        self.server = server
        for zone, records in AT_PROVIDERS.items():
            server.add(zone)
            for owner, kind, ttl, values in sets_of(zone, records):
                if kind not in ("SOA", "DNAME") and (kind, owner) != ("NS", zone):
                    self.put(zone, owner, ttl, kind, *values)

    def settings(self, ttl: int = 300, **changes: object) -> DnsSettings:
        values: dict[str, object] = {
            "access_key_id": KEY_ID,
            "secret_access_key": Secret("env:MAILPROV_AWS_SECRET", SECRET),
        }
        return DnsSettings(Route53Settings(**{**values, **changes}), ttl)  # type: ignore[arg-type]

    def zone_id(self, zone: str) -> str:
        return next(one for one, each in self.server.zones.items() if each.name == f"{zone}.")

    def whole(self, zone: str) -> Zone:
        found: Zone = {}
        for (name, kind, identifier), one in self.server.zones[self.zone_id(zone)].sets.items():
            owner = text.plain(name)
            if kind == "SOA" or (kind, owner) == ("NS", zone) or owner == f"ns.{zone}":
                continue
            if "AliasTarget" in one:
                found[owner, kind] = (0, frozenset({f"ALIAS {one['AliasTarget']}"}))
                continue
            texts = [text.from_value(value) for value in one["Values"]]
            data = frozenset(dns.rdata.from_text("IN", kind, each).to_text() for each in texts)
            found[owner, f"{kind} {identifier}".strip()] = (one["TTL"], data)
        return found

    def put(self, zone: str, name: str, ttl: int, kind: str, *texts: str) -> None:
        there = self.server.zones[self.zone_id(zone)]
        owner = canonical(text.written(name))
        there.sets.pop((owner, kind, ""), None)
        if texts:
            values = [text.to_value(each) for each in texts]
            there.put({"Name": owner, "Type": kind, "TTL": ttl, "Values": values})


@contextmanager
def route53(folder: Path) -> Iterator[Route53]:
    server = Route53Server()
    with pytest.MonkeyPatch.context() as patch, serving(server):
        patch.setattr(calls, "ATTEMPTS", 1)
        patch.setattr(calls, "shared", lambda key, rate, burst: Pace(None))  # the stand-in has all day
        patch.setenv("AWS_ENDPOINT_URL_ROUTE_53", server.url)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield Route53(server)
