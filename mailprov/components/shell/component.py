"""Users with a shell: accounts with `shell`, each a system user of its host, and the programs of `text_mua`.

    COMPONENT
    TEXT_MUA     which programs are installed and set up for everybody on the host

mailprov's agent makes the users (HostState.logins); all else about them is one program on the host
(templates/shell/manage.py.j2), which systemd runs whenever one of its files has changed, and so in a rollback, too: who
is not in its list any more is locked, whatever brought that about.

A shell must not undo what the submission ports forbid. Beside what Postfix sees to (postfix/local_users.py), these
users cannot connect to what trusts this host, nor to anybody's port 25: as this host they would pass SPF, and so
DMARC, in any name. Pure, but for reading `tls.ca_file`.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from mailprov.components import passwords
from mailprov.components.base import Build, Component, Parts, Setting, SshUsers
from mailprov.components.templates import render
from mailprov.errors import InputError
from mailprov.i18n import N_, _
from mailprov.model.host_state import Directory, File, Login, Service
from mailprov.model.inventory import Host, Inventory, TlsMode
from mailprov.model.shell_users import MARK, ShellUser, users
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, Seq
from mailprov.schema.scalars import Reads, nearest, said

FOLDER = "/etc/mailprov/shell"
KEYS = f"{FOLDER}/keys"
_SCRIPT, _WANTED, _MENU = f"{FOLDER}/manage.py", f"{FOLDER}/users.json", f"{FOLDER}/menu"
_RESTRICTED, _PERSONAL = f"{FOLDER}/alpine.conf", f"{FOLDER}/alpine"
_CA = f"{FOLDER}/ca.pem"
_STORE = "/usr/local/share/ca-certificates/mailprov-own"
_HASHES = ("/etc/dovecot/mailprov-users", "/var/lib/mailprov-passwd/passwords")
_UNITS = "/etc/systemd/system"
_UNIT = "mailprov-shell.service"
_WATCHING, _WATCH = f"{FOLDER}/watch.py", "mailprov-shell-watch.service"
_LARGEST = 1 << 30  # bytes of one file
_PASSWORDS = "mailprov-shell-passwords"
_BASH = "/bin/bash"
PROGRAMS = ("alpine", "mutt", "aerc")
_ASK = f"{FOLDER}/ask"  # asks for the password in aerc's place
_LATEST = (
    "199.12"  # the month until which Alpine does not ask whether old mail shall be moved, counted from 1900
)


def _written(value: Any) -> list[str]:
    words = list(value) if isinstance(value, Seq) else [value]
    for word in words:
        if not isinstance(word, str) or word not in PROGRAMS:
            near = nearest(word, PROGRAMS) if isinstance(word, str) else ""
            hint = _("; did you mean {near}?").format(near=near) if near else ""
            raise said(_("must be alpine, mutt, aerc, or a list of these") + hint)
    if len(set(words)) < len(words) or not words:
        raise said(_("must be alpine, mutt, aerc, or a list of these"))
    return [str(word) for word in words]


_Programs = Annotated[
    list[str],
    Reads(
        _written,
        {
            "anyOf": [
                {"type": "string", "enum": list(PROGRAMS)},
                {"type": "array", "items": {"type": "string", "enum": list(PROGRAMS)}, "minItems": 1},
            ]
        },
    ),
]


def _resolve(entry: list[str], path: KeyPath, base: tuple[str, ...], context: Context) -> tuple[str, ...]:
    return tuple(name for name in PROGRAMS if name in entry)


TEXT_MUA: Setting[tuple[str, ...]] = Setting(
    "text_mua",
    _Programs,
    N_(
        "programs that read and write mail in a terminal, set up for everybody on the host: alpine, mutt, aerc"
    ),
    _resolve,
    default=(),
    if_missing=N_("none if not given"),
    wins=N_("wins as a whole"),
    sets_up=True,
    rehearse=lambda value, lab: list(value) or None,
)


class _Shell(Component):
    name = "shell"
    about = N_("users who log in by SSH, and read their mail there")
    settings = (TEXT_MUA,)

    def wanted(self, host: Host) -> bool:
        return bool(users(host) or TEXT_MUA.of(host))

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        menus = any(each.shell.restricted for each in users(host)) and "alpine" not in TEXT_MUA.of(host)
        return (
            *(("nftables",) if users(host) else ()),
            *(("alpine",) if menus else ()),
            *TEXT_MUA.of(host),
        )

    def parts(self, build: Build) -> Parts:
        host = build.host
        people, files = users(host), _files(build)
        logins = tuple(
            Login(
                each.name,
                f"/home/{each.name}",
                _shell(each),
                f"{each.address.partition('@')[0]},,,,{MARK}{each.address}",
            )
            for each in people
        )
        return Parts(
            packages=self.packages(build.inventory, host),
            directories=(Directory(FOLDER), Directory(KEYS), Directory(_PERSONAL))
            if people
            else (Directory(FOLDER),),
            files=files,
            services=tuple(_services(build, files)),
            logins=logins,
        )

    def ssh_users(self, host: Host) -> tuple[SshUsers, ...]:
        kinds: dict[tuple[bool, bool], list[str]] = {}
        for each in users(host):
            kinds.setdefault((each.shell.password, each.shell.restricted), []).append(each.name)
        return tuple(SshUsers(tuple(names), _lines(*kind)) for kind, names in sorted(kinds.items()))

    def retired(self) -> tuple[Service, ...]:
        undo = ("sh", "-c", render("shell/undo.j2", mark=MARK, store=_STORE))
        return (
            Service(unit=f"{_PASSWORDS}.path"),
            Service(unit=_WATCH),
            Service(unit=_UNIT, undo=undo),
        )


COMPONENT = _Shell()


def _shell(user: ShellUser) -> str:
    return _MENU if user.shell.restricted else _BASH


def _lines(password: bool, restricted: bool) -> tuple[str, ...]:
    """Their keys are those of the inventory: what stands in ~/.ssh would outlive it."""
    command = (f"ForceCommand {_MENU}",) if restricted else ()
    return (
        f"PasswordAuthentication {'yes' if password else 'no'}",
        "KbdInteractiveAuthentication no",
        "PubkeyAuthentication yes",
        f"AuthorizedKeysFile {KEYS}/%u",
        "MaxSessions 4",
        *command,
    )


def _files(build: Build) -> tuple[File, ...]:
    host = build.host
    people, programs = users(host), TEXT_MUA.of(host)
    names = {"script": _SCRIPT, "hashes": _HASHES}
    script = render(
        "shell/manage.py.j2", wanted=_WANTED, mark=MARK, hashes=json.dumps(list(_HASHES)), store=_STORE
    )
    made = [
        File(_SCRIPT, script),
        File(_WANTED, _wanted(build), mode="0600"),
        File(f"{_UNITS}/{_UNIT}", render("shell/unit.j2", **names)),
    ]
    if people:
        # In KiB; no file is larger than all that its user may have.
        sizes = [(each, min(_LARGEST, each.shell.home_quota or _LARGEST) // 1024) for each in people]
        limits = render("shell/limits.conf.j2", people=sizes, aerc="aerc" in programs)
        watch = {"script": _WATCHING}
        made += [
            File(f"{_UNITS}/{_PASSWORDS}.path", render("shell/passwords.path.j2", **names)),
            File(f"{_UNITS}/{_PASSWORDS}.service", render("shell/passwords.service.j2", **names)),
            File("/etc/security/limits.d/90-mailprov-shell.conf", limits),
            File(_WATCHING, render("shell/watch.py.j2", wanted=_WANTED, script=_SCRIPT)),
            File(f"{_UNITS}/{_WATCH}", render("shell/watch.service.j2", **watch)),
        ]
        # A file for each, also without keys: sshd must not look anywhere else.
        made += [
            File(f"{KEYS}/{each.name}", "".join(f"{key}\n" for key in each.shell.keys)) for each in people
        ]
    if any(each.shell.restricted for each in people):
        made.append(
            File(
                _MENU,
                render(
                    "shell/menu.py.j2",
                    settings=_RESTRICTED,
                    personal=_PERSONAL,
                    program=passwords.PROGRAM,
                    own=json.dumps(
                        [each.name for each in people if each.shell.restricted and each.own_password]
                    ),
                ),
                mode="0755",
            )
        )
        made.append(File(_RESTRICTED, _pine(host, restricted=True)))
        made += [
            File(f"{_PERSONAL}/{each.name}", _pine(host, each, restricted=True))
            for each in people
            if each.shell.restricted
        ]
    if "alpine" in programs:
        made.append(File("/etc/pine.conf", _pine(host)))
    if "mutt" in programs:
        made.append(File("/etc/Muttrc.d/mailprov.rc", render("shell/Muttrc.j2", fqdn=host.fqdn)))
    if "aerc" in programs:
        made.append(File(_ASK, render("shell/ask.py.j2", fqdn=host.fqdn, mark=MARK), mode="0755"))
    if host.tls.ca_file:
        made.append(File(_CA, _authority(host)))
    return tuple(made)


def _pine(host: Host, user: ShellUser | None = None, *, restricted: bool = False) -> str:
    return render(
        "shell/pine.conf.j2",
        fqdn=host.fqdn,
        address=user.address if user else "",
        user=f"/user={user.address}" if user else "",
        home=f"/home/{user.name}/mail" if user and restricted else "",
        year=_LATEST,
        restricted=restricted,
    )


def _wanted(build: Build) -> str:
    host = build.host
    programs = TEXT_MUA.of(host)

    def seeds(user: ShellUser) -> dict[str, str]:
        if user.shell.restricted:
            return {}
        found = {".profile": render("shell/profile.j2")}
        if "alpine" in programs:
            found[".pinerc"] = _pine(host, user)
        if "mutt" in programs:
            found[".muttrc"] = render("shell/muttrc-own.j2", address=user.address, fqdn=host.fqdn)
        if "aerc" in programs:
            own = render("shell/aerc-own.j2", address=user.address, fqdn=host.fqdn, ask=_ASK)
            found[".config/aerc/accounts.conf"] = own
        return found

    people = {
        each.name: {
            "address": each.address,
            "password": each.shell.password,
            "restricted": each.shell.restricted,
            "ends": each.ends,
            "quota": each.shell.home_quota,
            "shell": _shell(each),
            "files": seeds(each),
        }
        for each in users(host)
    }
    return json.dumps({"users": people, "trust": _trusted(build)}, indent=1, sort_keys=True) + "\n"


def _trusted(build: Build) -> list[str]:
    """Files whose certificates go into the system's store: those programs look nowhere else."""
    from mailprov.components.tls import material

    host = build.host
    own = (
        [pair.certificate for pair in build.made(material.of).pairs]
        if host.tls.mode is TlsMode.SELF_SIGNED
        else []
    )
    return [*own, *([_CA] if host.tls.ca_file else [])]


