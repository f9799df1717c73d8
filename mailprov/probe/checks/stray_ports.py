"""The probe of ports that nobody declared: `net.stray`, once for each host.

A short list of what mail hosts run beside the mail ports and keep to themselves: filters, databases, LMTP. Only hosts
of the inventory are asked, from where verify runs, and nothing is said to whatever answers. Errors of `clients` pass
through; the runner makes them errors.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.probe.clients.errors import ProbeError, Refused, Unreachable
from mailprov.probe.clients.sweep import RESENT, Door, sweep
from mailprov.probe.context import HostContext
from mailprov.probe.registry import Scope, probe, reachability
from mailprov.probe.targets import has_route

# Port → what is usually there.
STRAY = {
    24: "LMTP",
    26: "SMTP",
    783: "spamd",
    1025: "SMTP",
    2000: "sieve",
    2525: "SMTP",
    3306: "MySQL, MariaDB",
    3310: "clamd",
    5432: "PostgreSQL",
    6379: "Redis, Valkey",
    8025: "SMTP",
    8080: "HTTP",
    8891: "OpenDKIM",
    8893: "OpenDMARC",
    9998: "amavisd",
    10023: "postgrey",
    10024: "amavisd",
    10025: "SMTP",
    10026: "SMTP",
    10027: "SMTP",
    10028: "SMTP",
    11211: "memcached",
    11332: "Rspamd",
    11333: "Rspamd",
    11334: "Rspamd",
    12345: "dovecot/auth",
}
_SAID = {
    Door.OPEN: N_("{address} port {port} takes a connection"),
    Door.CLOSED: N_("{address} port {port} refuses"),
    Door.SILENT: N_("{address} port {port} does not answer"),
}
_INET = re.compile(r"(?:.*:)?(\d+)/inet")


def _declared(context: HostContext) -> set[int]:
    """SSH's port, and those of services that the inventory adds to master.cf."""
    from mailprov.components.postfix.settings import SETTING  # brings the schema's library

    found = (_INET.fullmatch(name) for name, __ in SETTING.of(context.host).master_cf)
    return {context.host.ssh.port or 22, *(int(match[1]) for match in found if match)}


@probe(
    "net.stray",
    Scope.HOST,
    N_("No other service of a mail host can be reached from outside"),
    expected=N_("ports of filters, databases and LMTP refuse connections, or do not answer"),
    steps=(
        N_(
            "Connect to a port that the host offers: it answers, else nothing would be proved, and tells how soon "
            "others would."
        ),
        N_("Connect to each published address on each port of a short list, all at once; nothing is sent."),
    ),
    verdicts={
        "pass": N_("none takes a connection"),
        "warn": N_("one does, on a server with `managed: false`"),
        "fail": N_("one does, and the inventory does not name it"),
        "error": N_("no port of an address answers, or there is no address: nothing is known of it"),
        "skip": N_("the host has IPv6 addresses alone, and this machine has no IPv6"),
    },
    refs=("RFC 2033 section 5", "RFC 9293 section 3.5.2"),
)
def stray(context: HostContext) -> Iterator[Finding]:
    host = context.host
    known = [
        each for each in context.run.addresses.get(host.name, ()) if (host.name, each) not in context.run.held
    ]
    if not known and context.run.addresses.get(host.name):
        context.told = True  # fail2ban holds all of them, which was told once
        return
    addresses = [each for each in known if ":" not in each or has_route(context.run, each)]
    if known and not addresses:
        yield context.skip(
            _("{address} was not looked at: this machine has no IPv6 route to it").format(address=known[0])
        )
        return
    declared = _declared(context)
    numbers = [number for number in STRAY if number not in declared]
    soon: dict[str, float] = {}
    mute: list[str] = []
    for address in addresses:
        started = time.monotonic()
        if _answers(context, address):
            soon[address] = time.monotonic() - started
        else:
            mute.append(address)
    real = {
        (each, context.run.port_map.get((each, number), number)): number
        for each in soon
        for number in numbers
    }
    states = sweep(real, context.deadline, RESENT + 3 * max(soon.values(), default=0.0), context.run.way)
    for door, state in states.items():
        line = _(_SAID[state]).format(address=door[0], port=real[door])
        context.transcript.add("-", line)
    reached = [door for door, state in states.items() if state is Door.OPEN]
    if reached:
        what = ", ".join(
            _("{port} on {address} ({service})").format(
                port=real[door], address=door[0], service=STRAY[real[door]]
            )
            for door in reached
        )
        ports = " or ".join(f"sport = :{number}" for number in dict.fromkeys(real[door] for door in reached))
        yield context.finding(
            Verdict.FAIL if host.managed else Verdict.WARN,
            _("takes connections: {ports}").format(ports=what),
            _(
                "see on the host what it is ({command}); let it listen on 127.0.0.1 alone or stop it, or let a "
                "firewall keep it in"
            ).format(command=f"ss -ltnp '{ports}'"),
        )
    elif mute or not addresses:
        context.waits_for = context.waits_for or f"{reachability().entry.id} {host.name}"
        yield context.error(
            _("no port answers on {addresses}, so nothing is known").format(
                addresses=", ".join(mute) or host.fqdn
            ),
            _("see net.tcp of {host}").format(host=host.name),
        )
    else:
        closed = sum(state is Door.CLOSED for state in states.values())
        yield context.passed(
            _("{closed} of {count} ports refuse, the others do not answer").format(
                closed=closed, count=len(states)
            )
            if closed < len(states)
            else _("refused: {ports}").format(ports=", ".join(map(str, numbers)))
        )


def _answers(context: HostContext, address: str) -> bool:
    """Whether a port that the host offers does. Those of users first: many networks block port 25."""
    for port in sorted(context.host.ports, key=lambda port: not port.login):
        try:
            context.dial(address, port).close()
        except Refused:
            return True  # the host has said so itself
        except Unreachable:
            return False  # the others would only take as long again
        except ProbeError:
            continue
        return True
    return False
