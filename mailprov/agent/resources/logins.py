"""Accounts with a shell: system users, made here, and no more than made.

    Login           compare: a user of this name, whose it is; put: useradd
    entries(tree)   all users of the host, and whose they are
    remember(…)     a number that was somebody's, which no later user gets

Passwords, homes and limits are the business of a program on the host (templates/shell/manage.py.j2 of the controller),
which is run behind the commit point and locks whoever is not wanted any more. Until then nobody can log in: a user made
here has no password, an expiry date in the past, and no home.

Whose a user is stands in the last field of GECOS, which only root can change. Raises AgentError for a user, or a group
of that name, of somebody else's, also of an account that had the name before: that one's files and processes would be
the account's. What a user has left under a name, or a number, goes to nobody: such a name is refused, and a number is
never given again.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
from typing import Dict, Iterator, List, NamedTuple

from mailprov.agent import commands, files
from mailprov.agent.changes import change
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError
from mailprov.agent.resources.base import Look, Spec, State
from mailprov.agent.resources.users import User
from mailprov.agent.sentences import _

_MARK = "mailprov-account="
LOCKED = "/usr/sbin/nologin"
_UNIT = "mailprov-shell.service"
_LAST = files.STATE + "/last-shell-uid"  # the highest number that a user here ever had
# What goes by a name: whoever gets that would have it.
_LEFT = ("{home}", "/var/spool/cron/crontabs/{name}")


class Entry(NamedTuple):
    """`address`: whose it is; "": not mailprov's."""

    address: str
    shell: str
    uid: int
    home: str


class Login(User):
    first = 0  # the lowest number for a new one, where that matters

    @classmethod
    def count(cls, state: State) -> int:
        return len(state.get("logins", ()))

    @classmethod
    def compare(cls, look: Look) -> Iterator["Login"]:
        wanted = {spec["name"]: spec for spec in look.state.get("logins", ())}
        known = entries(look.tree)
        if set(wanted) - set(known) and not _has_quotas(look.tree):
            look.notices.append(
                _(
                    "the file system of /home has no quotas of users (mount option usrquota, package quota), so a "
                    "program of this host measures what users with a shell write, and stops who has too much"
                )
            )
        for name, spec in wanted.items():
            if name not in known:
                # Not in the file, but perhaps in a directory of users (nsswitch.conf(5)).
                if commands.run(["getent", "passwd", name]).code == 0 or files.group_exists(name):
                    raise _others(name)
                _nothing_left(look.tree, spec)
                detail = _("by SSH, for {address}").format(address=_address(spec["comment"]))
                yield cls(spec, [change("user", "create", name, detail)], exists=False)
            elif not known[name].address:
                raise _others(name)
            elif known[name].address != _address(spec["comment"]):
                raise _before(name, known[name])
            elif known[name].shell != spec["shell"]:
                detail = _("by SSH, for {address}").format(address=_address(spec["comment"]))
                yield cls(spec, [change("user", "update", name, detail)], exists=True)
        for name, entry in sorted(known.items()):
            if entry.address and name not in wanted and entry.shell != LOCKED:
                detail = _("locked, and its sessions end; its home is kept")
                # Made by a run that was undone, it has nothing on the host that would lock it.
                spec = {"name": name, "alone": _UNIT not in look.manifest.services}
                yield cls(spec, [change("user", "delete", name, detail)], exists=True)

    def put(self, run: ApplyContext) -> None:
        self.first = _first(run.tree)
        self.make()
        with contextlib.suppress(KeyError):
            remember(run.tree, pwd.getpwnam(self.spec["name"]).pw_uid)

    def make(self) -> None:
        spec = self.spec
        if spec.get("alone") is False:
            return  # behind the commit point
        if "shell" not in spec:
            argv = ["usermod", "-p", "!*", "-e", "1", "--shell", LOCKED, "--", spec["name"]]
        else:
            argv = ["usermod", "--comment", spec["comment"], "--", spec["name"]]
        outcome = commands.run(argv) if self.exists else _add(spec, self.first)
        if outcome.code != 0:
            raise AgentError(
                _("the user {name} cannot be made").format(name=spec["name"]),
                _("look at the output"),
                outcome.lines(),
            )


