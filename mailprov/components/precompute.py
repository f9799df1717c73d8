"""What a host's desired state owes to the inventory alone: made while the host's facts are still on their way.

    Precomputed(inventory, host).mail() -> Mail      made at the first call, and once, whichever thread calls first

Of 10,000 accounts this is most of the work. Raises InputError for addresses that Postfix's tables cannot hold.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from mailprov.components.dovecot import passwd
from mailprov.components.postfix import addresses
from mailprov.model.accounts import Account
from mailprov.model.inventory import Host, Inventory
from mailprov.model.shell_users import users


class Mail(NamedTuple):
    """Who has mail here, as `addresses` and `passwd` make it."""

    tables: dict[str, str]
    entries: passwd.Entries
    other_names: dict[str, Account]
    quotas: bool  # whether any mailbox has a limit; without one nobody is asked for room


class Precomputed:
    """Of one host."""

    def __init__(self, inventory: Inventory, host: Host) -> None:
        self._inventory, self._host = inventory, host
        self._made: Mail | None = None
        self._lock = threading.Lock()

    def mail(self) -> Mail:
        with self._lock:
            if self._made is None:
                domains = self._inventory.domains_on(self._host.name)
                people = {each.name: each.address for each in users(self._host)}
                tables = addresses.tables(domains, self._host.fqdn, people)
                entries = passwd.entries(domains)
                quotas = any(each.quota is not None for each in entries)
                self._made = Mail(tables, entries, addresses.other_names(domains), quotas)
            return self._made
