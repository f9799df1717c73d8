"""What the inventory says of an account at OVHcloud. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from mailprov.model.dns import ProviderSettings
from mailprov.model.secret import Secret
from mailprov.model.values import dataclass

NAME = "ovh"
ENDPOINTS: Mapping[str, str] = {
    "eu": "https://eu.api.ovh.com/1.0",
    "ca": "https://ca.api.ovh.com/1.0",
    "us": "https://api.us.ovhcloud.com/1.0",
}


@dataclass(frozen=True)
class OvhSettings(ProviderSettings):
    """The key of an application is public; its secret and what an account has granted to it (consumer key) are not."""

    name: ClassVar[str] = NAME
    publishes: ClassVar[bool] = True

    application_key: str = ""
    application_secret: Secret | None = None
    consumer_key: Secret | None = None
    url: str = ENDPOINTS["eu"]

    def credential(self) -> str:
        return self.consumer_key.reveal() if self.consumer_key else ""

    def without_credential(self) -> ProviderSettings:
        return replace(self, application_secret=None, consumer_key=None)
