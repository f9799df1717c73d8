"""What the inventory says of a name server that takes updates. Pure values."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import ClassVar

from mailprov.i18n import _
from mailprov.model.dns import Dns01, NameServer, ProviderSettings
from mailprov.model.secret import Secret
from mailprov.model.values import dataclass

NAME = "rfc2136"


@dataclass(frozen=True)
class Tsig:
    """The key that signs what is asked of the name server (RFC 8945)."""

    name: str
    algorithm: str  # hmac-sha256, hmac-sha512, …
    secret: Secret  # base64


@dataclass(frozen=True)
class Rfc2136Settings(ProviderSettings):
    """`server`: address or name of the primary; the inventory has seen to it that there is one."""

    name: ClassVar[str] = NAME
    publishes: ClassVar[bool] = True

    server: str | None = None
    port: int = 53
    tsig: Tsig | None = None

    @property
    def name_server(self) -> NameServer | None:
        return NameServer(self.server, self.port) if self.server else None

    @property
    def dns_01(self) -> Dns01 | None:
        """certbot's plugin takes an address for the server, no name, and our own key."""
        if self.tsig is None or not self.server or not _is_address(self.server):
            return None
        values = {
            "server": self.server,
            "port": str(self.port),
            "key": f"{self.tsig.name}.",
            "secret": self.tsig.secret.reveal(),
            "algorithm": self.tsig.algorithm.upper(),
        }
        return Dns01("python3-certbot-dns-rfc2136", "dns-rfc2136", "acme/dns-rfc2136.ini.j2", values)

    @property
    def why_no_dns_01(self) -> str:
        if self.tsig is None or not self.server or _is_address(self.server):
            return ""
        return _(
            "challenge dns-01 needs the name server's address, and `dns.server` is the name {server}"
        ).format(server=self.server)

    def without_credential(self) -> ProviderSettings:
        return replace(self, tsig=None)

    def credential(self) -> str:
        return self.tsig.secret.reveal() if self.tsig else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
