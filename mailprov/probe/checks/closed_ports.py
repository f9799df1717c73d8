"""The probe of services that are off: `net.closed`, on each port that a host does not offer (`services`).

Errors of `clients` pass through; the runner makes them errors. Silence proves nothing by itself: a firewall that drops
what comes, here or on the way, looks like a host that is down. So another port of the same address is asked then.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.probe.clients.errors import Refused, Unreachable
from mailprov.probe.context import PortContext
from mailprov.probe.registry import LOGIN_PORTS, Scope, probe


@probe(
    "net.closed",
    Scope.PORT_OFF,
    N_("A service that is off cannot be reached"),
    expected=N_("the connection is refused"),
    steps=(
        N_("Connect to each published address, IPv4 and IPv6, on each port that `services` leaves out."),
        N_("Where nothing answers: connect to a port of the same address that the host does offer."),
    ),
    verdicts={
        "pass": N_("refused"),
        "warn": N_("no answer, while another port of the address answers: a firewall drops what comes"),
        "fail": N_("accepted: something listens"),
        "error": N_("no answer, and none on any other port: nothing is known of this address"),
    },
    refs=("RFC 8314 section 4.1", "RFC 6186 section 3.4", "RFC 9293 section 3.5.2"),
    ports=LOGIN_PORTS,
    unless=N_("every host offers every service"),
)
def closed(context: PortContext) -> Iterator[Finding]:
    try:
        context.connect().close()
    except Refused:
        yield context.passed(_("connection refused"))
    except Unreachable as error:
        if not _answers(context):
            raise
        yield context.warn(
            _(
                "{reason}: a firewall drops what comes to this port, so whether a service is behind it is not known"
            ).format(reason=error),
            _(
                "let the firewall reject what it does not let in (with a TCP reset), or look from another network"
            ),
        )
    else:
        yield context.failed(
            _("accepted: something listens"),
            _("see on the host what it is ({command}) and stop it, or add {service} to `services`").format(
                command=f"ss -ltnp 'sport = :{context.port.number}'", service=context.port.service
            ),
        )


def _answers(context: PortContext) -> bool:
    """Whether a port that the host offers takes a connection. Those of users first: many networks block port 25."""
    for port in sorted(context.host.ports, key=lambda port: not port.login):
        try:
            context.dial(context.address, port).close()
        except Refused:
            return True  # the host has said so itself
        except Unreachable:
            continue
        else:
            return True
    return False
