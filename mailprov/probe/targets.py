"""What there is to look at: the addresses of hosts, the optional ports that answer, and what a probe of a port runs
once for.

    find_addresses(run, host)      where a host is looked at
    has_route(run, address)             whether this machine could send there
    subjects(run, scope, domains)     domain and account of each turn of a probe
    imap_port(host)                where mail that has arrived is looked for

Raises nothing.
"""

from __future__ import annotations

import socket

import dns.inet

from mailprov.model.accounts import Account
from mailprov.model.inventory import Domain, Host
from mailprov.model.ports import Port
from mailprov.probe.accounts import chosen
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.context import Run, port_numbered
from mailprov.probe.registry import Scope


def subjects(run: Run, scope: Scope, domains: list[Domain]) -> list[tuple[Domain | None, Account | None]]:
    """What a probe of a port runs once for. Wrong passwords (Scope.PORTS) are tried for one account of the host only,
    as all its domains ask the same password store and each try costs seconds."""
    if scope in (Scope.PORT, Scope.PORT_OFF):
        return [(None, None)]
    if scope is Scope.PORT_DOMAIN:
        return [(domain, None) for domain in domains]
    pairs: list[tuple[Domain | None, Account | None]] = []
    for domain in domains:
        accounts: list[Account | None] = [*chosen(domain, run.ident, run.accounts)]
        pairs += [(domain, account) for account in accounts[: None if scope is Scope.PORT_ACCOUNTS else 1]]
        pairs += [] if accounts else [(domain, None)]
    if scope is Scope.PORTS:
        return [pair for pair in pairs if pair[1] is not None][:1] or pairs[:1]
    return pairs


def has_route(run: Run, address: str) -> bool:
    """Whether the machine that is looked from would know where to send a packet; sends none."""
    return bool(run.way.source(address))


def find_addresses(run: Run, host: Host) -> tuple[str, ...]:
    """Where a host is looked at: what DNS says of its fqdn, else the inventory's address."""
    try:
        found = run.resolver.addresses(host.fqdn)
    except ProbeError:
        found = ()
    if found:
        return found
    if dns.inet.is_address(host.address):
        return (host.address,)
    try:
        infos = socket.getaddrinfo(host.address, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(info[4][0]) for info in infos))


def imap_port(host: Host) -> Port | None:
    """Where mail that has arrived is looked for; None where the host offers no IMAP."""
    return next((port for port in map(port_numbered, (993, 143)) if host.offers(port)), None)
