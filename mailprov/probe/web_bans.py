"""An address of this machine that fail2ban on a host keeps from the web, for guesses at its webmail: told once.

    find(run, hosts, ask) -> findings    one error for each host that says so; `run.web_held` has these hosts

Mail is not shut by that, and `bans` looks at its ports. From outside it looks like a web server that is down, so the
host is asked where neither port of a web server answers at any of its addresses. What a host that cannot be asked has
is told by the probes of the web themselves. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor

from mailprov.i18n import _, all_of
from mailprov.model import web
from mailprov.model.findings import Finding
from mailprov.model.inventory import Host
from mailprov.probe.bans import Ask
from mailprov.probe.clients.connection import unanswered
from mailprov.probe.context import HostContext, Run
from mailprov.probe.registry import PROBES
from mailprov.probe.targets import has_route

JAIL = "mailprov-webmail"
_PORTS = (443, 80)
_LOOKERS = 48


def find(run: Run, hosts: Collection[Host], ask: Ask | None) -> Iterator[Finding]:
    from mailprov.components import fail2ban  # brings the schema's library, which `explain` has no use for

    suspects = [
        host
        for host in hosts
        if ask and host.managed and web.webmail_on(host) and fail2ban.SETTING.of(host) is not None
    ]
    if not suspects or ask is None:
        return
    with ThreadPoolExecutor(_LOOKERS) as pool:
        seen = list(pool.map(lambda host: _shut(run, host), suspects))
    shut = {host.name: addresses for host, addresses in zip(suspects, seen, strict=True) if addresses}
    asked = ask([host for host in suspects if host.name in shut]) if shut else {}
    for host in suspects:
        bans = asked.get(host.name)
        if bans is None:
            continue
        own = {run.way.source(address) for address in shut[host.name]} | {bans.peer}
        if held := sorted({address for jail, address in bans.held if jail == JAIL and address in own}):
            run.web_held.add(host.name)
            yield _told(run, host, held)


def _shut(run: Run, host: Host) -> list[str]:
    """Its addresses, where none of them answers at the web."""
    addresses = [each for each in run.addresses[host.name] if has_route(run, each)]
    for address in addresses:
        for number in _PORTS:
            real = run.port_map.get((address, number), number)
            if not unanswered(address, real, run.timing.connect, run.way):
                return []
    return addresses


def _told(run: Run, host: Host, held: list[str]) -> Finding:
    entry = next(probe.entry for probe in PROBES if probe.entry.id == "webmail.page")
    context = HostContext(run, entry, 1.0, host=host)
    command = f"fail2ban-client unban {' '.join(held)}"
    return context.error(
        _(
            "fail2ban on {host} has banned this machine's address {addresses} from the web, after wrong passwords at "
            "the webmail, so nothing was looked at there; mail is not concerned"
        ).format(host=host.name, addresses=all_of(held)),
        _(
            "on {host}: {command}; then add {addresses} to fail2ban.ignore in the inventory and apply, which lifts a "
            "ban, too"
        ).format(host=host.name, command=command, addresses=all_of(held)),
    )
