"""Accounts with a shell: system users, made here, and no more than made.

    Login       compare: a user of this name, whose it is; put: useradd

Passwords, homes and limits are the business of a program on the host (templates/shell/manage.py.j2 of the controller),
which is run behind the commit point and locks whoever is not wanted any more. Until then nobody can log in: a user made
here has no password, an expiry date in the past, and no home.

Whose a user is stands in the last field of GECOS, which only root can change. Raises AgentError for a user, or a group
of that name, of somebody else's: that one's files and processes would be the account's.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Tuple

from mailprov.agent import commands, files
from mailprov.agent.changes import change
from mailprov.agent.errors import AgentError
from mailprov.agent.resources.base import Look, State
from mailprov.agent.resources.users import User
from mailprov.agent.sentences import _

_MARK = "mailprov-account="
_LOCKED = "/usr/sbin/nologin"
_UNIT = "mailprov-shell.service"


class Login(User):
    @classmethod
    def count(cls, state: State) -> int:
        return len(state.get("logins", ()))

    @classmethod
    def compare(cls, look: Look) -> Iterator["Login"]:
        wanted = {spec["name"]: spec for spec in look.state.get("logins", ())}
        known = _entries(look)
        for name, spec in wanted.items():
            if name not in known:
                # Not in the file, but perhaps in a directory of users (nsswitch.conf(5)).
                if commands.run(["getent", "passwd", name]).code == 0 or files.group_exists(name):
                    raise _others(name)
                detail = _("by SSH, for {address}").format(address=_address(spec["comment"]))
                yield cls(spec, [change("user", "create", name, detail)], exists=False)
            elif not known[name][0]:
                raise _others(name)
            elif known[name] != (_address(spec["comment"]), spec["shell"]):
                detail = _("by SSH, for {address}").format(address=_address(spec["comment"]))
                yield cls(spec, [change("user", "update", name, detail)], exists=True)
        for name, (address, shell) in sorted(known.items()):
            if address and name not in wanted and shell != _LOCKED:
                detail = _("locked, and its sessions end; its home is kept")
                # Made by a run that was undone, it has nothing on the host that would lock it.
                spec = {"name": name, "alone": _UNIT not in look.manifest.services}
                yield cls(spec, [change("user", "delete", name, detail)], exists=True)

    def make(self) -> None:
        spec = self.spec
        if spec.get("alone") is False:
            return  # behind the commit point
        if "shell" not in spec:
            argv = ["usermod", "-p", "!*", "-e", "1", "--shell", _LOCKED, "--", spec["name"]]
        else:
            argv = ["usermod", "--comment", spec["comment"], "--", spec["name"]]
        if not self.exists:
            # No ranges of further ids (subuid(5)): what these do is nobody's by name.
            argv = [
                "useradd",
                "--no-create-home",
                "--home-dir",
                spec["home"],
                "--user-group",
                "--expiredate",
                "1970-01-02",
            ]
            argv += ["--shell", spec["shell"], "-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0"]
            argv += ["--comment", spec["comment"], "--", spec["name"]]
        outcome = commands.run(argv)
        if outcome.code != 0:
            raise AgentError(
                _("the user {name} cannot be made").format(name=spec["name"]),
                _("look at the output"),
                outcome.lines(),
            )


def _entries(look: Look) -> Dict[str, Tuple[str, str]]:
    """name → whose it is ("": not mailprov's), its shell; by the file alone, which is read quickly."""
    data = files.read(look.tree.at("/etc/passwd")) or b""
    rows: List[List[str]] = [line.split(":") for line in data.decode("utf-8", "replace").split("\n")]
    return {row[0]: (_address(row[4]), row[6]) for row in rows if len(row) == 7}


def _address(comment: str) -> str:
    """Of GECOS: name, room, two telephones, other (chfn(1))."""
    last = comment.split(",", 4)[4:]
    return last[0][len(_MARK) :] if last and last[0].startswith(_MARK) else ""


def _others(name: str) -> AgentError:
    return AgentError(
        _("there is a user or a group {name} on this host that mailprov did not make").format(name=name),
        _("give the account's user another name in the inventory: `shell: {example}`").format(
            example="{user: …}"
        ),
    )
