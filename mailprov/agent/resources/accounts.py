"""Accounts: the lines of Dovecot's passwd-files, whose format is passwd_file.py's.

    Accounts        one file, with a change for each account in it that differs
    undone(…)       how a rollback shows such a file

Raises AgentError.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence

from mailprov.agent.changes import Change, change
from mailprov.agent.context import ApplyContext
from mailprov.agent.manifest import Entry
from mailprov.agent.resources import account_lines, passwd_file
from mailprov.agent.resources.base import Look, Spec, Staged, State, notes, owner_mode
from mailprov.agent.resources.config_files import place
from mailprov.agent.sentences import _, joined
from mailprov.agent.transaction.staging import Stage


class Accounts(Staged):
    """`lines` are to be written where `rewrite`; else only owner or mode differ."""

    stage_order = 0  # no address may be accepted before its mailbox has an owner

    def __init__(
        self, spec: Spec, changes: Sequence[Change], lines: List[passwd_file.Line], *, rewrite: bool
    ) -> None:
        super().__init__(spec, changes)
        self.lines, self.rewrite = lines, rewrite

    @classmethod
    def count(cls, state: State) -> int:
        files = (spec for spec in state["account_files"] if spec.get("of", "accounts") == "accounts")
        return sum(len(spec["entries"]) for spec in files)

    @classmethod
    def entries(cls, state: State) -> Iterator[Entry]:
        for spec in state["account_files"]:
            yield Entry.of(spec, "accounts")

    @classmethod
    def compare(cls, look: Look) -> Iterator["Accounts"]:
        for spec in look.state["account_files"]:
            path = spec["path"]
            seen, data, edit = look.file(path)
            details, drift = notes(seen, edit), edit.stops
            found = passwd_file.compare(spec, data, look.passwords)
            rewrite = found.content is None or found.content != data
            changes = []
            if seen is None or seen.kind == "link" or owner_mode(seen, spec):
                if seen is not None and seen.kind == "file":
                    details.append(owner_mode(seen, spec))
                action = "create" if seen is None else "update"
                changes.append(change("file", action, path, joined(details), drift=drift))
            elif not found.changes and rewrite:
                details.append(_("lines that belong to no account"))
                changes.append(change("file", "update", path, joined(details), drift=drift))
            elif details and found.changes:
                changes.append(change("file", "update", path, joined(details), drift=drift))
            told = found.changes
            if told and spec.get("of", "accounts") != "accounts":
                told = account_lines.changes(spec, told, passwd_file.logins(data))
            changes += [change("account", action, user, detail) for action, user, detail in told]
            if changes:
                yield Accounts(spec, changes, found.lines, rewrite=rewrite)

    def paths(self) -> Sequence[str]:
        return (self.spec["path"],)

    def as_planned(self) -> Sequence[str]:
        return self.paths()

    def rewrites(self) -> Sequence[str]:
        return self.paths() if self.rewrite else ()

    def stage(self, run: ApplyContext, stage: Stage) -> None:
        """New passwords are hashed here."""
        content = None
        if self.rewrite:
            content = passwd_file.render(self.spec, self.lines, run.passwords, run.check)
        place(self.spec, content, run, stage)


def undone(
    path: str, action: str, details: List[str], *, now: Optional[bytes], before: Optional[bytes]
) -> List[Change]:
    """The logins that come, go, or get their password or settings back."""
    states = account_lines.undone(path, passwd_file.logins(now), passwd_file.logins(before))
    accounts = _accounts(now, before) if states is None else states
    shown = action != "update" or details or not accounts
    return [change("file", action, path, joined(details))] * bool(shown) + accounts


def _accounts(now: Optional[bytes], before: Optional[bytes]) -> List[Change]:
    current, wanted = passwd_file.logins(now), passwd_file.logins(before)
    made = [
        change("account", "create", user, _("as before")) for user in sorted(wanted.keys() - current.keys())
    ]
    for user in sorted(wanted.keys() & current.keys()):
        details = []
        then, there = wanted[user][1], current[user][1]
        if passwd_file.handed_on(then) and not passwd_file.handed_on(there):
            details.append(_("its user owns the password again"))
        elif wanted[user][0] != current[user][0]:
            details.append(_("password as before"))
        then, there = passwd_file.settings(then), passwd_file.settings(there)
        if then != there:
            fields = (there or _("none"), then or _("none"))
            details.append(_("fields {old} → {new}").format(old=fields[0], new=fields[1]))
        if details:
            made.append(change("account", "update", user, joined(details)))
    gone = sorted(current.keys() - wanted.keys())
    return made + [change("account", "delete", user, _("its mail is kept")) for user in gone]
