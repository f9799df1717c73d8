"""Cloudflare by its API, version 4.

The library that Cloudflare offers (cloudflare, on PyPI) covers all of its products and is larger than all that mailprov
needs besides; two calls do here. `driver` says which.
Source: Cloudflare API reference, "DNS Records for a Zone" (list, batch) and "Zone" (list); Cloudflare Fundamentals,
"Rate limits", "API token permissions"; Cloudflare DNS, "Time to Live (TTL)", "Batch record changes", "Proxy status".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mailprov.dns.abilities import Abilities
from mailprov.dns.api.provider import TokenProvider
from mailprov.dns.api.settings import TokenSettings
from mailprov.i18n import N_
from mailprov.model.values import dataclass

if TYPE_CHECKING:
    from mailprov.dns.api.client import Client
    from mailprov.dns.driver import Driver

# "Invalid request headers", "Invalid format for Authorization header": it is no token at all.
_NO_TOKEN = {6003, 6111}


@dataclass(frozen=True)
class CloudflareSettings(TokenSettings):
    name: ClassVar[str] = "cloudflare"


class Cloudflare(TokenProvider):
    name = CloudflareSettings.name
    title = N_("zones at Cloudflare")
    name_servers = r"[a-z]+\.ns\.cloudflare\.com"
    called = "Cloudflare"
    scope = N_("Zone.Zone Read and Zone.DNS Edit, for the zones that it writes")
    url = "https://api.cloudflare.com/client/v4"
    settings_of = CloudflareSettings
    abilities = Abilities(
        atomic=True,  # a batch is one transaction of its database; it reaches the name servers record by record
        compare_and_swap=False,
        holds_version=False,
        lists_zones=True,
        reads_sets=False,
        types=frozenset({"A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "TLSA", "TXT"}),
        ttls=(60, 86400),
        calls_per_second=4.0,  # 1,200 in five minutes
        capacity=200,  # of the free plan
        capacity_is=N_("one batch of 200 records"),
    )
    example = ("provider: cloudflare", "token: {env: DNS_TOKEN}")

    def refuses(self, status: int, data: object) -> bool:
        errors = data.get("errors") if isinstance(data, dict) else None
        told = [one.get("code") for one in errors or () if isinstance(one, dict)]
        return status == 400 and bool(_NO_TOKEN.intersection(told))

    def driver(self, client: Client) -> Driver:
        from mailprov.dns.providers.cloudflare.driver import CloudflareDriver

        return CloudflareDriver(client, self.abilities)


PROVIDER = Cloudflare()
