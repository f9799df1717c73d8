"""DNS UPDATE (RFC 2136) with TSIG (RFC 8945): BIND, Knot, PowerDNS and others that take updates.

`settings` is what the inventory says, `schema` reads it. `driver` is the driver: `session` is the connection, signed
with `tsig`, and `tsig_errors` says what is wrong with that; `questions` asks and `update` writes, `rdata` is between
DNS data and what mailprov means.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mailprov.dns.abilities import Abilities
from mailprov.dns.provider import Provider
from mailprov.dns.providers.rfc2136.settings import NAME, Rfc2136Settings
from mailprov.i18n import N_
from mailprov.model.dns import ProviderSettings

if TYPE_CHECKING:
    from mailprov.dns.driver import Driver
    from mailprov.schema.context import Context
    from mailprov.schema.entry import Entry


ABILITIES = Abilities(
    atomic=True,  # RFC 2136 section 3.7
    compare_and_swap=True,  # prerequisites, section 2.4
    holds_version=True,
    lists_zones=False,
    reads_sets=True,
    most_in_set=100,  # BIND's max-records-per-type
    capacity=64_000,  # octets; a message has 65,535 (RFC 1035 section 4.2.2), and a signature and a guard are added
    capacity_is=N_("one DNS message of 64 KiB"),
)


class Rfc2136(Provider):
    name = NAME
    title = N_("updates to a name server")
    dns_01 = N_("`dns` with `provider: rfc2136` and `tsig`")
    abilities = ABILITIES
    example = (
        "provider: rfc2136",
        "server: 192.0.2.53",
        "tsig: {name: mailprov, algorithm: hmac-sha256, secret: {env: MAILPROV_TSIG}}",
    )

    def entry(self) -> type[Entry]:
        from mailprov.dns.providers.rfc2136.schema import Rfc2136Entry

        return Rfc2136Entry

    def settings(self, entry: Entry, written: Collection[str], context: Context) -> ProviderSettings:
        from mailprov.dns.providers.rfc2136 import schema

        assert isinstance(entry, schema.Rfc2136Entry)
        return schema.settings(entry, written, context)

    def open(self, settings: ProviderSettings) -> Driver:
        from mailprov.dns.providers.rfc2136.driver import UpdateDriver

        assert isinstance(settings, Rfc2136Settings)
        return UpdateDriver(settings, ABILITIES)


PROVIDER = Rfc2136()
