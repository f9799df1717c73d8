"""Passwords that users own: a Dovecot passwd-file that the host keeps, beside the one that applies write.

    OwnPasswords    compare: which accounts have no line in it; put: a line with the password that each begins with
    forget(…)       takes out of PATH the line of an account whose mailbox is deleted

Whoever owns a password changes it on the host (templates/passwords), so this file is in no manifest and no journal: no
drift, and no rollback brings an old password back. What applies and changes of passwords have in common is the lock.
Which account is whose is said by the other file alone (passwd_file.HANDED_ON); a line of an account that is not there
lets nobody in. It stays as the mail does, for the account that comes back, until the mailbox is purged; where no mail
is kept, who comes back begins anew.

The initial password is what an account begins with: when it is made, when the inventory gives its password to the user,
and when the host has lost what the user had. The plan has a line for each, so that it comes back nowhere unseen.

Raises AgentError.
"""

from __future__ import annotations

import os
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from mailprov.agent import files
from mailprov.agent.changes import Change, change
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError
from mailprov.agent.resources import passwd_file
from mailprov.agent.resources.base import Look, Made, Spec, owner_mode
from mailprov.agent.sentences import _, joined, ngettext

PATH = "/var/lib/mailprov-passwd/passwords"
_SHOWN = 5  # names in one sentence
Logins = Dict[str, Tuple[str, str]]  # as passwd_file.logins


class Begin(NamedTuple):
    """An account that gets its initial password. `anew`: in place of the line that the plan has seen."""

    user: str
    password: str
    hash: str
    anew: bool


class OwnPasswords(Made):
    def __init__(self, spec: Spec, changes: Sequence[Change], begins: Sequence[Begin]) -> None:
        super().__init__(spec, changes)
        self.begins = begins

    @classmethod
    def compare(cls, look: Look) -> Iterator["OwnPasswords"]:
        for spec in look.state.get("own_passwords", ()):
            seen, data = _read(look.tree, spec["path"])
            own = passwd_file.logins(data)
            present = passwd_file.logins(files.read(look.tree.at(spec["users"])))
            begins: List[Begin] = []
            changes: List[Change] = []
            back: List[str] = []
            for user, password, ready, _fields in sorted(spec["entries"]):
                name = user.replace("\\'", "'")
                was = user in present and passwd_file.handed_on(present[user][1])
                mail = user not in present and _has_mail(look.tree, spec["mail_root"], name)
                anew = not was and (user in present or (not mail and bool(look.manifest.files)))
                if user in own and not anew:
                    back += [name] * (user not in present)
                    continue
                why = _("it begins with the initial password of the inventory")
                if user in present and not was:
                    why = _(
                        "its user owns it from now on; it begins with the initial password of the inventory"
                    )
                elif was:
                    why = _(
                        "what its user had chosen is lost on this host: the initial password of the inventory is valid "
                        "again"
                    )
                elif mail:
                    why = _(
                        "its mailbox is on this host, and no password that its user had chosen: it begins with the "
                        "initial password of the inventory"
                    )
                begins.append(Begin(user, password, ready, user in own))
                changes.append(change("password", "create", name, why))
            _notices(look, spec, bool(begins), back)
            detail = owner_mode(seen, spec) if seen is not None and not look.tree.root else ""
            if detail:
                changes.append(change("file", "update", spec["path"], detail))
            if changes:
                yield OwnPasswords(spec, changes, begins)

    def put(self, run: ApplyContext) -> None:
        """Before the accounts take their places: a line that is here too early lets nobody in."""
        spec = self.spec
        _seen, data = _read(run.tree, spec["path"])
        lines = passwd_file.logins(data)  # as it is now: this run has the lock
        begins = [one for one in self.begins if one.anew or one.user not in lines]
        clear = [one.password for one in begins if not one.hash]
        fresh = iter(passwd_file.hash_passwords(clear, run.check))
        for one in begins:
            lines[one.user] = (one.hash or next(fresh), "")
        write(run.tree, spec, lines)


def write(tree: files.Tree, spec: Spec, lines: Logins) -> None:
    ids = (-1, -1) if tree.root else files.ids(spec["owner"], spec["group"])
    text = "".join(f"{user}:{hashed}::::::{fields}\n" for user, (hashed, fields) in sorted(lines.items()))
    real = tree.at(spec["path"])
    for parent in files.missing_parents(real):
        files.make_directory(parent)
    files.write(real, text.encode("utf-8", "surrogateescape"), int(spec["mode"], 8), *ids)


def forget(tree: files.Tree, address: str) -> None:
    """Under the lock."""
    seen, data = _read(tree, PATH)
    lines = passwd_file.logins(data)
    if seen is not None and lines.pop(address.replace("'", "\\'"), ("", ""))[0]:
        text = "".join(f"{name}:{one[0]}::::::{one[1]}\n" for name, one in sorted(lines.items()))
        files.write(tree.at(PATH), text.encode("utf-8", "surrogateescape"), seen.mode, seen.uid, seen.gid)


def _read(tree: files.Tree, path: str) -> Tuple[Optional[files.Seen], Optional[bytes]]:
    real = tree.at(path)
    seen, data = files.look(real), files.read(real)
    if seen is not None and data is None:
        raise AgentError(
            _("{path} is not a regular file").format(path=path),
            _("move what is there away, then try again"),
        )
    return seen, data


def _has_mail(tree: files.Tree, root: str, address: str) -> bool:
    local, _at, domain = address.rpartition("@")
    return os.path.isdir(os.path.join(tree.at(root), domain, local, "Maildir"))


def _notices(look: Look, spec: Spec, begins: bool, back: List[str]) -> None:
    """What changes nothing here, and somebody may expect to."""
    changed = [
        user.replace("\\'", "'")
        for user, password, ready, _fields in sorted(spec["entries"])
        if look.passwords.initial_changed(user, password or ready)
    ]
    if changed and not begins:
        look.notices.append(
            ngettext(
                "the initial password of {names} is another one in the inventory now; that changes nothing on this "
                "host, where its user owns the password",
                "the initial passwords of {names} are others in the inventory now; that changes nothing on this host, "
                "where their users own the passwords",
                len(changed),
            ).format(names=_few(changed))
        )
    if back:
        look.notices.append(
            ngettext(
                "{names} comes back with the password that its user had; where somebody else is to get it, delete the "
                "old mailbox first (`mailprov purge`)",
                "{names} come back with the passwords that their users had; where somebody else is to get one, delete "
                "the old mailbox first (`mailprov purge`)",
                len(back),
            ).format(names=_few(back))
        )
    if begins and not look.manifest.files:
        look.notices.append(
            _(
                "this host is new to mailprov, so passwords that users own begin with the initial ones; if it takes "
                "the place of another host, put that host's {path} here before the apply, and users keep theirs"
            ).format(path=spec["path"])
        )


def _few(names: List[str]) -> str:
    shown = joined(names[:_SHOWN])
    more = len(names) - _SHOWN
    return _("{names} and {count} more").format(names=shown, count=more) if more > 0 else shown
