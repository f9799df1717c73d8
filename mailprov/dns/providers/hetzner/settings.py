"""What the inventory says of Hetzner. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailprov.dns.api.settings import TokenSettings

NAME = "hetzner"


@dataclass(frozen=True)
class HetznerSettings(TokenSettings):
    name: ClassVar[str] = NAME
