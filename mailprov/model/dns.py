"""How an inventory's zones are reached: what every DNS provider's own settings have in common. Pure values.

    DnsSettings            the provider and the records' time to live, and where that is another thing for a zone
    ProviderSettings       the base of each provider's own settings (dns/providers); as it is, records are published by
                           hand
    NameServer             an address and a port
    Dns01                  what certbot needs to answer the challenge dns-01 at a provider

Whoever is not about one provider asks these questions and never which provider it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

from mailprov.model.values import dataclass, field


@dataclass(frozen=True)
class NameServer:
    """Where a name server takes questions."""

    address: str  # or a name
    port: int = 53


@dataclass(frozen=True)
class Dns01:
    """`package`: certbot's plugin (Debian). `authenticator`: what certbot calls it. `template` and `values`: its file
    of credentials, which holds a secret.
    """

    package: str
    authenticator: str
    template: str
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class ProviderSettings:
    """`name`: as in the inventory. `publishes`: records can be written there. `key`: the mapping of the inventory that
    says so, for errors. Settings that are equal lead to the same account, wherever they are written.
    """

    name: ClassVar[str] = "zonefile"
    publishes: ClassVar[bool] = False

    key: str = field(default="dns", kw_only=True, compare=False)

    @property
    def name_server(self) -> NameServer | None:
        """Where the zones are written, if that can be asked as well; else their name servers are looked up."""
        return None

    @property
    def dns_01(self) -> Dns01 | None:
        """None: the challenge dns-01 cannot be answered there."""
        return None

    @property
    def why_no_dns_01(self) -> str:
        """Why, where the inventory could say otherwise: a whole sentence; else empty."""
        return ""

    def credential(self) -> str:
        """The secret by which the zones can be written; empty when there is none. Never shown, sent or kept."""
        return ""

    def without_credential(self) -> ProviderSettings:
        """Where records go, however one gets in: what a saved plan is bound to."""
        return self


@dataclass(frozen=True)
class DnsSettings:
    """The inventory's `dns:`. `zones`: what holds for the names at and below each of these, in place of the rest.

    Whoever is about a name asks `at(name)`, whose `provider` and `ttl` are those of the name.
    """

    provider: ProviderSettings = ProviderSettings()
    ttl: int = 3600
    reverse: bool = False  # the zones of the hosts' addresses are there, too
    zones: tuple[tuple[str, DnsSettings], ...] = ()

    def at(self, name: str) -> DnsSettings:
        """What holds for a name in DNS: of the nearest zone at or above it, else of all that are not named."""
        if not self.zones:
            return self
        zone = self.entry_of(name)
        return self._entries[zone] if zone else self._rest

    def entry_of(self, name: str) -> str:
        """The key in `zones` that this name is at or below; empty where there is none."""
        while name and name not in self._entries:
            name = name.partition(".")[2]
        return name

    def reverse_at(self, name: str) -> bool:
        """Whether the name of an address is in a zone of ours: naming the zone says so."""
        return self.reverse or bool(self.entry_of(name))

    @property
    def publishes(self) -> bool:
        """Whether there is any zone that can be written."""
        return any(each.publishes for each in self.providers)

    @cached_property
    def providers(self) -> tuple[ProviderSettings, ...]:
        """Each once, by its settings; that of the zones that are not named first."""
        found = [self.provider]
        for __, each in self.zones:
            if each.provider not in found:
                found.append(each.provider)
        return tuple(found)

    @cached_property
    def _entries(self) -> Mapping[str, DnsSettings]:
        return dict(self.zones)

    @cached_property
    def _rest(self) -> DnsSettings:
        return replace(self, zones=())
