"""What the inventory says of Hetzner. Pure values."""

from __future__ import annotations

from typing import ClassVar

from mailprov.dns.api.settings import TokenSettings
from mailprov.model.values import dataclass

NAME = "hetzner"


@dataclass(frozen=True)
class HetznerSettings(TokenSettings):
    name: ClassVar[str] = NAME
