"""ufw: rules for exactly the ports in use, and for SSH, so that nobody is locked out.

    COMPONENT     `SETTING.of(host)`: whether ufw lets in what the mail service and SSH need, and nothing else

Pure. Which ports SSH has is found on the host at the moment of the change and at each boot: by the configuration of
sshd, by systemd's sockets, and by the SSH servers that root runs; the port in the inventory is let in besides.
"""

from __future__ import annotations

from typing import Annotated

from mailprov.components.base import Build, Component, Parts, Setting
from mailprov.components.templates import render
from mailprov.i18n import N_
from mailprov.model.host_state import File, Service
from mailprov.model.inventory import Host, Inventory
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath
from mailprov.schema.scalars import choice

_SCRIPT = "/etc/mailprov/firewall"
_MARK = "/var/lib/mailprov/firewall-enabled"  # ufw was off before we came
_UNIT = "mailprov-firewall.service"


def _resolve(entry: str, path: KeyPath, base: bool, context: Context) -> bool:
    return entry == "ufw"


SETTING: Setting[bool] = Setting(
    "firewall",
    Annotated[str, choice("ufw", "none")],
    N_("ufw: only the ports of mail and SSH are open; none: left alone, as if not given"),
    _resolve,
    default=False,
    sets_up=True,
    rehearse=lambda value, lab: "ufw" if value else None,
)


class _Ufw(Component):
    name = "ufw"
    about = N_("opens the ports of mail and SSH, and no others")
    settings = (SETTING,)

    def wanted(self, host: Host) -> bool:
        return SETTING.of(host)

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return ("ufw",)

    def parts(self, build: Build) -> Parts:
        files = _files(build)
        paths = tuple(file.path for file in files)
        # A oneshot unit that stays active: a restart runs the script again.
        service = Service(unit=_UNIT, files=paths, restart_on=paths, undo=_undo())
        return Parts(packages=self.packages(build.inventory, build.host), files=files, services=(service,))

    def retired(self) -> tuple[Service, ...]:
        return (Service(unit=_UNIT, undo=_undo()),)


COMPONENT = _Ufw()


def _files(build: Build) -> tuple[File, ...]:
    """A script and the unit that runs it, now and at each boot."""
    host = build.host
    ports = {port.number for port in host.ports}
    ports.update(port for each in build.components for port in each.ports(build))
    script = render(
        "ufw/firewall.j2",
        ports=sorted(ports),
        off=sorted(port.number for port in host.ports_off),
        ssh_port=host.ssh.port or 22,
        mark=_MARK,
    )
    return (
        File(_SCRIPT, script, mode="0755"),
        File(f"/etc/systemd/system/{_UNIT}", render("ufw/unit.j2", script=_SCRIPT)),
    )


def _undo() -> tuple[str, ...]:
    """The script is gone by then, so this one comes with the command."""
    return ("sh", "-c", render("ufw/undo.j2", mark=_MARK))
