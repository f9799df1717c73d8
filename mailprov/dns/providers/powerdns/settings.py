"""What the inventory says of a PowerDNS server with an HTTP API. Pure values."""

from __future__ import annotations

from typing import ClassVar

from mailprov.dns.api.settings import TokenSettings
from mailprov.model.values import dataclass

NAME = "powerdns"


@dataclass(frozen=True)
class PowerDnsSettings(TokenSettings):
    """`url`: of its webserver, without a path."""

    name: ClassVar[str] = NAME
