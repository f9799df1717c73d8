"""Hetzner's DNS: the zones of the Cloud API, which the library hcloud speaks. (The older DNS Console has another API.)

`settings` is what the inventory says. `driver` is the driver, `calls` asks the API and tells what its errors mean.
Source: Hetzner Cloud API reference, "Zones" and "Zone RRSets".
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mailprov.dns.abilities import Abilities
from mailprov.dns.provider import Provider
from mailprov.dns.providers.hetzner.settings import NAME, HetznerSettings
from mailprov.i18n import N_
from mailprov.model.dns import ProviderSettings

if TYPE_CHECKING:
    from mailprov.dns.driver import Driver
    from mailprov.schema.context import Context
    from mailprov.schema.entry import Entry


ABILITIES = Abilities(
    atomic=False,
    compare_and_swap=False,  # but values are added and removed one by one, so those of others are never written
    holds_version=False,
    lists_zones=True,
    reads_sets=True,
    types=frozenset("A AAAA CAA CNAME DS HINFO HTTPS MX NS PTR RP SOA SRV SVCB TLSA TXT".split()),  # noqa: SIM905
    ttls=(60, 2**31 - 1),
    calls_per_second=1,  # 3,600 in an hour, of a project
)


class Hetzner(Provider):
    name = NAME
    title = N_("Hetzner, by its Cloud API")
    name_servers = r"(hydrogen\.ns\.hetzner\.com|oxygen\.ns\.hetzner\.com|helium\.ns\.hetzner\.de)"
    abilities = ABILITIES
    extra = True
    libraries = ("hcloud",)
    scope = N_("to be an API token of the project that has the zones, with the permission to read and write")
    example = ("provider: hetzner", "token: {env: HCLOUD_TOKEN}")

    def entry(self) -> type[Entry]:
        from mailprov.dns.api.schema import TokenEntry

        return TokenEntry

    def settings(self, entry: Entry, written: Collection[str], context: Context) -> ProviderSettings:
        from mailprov.dns.api import schema

        assert isinstance(entry, schema.TokenEntry)
        return HetznerSettings(schema.token(entry.token, written, context, self.name))

    def open(self, settings: ProviderSettings) -> Driver:
        from mailprov.dns.providers.hetzner.driver import HetznerDriver

        assert isinstance(settings, HetznerSettings)
        return HetznerDriver(settings, ABILITIES)


PROVIDER = Hetzner()
