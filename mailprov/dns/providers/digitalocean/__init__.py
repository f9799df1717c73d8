"""DigitalOcean by its API, version 2.

DigitalOcean's own library (pydo) brings azure-core and others along; four calls do here.
Source: DigitalOcean API reference, "Domains", "Domain Records", "Rate Limit", "Links & Meta".
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


@dataclass(frozen=True)
class DigitalOceanSettings(TokenSettings):
    name: ClassVar[str] = "digitalocean"


class DigitalOcean(TokenProvider):
    name = DigitalOceanSettings.name
    title = N_("zones at DigitalOcean")
    name_servers = r"ns[1-3]\.digitalocean\.com"
    called = "DigitalOcean"
    scope = N_("the custom scopes domain:read, domain:create, domain:update and domain:delete")
    url = "https://api.digitalocean.com/v2"
    settings_of = DigitalOceanSettings
    abilities = Abilities(
        atomic=False,
        compare_and_swap=False,
        holds_version=False,
        lists_zones=True,
        reads_sets=False,
        types=frozenset({"A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT"}),
        ttls=(30, 2**31 - 1),
        # Its description names none; dnscontrol and others met this one.
        longest_text=512,
        calls_per_second=4.0,  # 250 a minute; beyond 5,000 an hour it asks to wait
    )
    example = ("provider: digitalocean", "token: {env: DNS_TOKEN}")

    def driver(self, client: Client) -> Driver:
        from mailprov.dns.providers.digitalocean.driver import DigitalOceanDriver

        return DigitalOceanDriver(client, self.abilities)


PROVIDER = DigitalOcean()
