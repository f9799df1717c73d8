"""ufw: rules for exactly the ports in use, and for SSH, so that nobody is locked out.

    files(host, ports) -> tuple[File, ...]     a script and the unit that runs it, now and at each boot
    service(files), unit() -> Service
    PACKAGE

Pure. Which ports SSH has is found on the host at the moment of the change and at each boot: by the configuration of
sshd, by systemd's sockets, and by the SSH servers that root runs; the port in the inventory is let in besides.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailprov.components.templates import render
from mailprov.model.host_state import File, Service
from mailprov.model.inventory import Challenge, Host, TlsMode

PACKAGE = "ufw"
_SCRIPT = "/etc/mailprov/firewall"
_MARK = "/var/lib/mailprov/firewall-enabled"  # ufw was off before we came
_UNIT = "mailprov-firewall.service"


def files(host: Host, services: Iterable[Service]) -> tuple[File, ...]:
    """`services`: those whose ports are open to everybody."""
    ports = {port for service in services for port in service.ports}
    if host.tls.mode is TlsMode.ACME and host.tls.acme.challenge is Challenge.HTTP:
        ports.add(80)  # where the certificate authority looks (RFC 8555 section 8.3)
    script = render("ufw/firewall.j2", ports=sorted(ports), ssh_port=host.ssh.port or 22, mark=_MARK)
    return (
        File(_SCRIPT, script, mode="0755"),
        File(f"/etc/systemd/system/{_UNIT}", render("ufw/unit.j2", script=_SCRIPT)),
    )


def service(ours: tuple[File, ...]) -> Service:
    """A oneshot unit that stays active: a restart runs the script again."""
    paths = tuple(file.path for file in ours)
    return Service(unit=_UNIT, files=paths, restart_on=paths, undo=_undo())


def unit() -> Service:
    """For a host that may have had it."""
    return Service(unit=_UNIT, undo=_undo())


def _undo() -> tuple[str, ...]:
    """The script is gone by then, so this one comes with the command."""
    return ("sh", "-c", render("ufw/undo.j2", mark=_MARK))
