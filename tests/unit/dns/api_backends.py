"""Providers with an API for test_contract.py: mailprov calls a stand-in over HTTP, others change it as it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailprov.dns import providers
from mailprov.dns.api import client
from mailprov.dns.api.pace import Pace
from mailprov.dns.providers.cloudflare import CloudflareSettings
from mailprov.dns.providers.digitalocean import DigitalOceanSettings
from mailprov.dns.providers.gandi import GandiSettings
from mailprov.dns.providers.ovh.settings import OvhSettings
from mailprov.model.dns import DnsSettings, ProviderSettings
from mailprov.model.secret import Secret
from tests.unit.dns.api_server import serving
from tests.unit.dns.backend import Backend, Zone
from tests.unit.dns.cloudflare_server import Cloudflare
from tests.unit.dns.digitalocean_server import DigitalOcean
from tests.unit.dns.gandi_server import Gandi
from tests.unit.dns.ovh_server import Ovh
from tests.unit.dns.rows import TOKEN, RowServer

STAND_INS: dict[str, Callable[[], RowServer]] = {
    "cloudflare": Cloudflare,
    "digitalocean": DigitalOcean,
    "gandi": Gandi,
    "ovh": Ovh,
}


@dataclass
class ApiBackend(Backend):
    """`naps`: seconds that were waited for, and took no time."""

    name: str
    api: RowServer
    naps: list[float]

    def __post_init__(self) -> None:
        with providers.open_driver(self.settings()) as driver:
            self.driver = type(driver)

    def settings(self, ttl: int = 300, token: str = TOKEN) -> DnsSettings:
        secret = Secret("env:DNS_TOKEN", token)
        own: ProviderSettings
        if self.name == "ovh":
            assert isinstance(self.api, Ovh)
            application = Secret("env:OVH_SECRET", self.api.secret)
            own = OvhSettings(self.api.application, application, secret, self.api.url)
        else:
            kinds = {
                "cloudflare": CloudflareSettings,
                "digitalocean": DigitalOceanSettings,
                "gandi": GandiSettings,
            }
            own = kinds[self.name](secret, self.api.url)
        return DnsSettings(own, ttl)

    def whole(self, zone: str) -> Zone:
        return self.api.whole(zone)

    def put(self, zone: str, name: str, ttl: int, kind: str, *texts: str, **more: Any) -> None:
        self.api.put(zone, name, ttl, kind, *texts, **more)


@contextmanager
def standing_in(name: str, folder: Path) -> Iterator[ApiBackend]:
    naps: list[float] = []
    before = client.sleep, client.shared
    client.sleep, client.shared = naps.append, lambda key, rate: Pace(None)  # type: ignore[assignment]
    api = STAND_INS[name]()
    try:
        with serving(api):
            yield ApiBackend(name, api, naps)
    finally:
        client.sleep, client.shared = before
