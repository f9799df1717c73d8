"""How calls of OVH's API are signed: "First Steps with the OVHcloud APIs".

    Signature(client, key, secret, consumer)(method, url, body) -> headers
    refused(status, data)                whether an answer says that the keys are no good

A signature has the time of OVH's clock in it, which is asked for once: ours may be wrong. SHA-1 is what OVH takes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from mailprov.dns.api.client import Client


class Signature:
    def __init__(self, client: Client, key: str, secret: str, consumer: str) -> None:
        self._client, self._key, self._secret, self._consumer = client, key, secret, consumer
        self._ahead: int | None = None  # seconds that OVH's clock is ahead of ours

    def __call__(self, method: str, url: str, content: bytes) -> Mapping[str, str]:
        if self._ahead is None:
            self._ahead = int(self._client.get("/auth/time").data) - int(time.time())
            self._client.close()
        now = str(int(time.time()) + self._ahead)
        text = "+".join([self._secret, self._consumer, method, url, content.decode(), now])
        return {
            "X-Ovh-Application": self._key,
            "X-Ovh-Consumer": self._consumer,
            "X-Ovh-Timestamp": now,
            "X-Ovh-Signature": f"$1${hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()}",
        }


def refused(status: int, data: Any) -> bool:
    code = str(data.get("errorCode") or data.get("class") or "") if isinstance(data, dict) else ""
    return status == 400 and code.rpartition("::")[2] in (
        "INVALID_SIGNATURE",
        "INVALID_KEY",
        "InvalidSignature",
    )
