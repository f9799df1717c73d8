"""Pure: from the inventory to the DNS records that make its mail service work.

    desired_records(inventory, keys) -> list[Record]
    kept(inventory, keys) -> test of a name     whether what mailprov wrote there stays, though it is not desired

The one record model of the product: what `dns` publishes, what `dns export` prints and what `probe` checks
is this list. Raises nothing: the inventory is already checked.

`desired` puts the list together; `types` has a module for each type of record.
"""

from __future__ import annotations

from mailprov.records.desired import desired_records
from mailprov.records.types.dkim import kept

__all__ = ["desired_records", "kept"]
