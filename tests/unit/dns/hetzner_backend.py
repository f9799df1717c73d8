"""Hetzner as a Backend (drivers.py), on the stand-in of hetzner_server.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.rdata
import dns.rdatatype
import dns.zone
import pytest

from mailprov.dns.api import records
from mailprov.dns.providers.hetzner import calls
from mailprov.dns.providers.hetzner.driver import HetznerDriver
from mailprov.dns.providers.hetzner.settings import HetznerSettings
from mailprov.model.dns import DnsSettings
from mailprov.model.secret import Secret
from tests.unit.dns.api_server import serving
from tests.unit.dns.backend import Backend, Zone
from tests.unit.dns.hetzner_server import TOKEN, HetznerServer
from tests.unit.dns.servers import AT_PROVIDERS, sets_of


class Hetzner(Backend):
    driver = HetznerDriver
    redirects = False  # it has no DNAME

    def __init__(self, server: HetznerServer) -> None:
        self.server = server
        for zone, text in AT_PROVIDERS.items():
            server.add(zone)
            for owner, kind, ttl, values in sets_of(zone, text):
                if kind not in ("SOA", "DNAME") and (kind, owner) != ("NS", zone):
                    self.put(zone, owner, ttl, kind, *values)

    def settings(self, ttl: int = 300, token: str = TOKEN) -> DnsSettings:
        return DnsSettings(HetznerSettings(Secret("env:HCLOUD_TOKEN", token)), ttl)

    def whole(self, zone: str) -> Zone:
        found: Zone = {}
        for (name, kind), one in self.server.sets[zone].items():
            if kind == "SOA" or (kind, name) == ("NS", "@") or name == "ns":
                continue
            ttl = self.server.zones[zone]["ttl"] if one["ttl"] is None else one["ttl"]
            texts = (dns.rdata.from_text("IN", kind, record["value"]).to_text() for record in one["records"])
            found[records.absolute(name, zone), kind] = (ttl, frozenset(texts))
        return found

    def put(self, zone: str, name: str, ttl: int, kind: str, *texts: str) -> None:
        label = records.relative(name, zone)
        self.server.sets[zone].pop((label, kind), None)
        if texts:
            self.server.put(zone, label, kind, ttl, *texts)


@contextmanager
def hetzner(folder: Path) -> Iterator[Hetzner]:
    server = HetznerServer()
    with pytest.MonkeyPatch.context() as patch, serving(server):
        patch.setattr(calls, "ENDPOINT", server.url)
        patch.setattr(calls, "POLL_SECONDS", 0.0)
        patch.setattr("hcloud._client.time.sleep", lambda seconds: None)
        yield Hetzner(server)
