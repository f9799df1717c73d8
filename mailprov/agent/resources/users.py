"""System users that own what daemons write.

    User        compare by passwd(5): home and shell; put: useradd or usermod

They stay when a run is undone: files may be theirs. Raises AgentError.
"""

from __future__ import annotations

import pwd
from typing import Iterator, Sequence

from mailprov.agent import commands, files
from mailprov.agent.changes import Change, change
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError
from mailprov.agent.resources.base import Look, Resource, Spec, State
from mailprov.agent.sentences import _, joined


class User(Resource):
    def __init__(self, spec: Spec, changes: Sequence[Change], *, exists: bool) -> None:
        super().__init__(spec, changes)
        self.exists = exists

    @classmethod
    def count(cls, state: State) -> int:
        return len(state["users"])

    @classmethod
    def compare(cls, look: Look) -> Iterator["User"]:
        for spec in look.state["users"]:
            try:
                entry = pwd.getpwnam(spec["name"])
            except KeyError:
                made = change(
                    "user", "create", spec["name"], _("system user, home {path}").format(path=spec["home"])
                )
                yield User(spec, [made], exists=False)
                continue
            pairs = (
                (_("home {old} → {new}"), entry.pw_dir, spec["home"]),
                (_("shell {old} → {new}"), entry.pw_shell, spec["shell"]),
            )
            details = [form.format(old=old, new=new) for form, old, new in pairs if old != new]
            if details:
                made = change("user", "update", spec["name"], joined(details))
                yield User(spec, [made], exists=True)

    def put(self, run: ApplyContext) -> None:
        self.make()

    def make(self) -> None:
        spec = self.spec
        argv = ["usermod", "--home", spec["home"], "--shell", spec["shell"], "--", spec["name"]]
        if not self.exists:
            argv = ["useradd", "--system", "--no-create-home", "--home-dir", spec["home"]]
            argv += ["--shell", spec["shell"]]
            # A group that a package made under this name is taken; otherwise useradd makes it.
            argv += ["--gid", spec["name"]] if files.group_exists(spec["name"]) else ["--user-group"]
            argv += ["--comment", spec["comment"], "--", spec["name"]]
        outcome = commands.run(argv)
        if outcome.code != 0:
            raise AgentError(
                _("the user {name} cannot be made").format(name=spec["name"]),
                _("look at the output"),
                outcome.lines(),
            )
