"""OVHcloud by its API, version 1.

`settings` and `schema` are what the inventory says, `signature` signs the calls, `driver` is the driver. OVH's own
library (ovh, on PyPI) signs as `signature` does and brings requests along; it cannot be given limits for an answer.
Source: OVHcloud, "First Steps with the OVHcloud APIs" (signature, keys, rights); API console, section /domain.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mailprov.dns.abilities import Abilities
from mailprov.dns.provider import Provider
from mailprov.dns.providers.ovh.settings import NAME, OvhSettings
from mailprov.i18n import N_, _
from mailprov.model.dns import ProviderSettings

if TYPE_CHECKING:
    from mailprov.dns.driver import Driver
    from mailprov.schema.context import Context
    from mailprov.schema.entry import Entry

ABILITIES = Abilities(
    atomic=False,
    compare_and_swap=False,
    holds_version=False,
    lists_zones=True,
    reads_sets=True,
    ttls=(60, 2**31 - 1),
)


class Ovh(Provider):
    name = NAME
    title = N_("zones at OVHcloud")
    name_servers = r"d?ns\d*\.(ovh\.net|ovh\.ca|anycast\.me)"
    extra = True
    scope = N_("the rights GET, POST, PUT and DELETE on /domain/zone and /domain/zone/*")
    abilities = ABILITIES
    example = (
        "provider: ovh",
        "endpoint: eu",
        "application_key: 1a2b3c4d5e6f7a8b",
        "application_secret: {env: OVH_SECRET}",
        "consumer_key: {env: OVH_CONSUMER}",
    )

    def entry(self) -> type[Entry]:
        from mailprov.dns.providers.ovh.schema import OvhEntry

        return OvhEntry

    def settings(self, entry: Entry, written: Collection[str], context: Context) -> ProviderSettings:
        from mailprov.dns.providers.ovh import schema

        assert isinstance(entry, schema.OvhEntry)
        return schema.settings(entry, written, context)

    def open(self, settings: ProviderSettings) -> Driver:
        from mailprov.dns.api.client import Api, Client
        from mailprov.dns.providers.ovh.driver import OvhDriver
        from mailprov.dns.providers.ovh.signature import Signature, refused
        from mailprov.errors import InputError

        assert isinstance(settings, OvhSettings)
        if settings.application_secret is None or settings.consumer_key is None:
            raise InputError(
                "dns.consumer_key", _("is not set"), _("Set it: {scope}").format(scope=_(self.scope))
            )
        secrets = [settings.application_secret.reveal(), settings.consumer_key.reveal()]
        names = ", ".join(("dns.application_key", "dns.application_secret", "dns.consumer_key"))
        api = Api("OVHcloud", settings.url, self.name, names, _(self.scope), refuses=refused)
        signature = Signature(
            Client(api, lambda method, url, content: {}, []), settings.application_key, *secrets
        )
        return OvhDriver(Client(api, signature, secrets), ABILITIES)


PROVIDER = Ovh()
