"""What a DNS provider is to mailprov: its part of the inventory's `dns:`, and a driver that reads and writes zones.

    Provider       one for each in dns/providers, where they are listed

Nothing here loads a library; a provider does so when it is used.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar

from mailprov.model.dns import ProviderSettings

if TYPE_CHECKING:
    from mailprov.schema.context import Context
    from mailprov.schema.entry import Entry


class Provider(ABC):
    """`name`: in `dns.provider`. `title`: what it does, for the schema. `dns_01`: what the inventory must have for the
    challenge dns-01; empty where it cannot be. `example`: lines of YAML, to begin with.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    dns_01: ClassVar[str] = ""
    example: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def entry(self) -> type[Entry]:
        """Its keys in `dns:` as they are written, all of them optional; none may be called `provider` or `ttl`. Two
        providers may have a key of one name, if it means the same.
        """

    @abstractmethod
    def settings(self, entry: Entry, written: Collection[str], context: Context) -> ProviderSettings:
        """What the file says, checked. `written`: the keys that are there, also those whose values are wrong."""
