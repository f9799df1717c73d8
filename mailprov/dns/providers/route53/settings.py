"""What the inventory says of Amazon Route 53. Pure values."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from mailprov.model.dns import ProviderSettings
from mailprov.model.secret import Secret
from mailprov.model.values import dataclass

NAME = "route53"


@dataclass(frozen=True)
class Route53Settings(ProviderSettings):
    """Without `secret_access_key` boto3 looks for credentials by itself. `zone_id`: of several hosted zones of one
    name, this one.
    """

    name: ClassVar[str] = NAME
    publishes: ClassVar[bool] = True

    access_key_id: str = ""
    secret_access_key: Secret | None = None
    zone_id: str = ""

    def without_credential(self) -> ProviderSettings:
        return replace(self, access_key_id="", secret_access_key=None)

    def credential(self) -> str:
        return self.secret_access_key.reveal() if self.secret_access_key else ""
