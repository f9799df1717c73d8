"""A host keeps the key that its records name, also where its zone is not planned, which would refuse otherwise.

keeps(inventory, host, told)        raises as key_guard.check, which is loaded where a key changes and not before
"""

from __future__ import annotations

from mailprov.model.inventory import Host, Inventory
from mailprov.run import tls_keys


def keeps(inventory: Inventory, host: Host, told: tls_keys.Told) -> None:
    known = tls_keys.of(host, told)
    if known is not None and known.changes and known.served:
        from mailprov.run import key_guard

        key_guard.check(inventory, host, told, back=False)
