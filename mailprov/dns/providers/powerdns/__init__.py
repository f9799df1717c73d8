"""PowerDNS over its HTTP API, for those who do not let it take updates (then `rfc2136` is the better one: PowerDNS
knows no compare-and-swap over HTTP).

`settings` and `schema` are what the inventory says, `driver` is the driver.
Source: PowerDNS Authoritative Server, "Built-in Webserver and HTTP API", "Zones endpoint"; tried on 4.7.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mailprov.dns.abilities import Abilities
from mailprov.dns.api.provider import TokenProvider
from mailprov.dns.api.settings import TokenSettings
from mailprov.dns.providers.powerdns.settings import NAME, PowerDnsSettings
from mailprov.i18n import N_, _
from mailprov.model.dns import ProviderSettings

if TYPE_CHECKING:
    from mailprov.dns.api.client import Client
    from mailprov.dns.driver import Driver
    from mailprov.schema.context import Context
    from mailprov.schema.entry import Entry


class PowerDns(TokenProvider):
    name = NAME
    title = N_("a PowerDNS server by its HTTP API")
    called = "PowerDNS"
    scope = N_("it is the server's `api-key`, which may do everything there")
    url = ""
    settings_of = PowerDnsSettings
    abilities = Abilities(
        atomic=True,  # one PATCH is one transaction
        compare_and_swap=False,
        holds_version=False,
        lists_zones=True,
        reads_sets=True,
        capacity=1_500_000,  # octets; webserver-max-bodysize is 2 MB unless it is told otherwise
        capacity_is=N_("one request of 2 MB"),
    )
    example = ("provider: powerdns", "url: https://ns1.example.org:8081", "token: {env: DNS_TOKEN}")

    def headers(self, token: str) -> Mapping[str, str]:
        return {"X-API-Key": token}

    def entry(self) -> type[Entry]:
        from mailprov.dns.providers.powerdns.schema import PowerDnsEntry

        return PowerDnsEntry

    def settings(self, entry: Entry, written: Collection[str], context: Context) -> ProviderSettings:
        from mailprov.dns.providers.powerdns import schema

        assert isinstance(entry, schema.PowerDnsEntry)
        return schema.settings(entry, written, context)

    def driver(self, client: Client) -> Driver:
        from mailprov.dns.providers.powerdns.driver import PowerDnsDriver

        return PowerDnsDriver(client, self.abilities)

    def where(self, settings: TokenSettings) -> str:
        return _("PowerDNS at {server}").format(server=urlsplit(settings.url).netloc)


PROVIDER = PowerDns()