def _add(spec: Spec, first: int) -> commands.Outcome:
    """`first`: the lowest number that may be taken, or 0."""
    argv = ["useradd", "--no-create-home", "--home-dir", spec["home"], "--user-group"]
    argv += ["--expiredate", "1970-01-02", "--shell", spec["shell"], "--comment", spec["comment"]]
    argv += ["-K", f"UID_MIN={first}"] if first else []

    # No ranges of further ids (subuid(5)): what these do is nobody's by name.
    def with_ranges(count: int) -> commands.Outcome:
        more = ["-K", f"SUB_UID_COUNT={count}", "-K", f"SUB_GID_COUNT={count}"]
        return commands.run([*argv, *more, "--", spec["name"]])

    outcome = with_ranges(0)
    if outcome.code == 0 or "subordinate" not in outcome.err:
        return outcome
    # shadow of Debian 11 refuses to give none: one of each is given and taken away.
    outcome = with_ranges(1)
    if outcome.code != 0:
        return outcome
    taken = []
    for option, path in (("--del-subuids", "/etc/subuid"), ("--del-subgids", "/etc/subgid")):
        rows = [line.split(":") for line in (files.read(path) or b"").decode("utf-8", "replace").splitlines()]
        taken += [word for row in rows if row[0] == spec["name"] for word in (option, f"{row[1]}-{row[1]}")]
    return commands.run(["usermod", *taken, "--", spec["name"]]) if taken else outcome


def entries(tree: files.Tree) -> Dict[str, Entry]:
    """By the file alone, which is read quickly."""
    data = files.read(tree.at("/etc/passwd")) or b""
    rows: List[List[str]] = [line.split(":") for line in data.decode("utf-8", "replace").split("\n")]
    return {
        row[0]: Entry(_address(row[4]), row[6], int(row[2]), row[5])
        for row in rows
        if len(row) == 7 and row[2].isdigit()
    }


def remember(tree: files.Tree, uid: int) -> None:
    """This number was somebody's: no later user gets it."""
    if uid >= _first(tree):
        files.write(tree.at(_LAST), b"%d\n" % uid, 0o600)


def _first(tree: files.Tree) -> int:
    """The lowest number for a new user, or 0: the system's."""
    last = (files.read(tree.at(_LAST)) or b"").strip()
    return int(last) + 1 if re.fullmatch(rb"[1-9][0-9]{2,8}", last) else 0


def _has_quotas(tree: files.Tree) -> bool:
    """As the program on the host decides it: mount(8), setquota(8)."""
    found = ("", [""])
    for line in (files.read(tree.at("/proc/self/mounts")) or b"").decode("utf-8", "replace").split("\n"):
        fields = line.split()
        if len(fields) > 3 and fields[1] in ("/", "/home") and len(fields[1]) >= len(found[0]):
            found = (fields[1], fields[3].split(","))
    on = any(one in ("usrquota", "uquota", "quota") or one.startswith("usrjquota=") for one in found[1])
    return on and os.path.exists(tree.at("/usr/sbin/setquota"))


def _nothing_left(tree: files.Tree, spec: Spec) -> None:
    for form in _LEFT:
        path = form.format(home=spec["home"], name=spec["name"])
        if os.path.lexists(tree.at(path)):
            raise AgentError(
                _(
                    "{path} is there, and no user {name}: whoever gets that name now would get what somebody else has "
                    "left"
                ).format(path=path, name=spec["name"]),
                _(
                    "move it away on the host or delete it there, or give the account's user another name: "
                    "`shell: {example}`"
                ).format(example="{user: …}"),
            )


def _before(name: str, entry: Entry) -> AgentError:
    return AgentError(
        _(
            "the user {name} of this host is that of {address}, whose home {path} is kept: no other account gets it"
        ).format(name=name, address=entry.address, path=entry.home),
        _(
            "give the account's user another name (`shell: {example}`), or delete the old one first, by `mailprov "
            "purge {address}`"
        ).format(example="{user: …}", address=entry.address),
    )


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
