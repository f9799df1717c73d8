"""An address of this machine that fail2ban on a host holds: told as what it is, once, and not by every probe.

    Bans                          what a host told over SSH: our address, as it sees it; (jail, address) that it holds
    find(run, hosts, ports, ask)  what is held: one Held for each host, with all its addresses that are shut

A jail shuts all ports of SMTP, or all of the mailbox, and from outside that looks like services that are down. The host
is asked only where a whole group of ports does not answer, so a sound host costs two connections. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from mailprov.i18n import _, ngettext
from mailprov.model.inventory import Host
from mailprov.model.ports import Port, Protocol
from mailprov.model.values import dataclass
from mailprov.probe.clients.connection import unanswered
from mailprov.probe.context import Run
from mailprov.probe.targets import has_route

_LOOKERS = 48
_SSH = 22


@dataclass(frozen=True)
class Bans:
    peer: str
    held: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Held:
    """The words of the one finding for a host, and at which of its addresses no port of mail is looked at."""

    host: Host
    addresses: tuple[str, ...]
    observed: str
    advice: str


# Hosts that could be asked, by name.
Ask = Callable[[Collection[Host]], Mapping[str, Bans]]


def find(run: Run, hosts: Collection[Host], ports: Collection[Port], ask: Ask | None) -> list[Held]:
    """Hosts of others are not asked: there, ports that do not answer are what is seen."""
    from mailprov.components import fail2ban  # brings the schema's library, which `explain` has no use for

    suspects = {
        (host.name, address): host
        for host in hosts
        if host.managed and fail2ban.SETTING.of(host) is not None
        for address in run.addresses[host.name]
        if has_route(run, address)
    }
    if not suspects:
        return []
    with ThreadPoolExecutor(_LOOKERS) as pool:
        found = pool.map(lambda key: _shut(run, key[1], _offered(suspects[key], ports)), suspects)
        seen = dict(zip(suspects, found, strict=True))
    shut = {key: numbers for key, numbers in seen.items() if numbers}
    if not shut:
        return []
    asked = ask([host for host in hosts if any(name == host.name for name, __ in shut)]) if ask else {}
    told: dict[
        tuple[str, bool], dict[str, str]
    ] = {}  # host, whether it said so → its address → ours, with jails
    for (name, address), numbers in shut.items():
        host, bans = suspects[name, address], asked.get(name)
        own = run.way.source(address)
        if bans is not None:
            if bans.peer and (":" in bans.peer) == (":" in address):
                own = bans.peer  # as the host sees it: the network between may translate ours
            if jails := [jail for jail, banned in bans.held if banned == own]:
                told.setdefault((name, True), {})[address] = f"{own} ({', '.join(jails)})"
        elif set(numbers) == {
            port.number for port in _offered(host, ports) if _group(port)
        } and not _unanswered(run, address, host.ssh.port or _SSH):
            told.setdefault((name, False), {})[address] = own
    by_name = {host.name: host for host in hosts}
    return [_words(by_name[name], addresses, said=said) for (name, said), addresses in told.items()]


def _words(host: Host, addresses: Mapping[str, str], *, said: bool) -> Held:
    ours = [*dict.fromkeys(addresses.values())]
    own = (
        ours[-1]
        if len(ours) == 1
        else _("{names} and {last}").format(names=", ".join(ours[:-1]), last=ours[-1])
    )
    if said:
        form = ngettext(
            "fail2ban on {host} has banned this machine's address {addresses}, so no port of mail was looked at",
            "fail2ban on {host} has banned this machine's addresses {addresses}, so no port of mail was looked at",
            len(ours),
        )
    else:
        form = ngettext(
            "SSH answers and no port of mail does: fail2ban on {host} has banned this machine's address {addresses}, "
            "or the mail services are down (the host could not be asked)",
            "SSH answers and no port of mail does: fail2ban on {host} has banned this machine's addresses "
            "{addresses}, or the mail services are down (the host could not be asked)",
            len(ours),
        )
    command = f"fail2ban-client unban {' '.join(each.partition(' ')[0] for each in ours)}"
    advice = ngettext(
        "on {host}: {command}; then add it to fail2ban.ignore in the inventory and apply, which lifts a ban, too",
        "on {host}: {command}; then add them to fail2ban.ignore in the inventory and apply, which lifts a ban, too",
        len(ours),
    )
    observed = form.format(host=host.name, addresses=own)
    return Held(host, tuple(addresses), observed, advice.format(host=host.name, command=command))


def _offered(host: Host, ports: Collection[Port]) -> list[Port]:
    return [port for port in ports if host.offers(port)]


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
    return bool(unanswered(address, real, run.timing.connect, run.way))
