"""Pure: from the inventory to the DNS records that make its mail service work.

    desired_records(inventory) -> list[Record]

The one record model of the product: what `dns` publishes, what `dns export` prints and what `probe` checks
is this list. Raises nothing: the inventory is already checked.

`desired` puts the list together, `policy` writes the texts of SPF and DMARC.
"""

from __future__ import annotations

from mailprov.records.desired import desired_records

__all__ = ["desired_records"]
