"""What the inventory says of an octoDNS provider. Pure values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from mailprov.model.dns import ProviderSettings
from mailprov.model.secret import Secret
from mailprov.model.values import dataclass

NAME = "octodns"


@dataclass(frozen=True)
class OctodnsSettings(ProviderSettings):
    """`path`: module and class, "octodns_desec.DesecProvider". `options`: what the class is called with, in the order
    of the file: text, bool, int, float, or a tuple of these; `secrets`: the same, of secrets. `zone_names`: the zones
    there, for a class that cannot list them.
    """

    name: ClassVar[str] = NAME
    publishes: ClassVar[bool] = True

    path: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    secrets: tuple[tuple[str, Secret], ...] = ()
    zone_names: tuple[str, ...] = ()

    def credential(self) -> str:
        """All of them, so that whoever has only some cannot seal (seal.py)."""
        return "".join(secret.reveal() for __, secret in sorted(self.secrets, key=lambda each: each[0]))

    def without_credential(self) -> ProviderSettings:
        return replace(self, secrets=())
