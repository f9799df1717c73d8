"""What a DNS provider is to mailprov: its part of the inventory's `dns:`, and where its zones are read and written.

    Provider       one for each in dns/providers, where they are listed; it opens a driver (driver.py)

Nothing here loads a library, nor what only planning zones needs: an inventory is read with its provider.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar

from mailprov.dns.abilities import Abilities
from mailprov.model.dns import ProviderSettings

if TYPE_CHECKING:
    from mailprov.dns.driver import Driver
    from mailprov.schema.context import Context
    from mailprov.schema.entry import Entry


class Provider(ABC):
    """`name`: in `dns.provider`. `title`: what it does, for the schema. `dns_01`: what the inventory must have for the
    challenge dns-01; empty where it cannot be. Both are marked with N_ (i18n.py). `example`: lines of YAML, to begin
    with. `abilities`: None for one that writes nothing, which then has no driver. `extra`: it needs a library of its
    own, and the extra of the package that brings that is called as it is (extras.py); `libraries`: what is imported
    then. `scope`: the least that its credential must be allowed to do. `limits`: what `abilities` do not say, and who
    chooses it should know. `name_servers`: how those of its zones are called, a regular expression for the whole name;
    empty where they may be called anything.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    dns_01: ClassVar[str] = ""
    example: ClassVar[tuple[str, ...]] = ()
    abilities: ClassVar[Abilities | None] = None
    extra: ClassVar[bool] = False
    libraries: ClassVar[tuple[str, ...]] = ()
    scope: ClassVar[str] = ""
    limits: ClassVar[str] = ""
    name_servers: ClassVar[str] = ""

    @abstractmethod
    def entry(self) -> type[Entry]:
        """Its keys in `dns:` as they are written, all of them optional; none may be called `provider` or `ttl`. Two
        providers may have a key of one name, if it means the same.
        """

    @abstractmethod
    def settings(self, entry: Entry, written: Collection[str], context: Context) -> ProviderSettings:
        """What the file says, checked. `written`: the keys that are there, also those whose values are wrong."""

    def open(self, settings: ProviderSettings) -> Driver:
        """Raises InputError for settings that cannot be used."""
        raise NotImplementedError(self.name)
