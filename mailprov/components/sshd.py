"""sshd: what users that mailprov makes may do by SSH, in one drop-in of its configuration.

    COMPONENT     on a host where a component lets somebody in (`Component.ssh_users`)

Each gets a Match block, for the users it names and for nobody else: what sshd says of all others stays as it is, and
so does the administrator's login. Before the file takes its place sshd checks its whole configuration with it, and that
the blocks are in force: one whose sshd_config includes no drop-ins would let these users in with everything allowed.
Then sshd is reloaded and not restarted, so that sessions go on. Pure.

Where systemd starts sshd for each connection (ssh.socket) there is nothing to reload, and nothing is.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailprov.components.base import Build, Component, Parts, SshUsers
from mailprov.components.templates import render
from mailprov.i18n import N_
from mailprov.model.host_state import File, Service
from mailprov.model.inventory import Host

# sshd takes the first value that it reads, so this one comes before others' files.
_DROP_IN = "/etc/ssh/sshd_config.d/05-mailprov.conf"
_UNIT = "mailprov-sshd.service"
_UNIT_FILE = f"/etc/systemd/system/{_UNIT}"
_RELOAD = ("systemctl", "try-reload-or-restart", "ssh.service")
# What is the same for all of them: their sessions lead to this host and no further.
_ALWAYS = (
    "DisableForwarding yes",
    "AllowTcpForwarding no",
    "AllowAgentForwarding no",
    "AllowStreamLocalForwarding no",
    "X11Forwarding no",
    "PermitTunnel no",
    "GatewayPorts no",
    "PermitUserRC no",
)


class _Sshd(Component):
    name = "sshd"
    about = N_("what users with a shell, or a command, may do by SSH")

    def wanted(self, host: Host) -> bool:
        """It has no parts where nobody is let in, which the other components know."""
        return True

    def parts(self, build: Build) -> Parts:
        people = tuple(one for each in build.components for one in each.ssh_users(build.host) if one.names)
        if not people:
            return Parts()
        files = (
            File(
                _DROP_IN,
                render("sshd/drop-in.conf.j2", blocks=[(_names(each), _lines(each)) for each in people]),
            ),
            File(_UNIT_FILE, render("sshd/unit.j2", drop_in=_DROP_IN, reload=" ".join(_RELOAD))),
        )
        paths = tuple(file.path for file in files)
        checks = (("sh", "-c", "mkdir -p /run/sshd && sshd -t"), _in_force(people[0]))
        # A oneshot unit that stays active: a restart reloads sshd.
        service = Service(unit=_UNIT, files=paths, restart_on=paths, checks=checks, undo=_RELOAD)
        return Parts(files=files, services=(service,))

    def retired(self) -> tuple[Service, ...]:
        return (Service(unit=_UNIT, undo=_RELOAD),)


COMPONENT = _Sshd()


def _names(users: SshUsers) -> str:
    return ",".join(sorted(users.names))


def _lines(users: SshUsers) -> Iterable[str]:
    """The component's own come first, where sshd's first value counts."""
    return (*users.lines, *_ALWAYS)


def _in_force(users: SshUsers) -> tuple[str, ...]:
    """sshd's own word about one of them (sshd(8), -T); before OpenSSH 10.6 in small letters."""
    look = f"sshd -T -C user={users.names[0]},host=localhost,addr=127.0.0.1"
    told = (
        f"{_DROP_IN} has no effect: put `Include /etc/ssh/sshd_config.d/*.conf` at the top of /etc/ssh/sshd_config, "
        "or take away what stands in its way there"
    )
    return ("sh", "-c", f"{look} | grep -qix 'disableforwarding yes' || {{ echo '{told}' >&2; exit 1; }}")
