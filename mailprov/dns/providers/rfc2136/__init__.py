"""DNS UPDATE (RFC 2136) with TSIG (RFC 8945): BIND, Knot, PowerDNS and others that take updates.

`settings` is what the inventory says, `schema` reads it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mailprov.dns.provider import Provider
from mailprov.dns.providers.rfc2136.settings import NAME
from mailprov.model.dns import ProviderSettings

if TYPE_CHECKING:
    from mailprov.schema.context import Context
    from mailprov.schema.entry import Entry


class Rfc2136(Provider):
    name = NAME
    title = "updates to a name server"
    dns_01 = "`dns` with `provider: rfc2136` and `tsig`"
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
