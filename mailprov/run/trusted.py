"""Which networks of a host have this machine: asked over SSH, and for hosts of others what can be seen from here.

    ask(host, addresses, …) -> Told     from any thread; a host that cannot be asked says why

A host sees us by the address that its SSH client has, as far as it is the same way: not behind a jump host, and not
where mail has another address than SSH. Else it is this machine's own address, where nothing speaks for a translation
(a private address that writes to a public one is translated, RFC 1918).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection

from mailprov.i18n import _
from mailprov.model.inventory import Host
from mailprov.probe.clients.ways import Way
from mailprov.probe.vantage import Told, Trusted
from mailprov.run.hosts import Start
from mailprov.run.inquiry import launch
from mailprov.transport.source import source_address

_PATIENCE = 60.0  # seconds for an answer over SSH
_NEAR = {4: 24, 6: 64}

Source = Callable[[str], str]  # address → the one that is written from


def ask(
    host: Host,
    addresses: Collection[str],
    *,
    command: str,
    start: Start | None,
    direct: Callable[[Host], bool] = lambda host: True,
    way: Way | None = None,
    source: Source | None = None,
) -> Told:
    """`way`: from which machine is looked, if not from this one."""
    source = source or (way.source if way is not None else source_address)
    sources = {address: source(address) for address in addresses}
    if not host.managed or start is None:
        why = _("it cannot be reached over SSH") if host.managed else _("mailprov did not build it")
        return seen_from_here(addresses, sources, why)
    wanted = {*sources.values()} - {""}
    job = {"mode": "trusts", "addresses": sorted(wanted), "own": list(addresses)}
    (one,) = launch([host], lambda host: job, command=command, emit=lambda event: None, start=start)
    if not one.session.ended.wait(_PATIENCE):
        one.session.abandon()
    if one.outcome.error is not None or not one.told:
        what = one.outcome.error.what if one.outcome.error is not None else _("no answer over SSH")
        return seen_from_here(addresses, sources, what)
    peer, at = (str(one.told[name]) for name in ("peer", "at"))
    # SSH comes from here, and only through no jump host by an address of ours.
    ours = [each for each in addresses if direct(host) and (way is None or way.passes_by(each))]
    own = {
        address: _own(address, sources[address], peer if address in ours else "", at) for address in addresses
    }
    trusted = tuple(
        Trusted(address, row["port"], row["setting"], row["network"], row["address"])
        for address in addresses
        for row in one.told["inside"]
        if row["address"] == own[address]
    )
    return Told(trusted, own, frozenset(one.told["answers"]))


def _own(address: str, source: str, peer: str, at: str) -> str:
    same = bool(peer) and (":" in peer) == (":" in address)
    if same and at == address:
        return peer
    if source and not _translated(source, address):
        return source
    return peer if same else ""


def _translated(source: str, address: str) -> bool:
    own, there = ipaddress.ip_address(source), ipaddress.ip_address(address)
    return there.is_global and not own.is_global


def seen_from_here(addresses: Collection[str], sources: dict[str, str], why: str) -> Told:
    """Of this machine itself, and of its own network."""
    own = {each: source for each, source in sources.items() if source and not _translated(source, each)}
    here = [each for each, source in own.items() if source == each or ipaddress.ip_address(each).is_loopback]
    trusted = tuple(
        Trusted(each, port, "mynetworks", each, own[each]) for each in here for port in (25, 465, 587)
    ) + tuple(
        Trusted(each, port, "login_trusted_networks", each, own[each])
        for each in here
        for port in (143, 110, 4190)
    )
    near = next((found for each, source in own.items() if (found := _shared(each, source))), "")
    return Told(trusted, own, why=why, near=near)


def _shared(one: str, other: str) -> str:
    version = ipaddress.ip_address(one).version
    network = ipaddress.ip_network(f"{one}/{_NEAR[version]}", strict=False)
    return str(network) if ipaddress.ip_address(other) in network else ""