def _authority(host: Host) -> str:
    assert host.tls.ca_file
    try:
        return host.tls.ca_file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or _("it is not PEM")
        raise InputError(
            f"host {host.name}",
            _("cannot read {path}: {reason}").format(path=host.tls.ca_file, reason=reason),
            _("Check tls.ca_file"),
        ) from None


def _services(build: Build, files: tuple[File, ...]) -> list[Service]:
    """Dovecot's file of passwords is not among those that it reads: a unit of its own watches that."""
    # A oneshot unit that stays active: a restart runs the program again.
    paths = tuple(file.path for file in files if file.path.startswith((FOLDER, f"{_UNITS}/{_UNIT}")))
    watched = tuple(path for path in _trusted(build) if path not in paths)
    check = ("/usr/bin/python3", "-IS", _SCRIPT, "--check")
    (*__, retired) = COMPONENT.retired()
    main = Service(
        unit=_UNIT,
        files=(*paths, *watched),
        restart_on=(*paths, *watched),
        checks=(check,),
        undo=retired.undo,
    )
    if not users(build.host):
        return [main]
    path, unit = f"{_UNITS}/{_PASSWORDS}.path", f"{_UNITS}/{_WATCH}"
    read = (_WATCHING, _SCRIPT, _WANTED, unit)
    watch = Service(
        unit=_WATCH,
        files=read,
        restart_on=read,
        checks=(("/usr/bin/python3", "-IS", _WATCHING, "--check"),),
    )
    return [main, Service(unit=f"{_PASSWORDS}.path", files=(path,), restart_on=(path,)), watch]
