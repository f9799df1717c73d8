"""Pure: from the inventory to the DNS records that make its mail service work.

    desired_records(inventory, keys, tls) -> list[Record]
    kept(inventory, keys, tls) -> test of a name     whether what mailprov wrote there stays, though it is not desired

The one record model of the product: what `dns` publishes, what `dns export` prints and what `probe` checks
is this list. Raises nothing: the inventory is already checked.

`desired` puts the list together; `types` has a module for each type of record.
"""

from __future__ import annotations

from collections.abc import Callable

from mailprov.model.dkim import PublicKeys
from mailprov.model.inventory import Inventory
from mailprov.model.tls_keys import ServedKeys
from mailprov.records.desired import desired_records
from mailprov.records.types import dkim, mta_sts, pacc, tlsa, web_names


def kept(inventory: Inventory, keys: PublicKeys, tls: ServedKeys | None = None) -> Callable[[str], bool]:
    tests = (
        dkim.kept(inventory, keys),
        tlsa.kept(inventory, tls or {}),
        mta_sts.kept(inventory),
        pacc.kept(inventory),
        web_names.kept(inventory),
    )
    return lambda name: any(test(name) for test in tests)


__all__ = ["desired_records", "kept"]
