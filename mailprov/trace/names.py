"""What an address stands for, in one sentence: an alias, a list, a domain alias, a forwarding account. Pure.

meaning(inventory, address, to) -> sentence      `to`: where its mail went
"""

from __future__ import annotations

from collections.abc import Collection

from mailprov.i18n import _, all_of
from mailprov.model.inventory import Inventory
from mailprov.trace.expected import domain_of


def meaning(inventory: Inventory, address: str, to: Collection[str]) -> str:
    names = all_of(sorted(to))
    domain = domain_of(inventory, address)
    local, _at, name = address.rpartition("@")
    if domain is None:
        return _("{address} leads to {names}").format(address=address, names=names)
    own = f"{local}@{domain.name}"
    if name != domain.name and set(to) == {own}:
        form = _("{alias} is another name of the domain {domain}: {address} is {names}")
        return form.format(alias=name, domain=domain.name, address=address, names=names)
    if any(alias == own for alias, _to in domain.aliases):
        return _("{address} is an alias of {names}").format(address=address, names=names)
    members = next((each for listed, each in domain.lists if listed == own), None)
    if members is not None:
        return _("{address} is a list: it goes to {names}").format(address=address, names=names)
    forwards = [account for account in domain.accounts if account.address == own and account.forward]
    if forwards:
        return _("{address} is forwarded to {names}").format(address=address, names=names)
    if domain.catch_all in to:
        return _("nobody has the address {address}: the catch-all {names} gets it").format(
            address=address, names=names
        )
    return _("{address} leads to {names}").format(address=address, names=names)
