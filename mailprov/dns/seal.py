"""The controller's own mark on what it gives to hosts to keep: which DNS record sets were what before a run. Pure.

    sealed(image, run, settings) -> Image     with "run" and "seal"; as it is where the inventory has no credential
    genuine(image, settings) -> bool          a controller that has this key made exactly this

Hosts keep the before-images of zones (undo.py says why there), and a host in foreign hands could make up what was there
before: at the next rollback the controller would write it into the zone, with its key. So the image carries an HMAC
(RFC 2104, SHA-256) under the secret with which its zone is written, over zone, record sets and run. Whoever holds that
key can change the zone anyway; hosts do not have it, but for those with dns-01, which for this very reason can write
the zone already.

An image without a mark (0.1.0 made none; a server that trusts addresses has no key), or with that of another key, is
not thrown away: `unsealed.py` says what of it is believed all the same.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from mailprov.model.dns import DnsSettings

Image = dict[str, Any]


def sealed(image: Image, run: str, settings: DnsSettings) -> Image:
    """`run`: its id, so that the image of one run cannot pass for that of another."""
    key = _key(settings, image["zone"])
    if key is None:
        return image
    made = {"zone": image["zone"], "sets": image["sets"], "run": run}
    return {**made, "seal": _mac(key, made)}


def genuine(image: Image, settings: DnsSettings) -> bool:
    key = _key(settings, image["zone"])
    if key is None or "seal" not in image or "run" not in image:
        return False
    told = {name: image[name] for name in ("zone", "sets", "run")}
    return hmac.compare_digest(_mac(key, told).encode(), str(image["seal"]).encode("utf-8", "replace"))


def possible(settings: DnsSettings, zone: str) -> bool:
    """Whether there is anything to seal with."""
    return _key(settings, zone) is not None


def _key(settings: DnsSettings, zone: str) -> bytes | None:
    """Not the provider's secret itself: what is made with it must never be an answer to whoever holds zones."""
    secret = "".join(settings.at(zone).provider.credential().split()).encode()
    return hmac.digest(secret, b"mailprov: what a zone was before a run", hashlib.sha256) if secret else None


def _mac(key: bytes, body: Image) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.digest(key, text.encode("ascii"), hashlib.sha256).hex()
