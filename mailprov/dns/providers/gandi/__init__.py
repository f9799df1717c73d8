"""Gandi LiveDNS by Gandi's API, version 5.

Gandi has no library of its own for Python 3 that is kept; three calls do here.
Source: Gandi Public API, "LiveDNS API" (domains, records), "Authentication", "Rate limit".
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
class GandiSettings(TokenSettings):
    name: ClassVar[str] = "gandi"


class Gandi(TokenProvider):
    name = GandiSettings.name
    title = N_("zones at Gandi LiveDNS")
    name_servers = r"ns-\d+-[a-c]\.gandi\.net"
    called = "Gandi"
    scope = N_(
        "as a personal access token: to manage the technical configuration of the domains that it writes"
    )
    url = "https://api.gandi.net/v5/livedns"
    settings_of = GandiSettings
    abilities = Abilities(
        atomic=False,
        compare_and_swap=False,
        holds_version=False,
        lists_zones=True,
        reads_sets=False,
        ttls=(300, 2_592_000),
        calls_per_second=15.0,  # 1,000 a minute
    )
    example = ("provider: gandi", "token: {env: DNS_TOKEN}")

    def driver(self, client: Client) -> Driver:
        from mailprov.dns.providers.gandi.driver import GandiDriver

        return GandiDriver(client, self.abilities)


PROVIDER = Gandi()
