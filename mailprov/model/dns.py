"""How an inventory's zones are reached: what every DNS provider's own settings have in common. Pure values.

    DnsSettings            the provider and the records' time to live
    ProviderSettings       the base of each provider's own settings (dns/providers); as it is, records are published by
                           hand
    NameServer             an address and a port
    Dns01                  what certbot needs to answer the challenge dns-01 at a provider

Whoever is not about one provider asks these questions and never which provider it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar


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
    """`name`: as in the inventory. `publishes`: records can be written there."""

    name: ClassVar[str] = "zonefile"
    publishes: ClassVar[bool] = False

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
    """The inventory's `dns:`."""

    provider: ProviderSettings = ProviderSettings()
    ttl: int = 3600
    reverse: bool = False  # the zones of the hosts' addresses are there, too
