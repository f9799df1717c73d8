"""Which records an inventory wants. Pure.

    desired_records(inventory, keys, tls) -> list[Record]

Order: hosts as in the inventory (A, AAAA; MX of a name of its own for what it sends on, where the first is a mail
domain; SPF of either name), then domains as in the inventory (the addresses of their mail_name), each followed by its
domain aliases (MX by preference, SPF, DMARC, DKIM): of each the types in the order of types.TYPES. No value appears
twice.
"""

from __future__ import annotations

from dataclasses import replace

from mailprov.model.dkim import PublicKeys
from mailprov.model.inventory import Inventory
from mailprov.model.records import Record
from mailprov.model.tls_keys import ServedKeys
from mailprov.records import types
from mailprov.records.types.base import Wishes


def desired_records(
    inventory: Inventory, keys: PublicKeys | None = None, tls: ServedKeys | None = None
) -> list[Record]:
    """Every record the inventory wants, with the TTL of its zone and a reason each; deterministic, without
    duplicates. `keys`: the DKIM keys that hosts reported; of other hosts there are no DKIM records here.
    `tls`: those of their certificates, likewise.
    """
    found: dict[tuple[str, str, str], Record] = {}
    for record in types.desired(Wishes(inventory, keys or {}, tls or {})):
        found.setdefault((record.name, record.type, record.value), record)
    if not inventory.dns.zones:
        return list(found.values())
    return [replace(record, ttl=inventory.dns.at(record.name).ttl) for record in found.values()]
