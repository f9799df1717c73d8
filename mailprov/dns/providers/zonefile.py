"""No provider at all: mailprov prints the records (dns/zonefile.py), and people publish them by hand."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mailprov.dns.provider import Provider
from mailprov.i18n import N_
from mailprov.model.dns import ProviderSettings

if TYPE_CHECKING:
    from mailprov.schema.context import Context
    from mailprov.schema.entry import Entry


class ZoneFile(Provider):
    name = ProviderSettings.name
    title = N_("only printed, you publish them")

    def entry(self) -> type[Entry]:
        from mailprov.schema.entry import Entry

        return Entry

    def settings(self, entry: Entry, written: Collection[str], context: Context) -> ProviderSettings:
        return ProviderSettings()


PROVIDER = ZoneFile()
