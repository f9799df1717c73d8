"""octoDNS as Backends (drivers.py): its class for PowerDNS on the real server, that for Cloudflare on our stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mailprov.dns.providers.octodns.driver import OctodnsDriver
from mailprov.dns.providers.octodns.settings import OctodnsSettings
from mailprov.model.dns import DnsSettings
from mailprov.model.secret import Secret
from tests.unit.dns.api_backends import ApiBackend, standing_in
from tests.unit.dns.backend import Backend
from tests.unit.dns.rows import TOKEN
from tests.unit.dns.servers import API_KEY, AT_PROVIDERS, serving
from tests.unit.dns.updates_backend import PowerDnsApi

POWERDNS, CLOUDFLARE = "octodns_powerdns.PowerDnsProvider", "octodns_cloudflare.CloudflareProvider"


class OctodnsPowerDns(PowerDnsApi):
    redirects = False  # the class does not know DNAME, which the plan says
    cut_at = 255

    def __post_init__(self) -> None:
        self.driver = OctodnsDriver

    def settings(self, ttl: int = 300, key: str = API_KEY, **more: Any) -> DnsSettings:
        address = urlsplit(self.server.api())
        options = {"host": address.hostname, "port": address.port, **more}
        secret = Secret("env:PDNS_KEY", key)
        return DnsSettings(OctodnsSettings(POWERDNS, tuple(options.items()), (("api_key", secret),)), ttl)


class OctodnsCloudflare(ApiBackend):
    redirects = False
    cut_at = 255

    def __post_init__(self) -> None:
        self.driver = OctodnsDriver

    def settings(self, ttl: int = 300, token: str = TOKEN, **more: Any) -> DnsSettings:
        options = {"api_url": self.api.url, "retry_period": 0, "records_per_page": 1000, **more}
        secret = Secret("env:DNS_TOKEN", token)
        return DnsSettings(OctodnsSettings(CLOUDFLARE, tuple(options.items()), (("token", secret),)), ttl)


def _plain(backend: Backend) -> None:
    """Texts that it takes, in place of others; test_octodns.py has those."""
    for zone in (name for name, text in AT_PROVIDERS.items() if "\\" in text):
        ttl, texts = backend.whole(zone).get((zone, "TXT"), (0, frozenset()))
        if odd := {text for text in texts if "\\" in text}:
            backend.put(zone, zone, ttl, "TXT", *(texts - odd), '"part one and two; end"')


@contextmanager
def octodns_powerdns(folder: Path) -> Iterator[OctodnsPowerDns]:
    with serving("powerdns", folder, AT_PROVIDERS) as server:
        backend = OctodnsPowerDns(server)
        _plain(backend)
        yield backend


@contextmanager
def octodns_cloudflare(folder: Path) -> Iterator[OctodnsCloudflare]:
    with standing_in("cloudflare", folder) as made:
        backend = OctodnsCloudflare("cloudflare", made.api, made.naps)
        _plain(backend)
        yield backend
