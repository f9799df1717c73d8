"""What the inventory says of a provider with a token. Pure values."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from mailprov.model.dns import ProviderSettings
from mailprov.model.secret import Secret
from mailprov.model.values import dataclass


@dataclass(frozen=True)
class TokenSettings(ProviderSettings):
    """`token`: None where the inventory gives none, which it has said, or in a saved plan. `url`: of the API."""

    publishes: ClassVar[bool] = True

    token: Secret | None = None
    url: str = ""

    def credential(self) -> str:
        return self.token.reveal() if self.token else ""

    def without_credential(self) -> ProviderSettings:
        return replace(self, token=None)
