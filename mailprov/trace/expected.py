"""Where mail for an address ends by the inventory: through domain aliases, aliases, lists and forwards. Pure.

ends(inventory, address) -> (addresses)     accounts here, and addresses elsewhere; empty: nobody has it
domain_of(inventory, address)               the domain of the inventory that has it, also by a domain alias
account_of(inventory, address)              the account of this very address
"""

from __future__ import annotations

from mailprov.model.accounts import Account
from mailprov.model.inventory import Domain, Inventory

_DEEPEST = 32  # of names that lead to names; the inventory refuses circles


def domain_of(inventory: Inventory, address: str) -> Domain | None:
    name = address.rpartition("@")[2]
    return next((domain for domain in inventory.domains if name in domain.names), None)


def account_of(inventory: Inventory, address: str) -> Account | None:
    domain = domain_of(inventory, address)
    accounts = domain.accounts if domain is not None else ()
    return next((account for account in accounts if account.address == address), None)


def ends(inventory: Inventory, address: str) -> tuple[str, ...]:
    """In the order of the inventory, each once."""
    return tuple(dict.fromkeys(_ends(inventory, address, _DEEPEST)))


def _ends(inventory: Inventory, address: str, depth: int) -> list[str]:
    domain = domain_of(inventory, address)
    if domain is None or not domain.hosts:
        return [address]
    found = _next(inventory, domain, _own_name(domain, address))
    return [
        end
        for each in found
        for end in ([each] if each == address or not depth else _ends(inventory, each, depth - 1))
    ]


def _own_name(domain: Domain, address: str) -> str:
    return f"{address.rpartition('@')[0]}@{domain.name}"


def _next(inventory: Inventory, domain: Domain, address: str) -> tuple[str, ...]:
    """What the address stands for; itself where it is an account that keeps its mail."""
    for name in (address, _without_detail(inventory, domain, address)):
        for account in domain.accounts:
            if account.address == name:
                forward = account.forward
                if forward is None:
                    return (name,)
                return (*((name,) if forward.keep else ()), *forward.to)
        for alias, to in domain.aliases:
            if alias == name:
                return (to,)
        for own, members in domain.lists:
            if own == name:
                return members
    return (domain.catch_all,) if domain.catch_all else ()


def _without_detail(inventory: Inventory, domain: Domain, address: str) -> str:
    """RFC 5233: ana+shop@ is ana@."""
    local, _at, name = address.rpartition("@")
    signs = {inventory.host(host).recipient_delimiter for host in domain.hosts}
    for sign in filter(None, signs):
        local = local.partition(sign)[0] or local
    return f"{local}@{name}"
