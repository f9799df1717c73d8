"""What stands in zones now, whoever wrote it: for questions that are no plan.

    standing(settings, keys) -> Snapshot      sets that are not there are left out

`settings`: those of the names (`inventory.dns.at(name)`), of a provider where records are published. Raises
DnsUnreachable, DnsFailed, InputError.
"""

from __future__ import annotations

from collections.abc import Collection

from mailprov.dns import providers
from mailprov.dns.reading import read_plain
from mailprov.dns.rrsets import Key, Snapshot
from mailprov.model.dns import DnsSettings


def standing(settings: DnsSettings, keys: Collection[Key]) -> Snapshot:
    with providers.open_driver(settings) as driver:
        return read_plain(driver, keys)
