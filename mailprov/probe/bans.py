"""An address of this machine that fail2ban on a host holds: told as what it is, once, and not by every probe.

    Bans                          what a host told over SSH: our address, as it sees it; (jail, address) that it holds
    find(run, hosts, ports, ask)  (host, address) → the words of its one finding

A jail shuts all ports of SMTP, or all of the mailbox, and from outside that looks like services that are down. The host
is asked only where a whole group of ports does not answer, so a sound host costs two connections. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mailprov.model.inventory import Host
from mailprov.model.ports import Port, Protocol
from mailprov.probe.checks.managesieve import unanswered
from mailprov.probe.context import Run
from mailprov.probe.targets import has_route
from mailprov.transport.source import source_address

_LOOKERS = 48
_SSH = 22


@dataclass(frozen=True)
class Bans:
    peer: str
    held: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Held:
    """Words of the one finding for an address."""

    observed: str
    advice: str


# Hosts that could be asked, by name.
Ask = Callable[[Collection[Host]], Mapping[str, Bans]]


def find(
    run: Run, hosts: Collection[Host], ports: Collection[Port], ask: Ask | None
) -> dict[tuple[str, str], Held]:
    """Hosts of others are not asked: there, ports that do not answer are what is seen."""
    found: dict[tuple[str, str], Held] = {}
    suspects = {
        (host.name, address): host
        for host in hosts
        if host.managed and host.fail2ban is not None
        for address in run.addresses[host.name]
        if has_route(address)
    }
    if not suspects:
        return found
    with ThreadPoolExecutor(_LOOKERS) as pool:
        seen = dict(zip(suspects, pool.map(lambda key: _shut(run, key[1], ports), suspects), strict=True))
    shut = {key: numbers for key, numbers in seen.items() if numbers}
    if not shut:
        return found
    asked = ask([host for host in hosts if any(name == host.name for name, _ in shut)]) if ask else {}
    for (name, address), numbers in shut.items():
        host = suspects[name, address]
        told = asked.get(name)
        own = source_address(address)
        if told is not None and (":" in told.peer) == (":" in address) and told.peer:
            own = told.peer  # as the host sees it: the network between may translate ours
        jails = [jail for jail, banned in told.held if banned == own] if told is not None else []
        if jails:
            what = f"fail2ban on {name} holds this machine's address {own} ({', '.join(jails)}), so no port of mail"
            found[name, address] = Held(f"{what} was looked at", _advice(host, own))
        elif told is None and set(numbers) == {port.number for port in ports if _group(port)}:
            if _unanswered(run, address, host.ssh.port or _SSH):
                continue
            what = (
                f"SSH answers and no port of mail does: fail2ban on {name} holds this machine's address {own}"
            )
            what += ", or the mail services are down (the host could not be asked)"
            found[name, address] = Held(what, _advice(host, own))

    return found


def _advice(host: Host, own: str) -> str:
    return (
        f"on {host.name}: fail2ban-client unban {own}; then add it to fail2ban.ignore in the inventory and apply, "
        "which lifts a ban, too"
    )


def _group(port: Port) -> str:
    """ManageSieve need not be there."""
    if port.protocol is Protocol.SIEVE:
        return ""
    return "smtp" if port.protocol is Protocol.SMTP else "mailbox"


def _shut(run: Run, address: str, ports: Collection[Port]) -> tuple[int, ...]:
    """The ports of groups of which none answers. One that does is enough, and the usual case."""
    found: tuple[int, ...] = ()
    for group in ("smtp", "mailbox"):
        numbers = [port.number for port in ports if _group(port) == group]
        if numbers and all(_unanswered(run, address, number) for number in reversed(numbers)):
            found += tuple(numbers)
    return found


def _unanswered(run: Run, address: str, number: int) -> bool:
    real = run.port_map.get((address, number), number)
    return bool(unanswered(address, real, run.timing.connect))
