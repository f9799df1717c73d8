"""The base of providers with an HTTP API that take one token.

TokenProvider      name, title, abilities, needs, url, and `driver`
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, ClassVar

from mailprov.dns.abilities import Abilities
from mailprov.dns.api.settings import TokenSettings
from mailprov.dns.provider import Provider
from mailprov.i18n import _
from mailprov.model.dns import ProviderSettings

if TYPE_CHECKING:
    from mailprov.dns.api.client import Client
    from mailprov.dns.driver import Driver
    from mailprov.schema.context import Context
    from mailprov.schema.entry import Entry


class TokenProvider(Provider):
    """`called`: how errors call it. `url`: of its API."""

    abilities: ClassVar[Abilities]
    called: ClassVar[str]
    extra = True
    libraries = ("urllib3",)
    url: ClassVar[str]
    settings_of: ClassVar[type[TokenSettings]]

    @abstractmethod
    def driver(self, client: Client) -> Driver: ...

    def headers(self, token: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token}"}

    def refuses(self, status: int, data: object) -> bool:
        """Whether an answer says that the token is no good, where that is not 401 or 403."""
        return False

    def entry(self) -> type[Entry]:
        from mailprov.dns.api.schema import TokenEntry

        return TokenEntry

    def settings(self, entry: Entry, written: Collection[str], context: Context) -> ProviderSettings:
        from mailprov.dns.api import schema

        assert isinstance(entry, schema.TokenEntry)
        return self.settings_of(schema.token(entry.token, written, context, self.name), self.url)

    def open(self, settings: ProviderSettings) -> Driver:
        from mailprov.dns.api.client import Api, Client
        from mailprov.errors import InputError

        assert isinstance(settings, TokenSettings)
        if settings.token is None:
            raise InputError("dns.token", _("is not set"), _("Set it: {scope}").format(scope=_(self.scope)))
        token = settings.token.reveal()
        api = Api(
            self.where(settings),
            settings.url or self.url,
            self.name,
            f"dns.token ({settings.token.origin})",
            _(self.scope),
            self.abilities.calls_per_second,
            self.refuses,
        )
        return self.driver(Client(api, lambda method, url, content: self.headers(token), [token]))

    def where(self, settings: TokenSettings) -> str:
        return self.called
