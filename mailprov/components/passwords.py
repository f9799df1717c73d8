"""How users change passwords that they own: a program of root's on the host, and the ways to it.

    Passwords     what the inventory says of it; `SETTING.of(host)`
    SOCKET        where programs of the host reach it, in the dialogue of poppassd
    ENDED         who has changed a password, and when: sessions of submission that are older are over
    PROGRAM       for users with a shell who own theirs: asks them, and says it to a socket of theirs
    GROUP         who may connect there, besides root
    COMPONENT     on hosts with an account whose password its user owns

One program does it for all, and nothing that the web or SSH reaches may write where passwords are: they say an address,
the old and the new password to a socket, and a process of root's for each connection, which may do little else, checks
the old one as Dovecot does, and writes (templates/passwords/helper.py.j2).

By SSH (`ssh: true`) there is a user of its own, whose login shell is the other end of that dialogue and nothing else.
Whoever wants to change a password has that password and no other credential on the host, so SSH itself must let
everybody in: with any key at all (AuthorizedKeysCommand answers with the very key that is offered, while not too many
are in). Keys named in the inventory would shut out those who need it most, and `none` with an empty password for a
system user (shadow(5)) would be one for every other service of the host that asks PAM. A login by password is never
offered, so robots that guess passwords do not even get in.

Pure. doc.dovecot.org "passwd-file", sshd_config(5).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mailprov.components.base import Build, Component, Parts, Setting, SshUsers
from mailprov.components.templates import render
from mailprov.i18n import N_
from mailprov.model.host_state import Directory, File, Service, User
from mailprov.model.inventory import Host
from mailprov.model.shell_users import MARK, users
from mailprov.model.values import dataclass
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Boolean, whole

GROUP = "mailprov-passwd"
SOCKET = "/run/mailprov-passwd/socket"
ENDED = "/run/mailprov-passwd/ended"  # whose submission sessions had to end, and when
PROGRAM = "/usr/local/bin/mailprov-passwd"
_FOR_SHELLS = "/run/mailprov-passwd/shell"
_SHELLS = "mailprov-passwd-shell"
_UNIT = "mailprov-passwd"
_HELPER = "/etc/mailprov/change_password.py"
_DIALOGUE = "/etc/mailprov/mailprov-passwd"
_KEYS = "/etc/mailprov/mailprov-passwd-keys"
_UNITS = "/etc/systemd/system"
_NO_SHELL = "/usr/sbin/nologin"
# Whoever comes has a password for mail and nothing else here: the answer to a key is that key.
_SSH = (
    "AuthenticationMethods publickey",
    "AuthorizedKeysFile none",
    f"AuthorizedKeysCommand {_KEYS} %t %k",
    "AuthorizedKeysCommandUser nobody",
    "AuthorizedPrincipalsFile none",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "HostbasedAuthentication no",
    "PermitEmptyPasswords no",
    f"ForceCommand {_DIALOGUE}",
    "PermitTTY no",
    "MaxSessions 1",
    "ClientAliveInterval 30",
    "ClientAliveCountMax 2",
)


@dataclass(frozen=True)
class Passwords:
    min_length: int = 12  # characters
    ssh: bool = False


class PasswordsEntry(Entry):
    """Passwords that users own (`owner: user` at an account), and how they change them."""

    min_length: Annotated[int, whole(8, 128)] = Field(
        default=12,
        description=N_("how many characters a new password has at least; 12 if not given"),
        examples=[14],
    )
    ssh: Boolean = Field(
        default=False,
        description=N_(
            "whether users may change theirs by `ssh mailprov-passwd@HOST`: sshd then has a file of settings for that "
            "user in /etc/ssh/sshd_config.d; false if not given"
        ),
    )


def _resolve(entry: PasswordsEntry, path: KeyPath, base: Passwords, context: Context) -> Passwords:
    return Passwords(entry.min_length, entry.ssh)


SETTING: Setting[Passwords] = Setting(
    "passwords",
    PasswordsEntry,
    N_("how users change passwords that they own"),
    _resolve,
    default=Passwords(),
    wins=N_("wins as a whole"),
    sets_up=True,
    rehearse=lambda value, lab: (
        None if value == Passwords() else {"min_length": value.min_length, "ssh": value.ssh}
    ),
)


class _Passwords(Component):
    name = "passwords"
    about = N_("lets users change passwords that they own")
    settings = (SETTING,)

    def wanted(self, host: Host) -> bool:
        return True  # what it is made of depends on the accounts

    def parts(self, build: Build) -> Parts:
        from mailprov.components.dovecot import passwd

        own = passwd.own(build.mail.entries)
        if own is None:
            return Parts()
        setting = SETTING.of(build.host)
        files, service = _socket(setting)
        services: tuple[Service, ...] = (service,)
        if any(each.own_password for each in users(build.host)):
            more, another = _for_shells()
            files, services = (*files, *more), (service, another)
        shell = _NO_SHELL
        if setting.ssh:
            dialogue = render("passwords/dialogue.py.j2", socket=SOCKET)
            keys = render("passwords/keys.py.j2", user=GROUP)
            files = (*files, File(_DIALOGUE, dialogue, mode="0755"), File(_KEYS, keys, mode="0755"))
            shell = _DIALOGUE
        home = SOCKET.rpartition("/")[0]
        return Parts(
            users=(User(GROUP, home, shell, comment="users' passwords"),),
            directories=(Directory(passwd.OWN.rpartition("/")[0], group="dovecot", mode="0750"),),
            files=files,
            own_passwords=(own,),
            services=services,
        )

    def retired(self) -> tuple[Service, ...]:
        return (Service(unit=f"{_UNIT}.socket"), Service(unit=f"{_SHELLS}.socket"))

    def ssh_users(self, host: Host) -> tuple[SshUsers, ...]:
        """Lines for a user who is not made where no user owns a password: then they are about nobody."""
        return (SshUsers((GROUP,), _SSH),) if SETTING.of(host).ssh else ()


COMPONENT = _Passwords()


def _socket(setting: Passwords) -> tuple[tuple[File, ...], Service]:
    from mailprov.components.dovecot import passwd

    names = {"unit": _UNIT, "script": _HELPER, "socket": SOCKET, "group": GROUP, "words": ""}
    helper = render(
        "passwords/helper.py.j2",
        own=passwd.OWN,
        users=passwd.USERS,
        handed_on=passwd.HANDED_ON,
        ended=ENDED,
        group=GROUP,
        min_length=setting.min_length,
        mark=MARK,
    )
    script = File(_HELPER, helper)
    unit = File(f"{_UNITS}/{_UNIT}@.service", render("passwords/helper.service.j2", **names))
    socket = File(f"{_UNITS}/{_UNIT}.socket", render("passwords/helper.socket.j2", **names))
    # Each connection starts the program anew: only the socket itself ever needs a restart.
    service = Service(
        unit=f"{_UNIT}.socket",
        files=(socket.path,),
        restart_on=(socket.path,),
        checks=(("/usr/bin/python3", "-IS", _HELPER, "--check"),),
        ports=(SOCKET,),
    )
    return (script, unit, socket), service


def _for_shells() -> tuple[tuple[File, ...], Service]:
    """The same for users with a shell, who are no members of the group: each about the own account alone. A socket of
    its own, so that whoever takes all of its connections shuts nobody else out.
    """
    names = {"unit": _SHELLS, "script": _HELPER, "socket": _FOR_SHELLS, "words": " --shell"}
    program = File(PROGRAM, render("passwords/own.py.j2", socket=_FOR_SHELLS, mark=MARK), mode="0755")
    unit = File(f"{_UNITS}/{_SHELLS}@.service", render("passwords/helper.service.j2", **names))
    socket = File(f"{_UNITS}/{_SHELLS}.socket", render("passwords/shell.socket.j2", **names))
    service = Service(
        unit=f"{_SHELLS}.socket", files=(socket.path,), restart_on=(socket.path,), ports=(_FOR_SHELLS,)
    )
    return (program, unit, socket), service
