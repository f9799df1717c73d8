"""The names by which mail programs and other servers ask the web server of a domain's host. Pure.

LABELS                              what stands before the domain's name
has(host) -> bool                   whether the inventory asks for a web server there
host_of(inventory, domain)          the host that these names lead to: its first one that has; None where none has
names(domain) -> (name, …)
"""

from __future__ import annotations

from mailprov.model.inventory import Domain, Host, Inventory

LABELS = ("autoconfig", "autodiscover", "mta-sts")


def has(host: Host) -> bool:
    return bool(host.settings.get("web"))


def host_of(inventory: Inventory, domain: Domain) -> Host | None:
    return next((host for host in map(inventory.host, domain.hosts) if has(host)), None)


def names(domain: Domain) -> tuple[str, ...]:
    return tuple(f"{label}.{domain.name}" for label in LABELS)
