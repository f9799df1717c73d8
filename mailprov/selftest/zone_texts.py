"""Zones for name servers to hold: what each of two servers has of them, and what the zone above says.

    Zone                         what both servers have of a zone, and what its parent says of it
    head, same, delegation       texts of zones
    signed(zone, text, …)        a zone's text with keys and signatures, and its DS record
    ROOT, FIRST, SECOND, RESOLVER, SERVERS

Raises nothing but bugs.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import dns.dnssec
import dns.name
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from mailprov.model.values import dataclass

ROOT, FIRST, SECOND, RESOLVER = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.9"
# Text behind the SOA of a zone with two servers.
SERVERS = "@ NS ns1\n@ NS ns2\nns1 A 127.0.0.2\nns2 A 127.0.0.3\n"


def head(zone: str, serial: int = 1) -> str:
    return f"$ORIGIN {zone}.\n$TTL 300\n@ SOA ns1 hostmaster {serial} 3600 600 86400 60\n"


def delegation(zone: str) -> str:
    return (
        f"{zone}. NS ns1.{zone}.\n{zone}. NS ns2.{zone}.\nns1.{zone}. A 127.0.0.2\nns2.{zone}. A 127.0.0.3\n"
    )


@dataclass(frozen=True)
class Zone:
    """Whole zone files; None: that server does not have the zone. `above`: what stands in `zz`; None: as it should.
    `dynamic`: at ns1 it takes updates and is signed by BIND.
    """

    first: str | None
    second: str | None
    above: str | None = None
    dynamic: bool = False


def same(zone: str, text: str = "", above: str | None = None, serials: tuple[int, int] = (1, 1)) -> Zone:
    first, second = (head(zone, serial) + SERVERS + text for serial in serials)
    return Zone(first, second, above)


def signed(
    zone: str, text: str, *, begins: timedelta = timedelta(hours=-1), lasts: timedelta = timedelta(days=14)
) -> tuple[str, str]:
    """The zone's text, signed by one key, and the DS record for it."""
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), "ECDSAP256SHA256", flags=257)
    parsed = dns.zone.from_text(head(zone) + SERVERS + text, f"{zone}.", relativize=False)
    inception = datetime.now(timezone.utc) + begins
    dns.dnssec.sign_zone(
        parsed,
        keys=[(private, key)],
        add_dnskey=True,
        dnskey_ttl=300,
        inception=inception,
        expiration=inception + lasts,
    )
    ds = dns.dnssec.make_ds(dns.name.from_text(zone), key, "SHA256")
    return parsed.to_text(relativize=False), f"{zone}. DS {ds}\n"
