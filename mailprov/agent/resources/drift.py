"""What somebody did to managed files since the last apply, and what is needed to show it.

    Drift(tree, manifest, redact, excused).of(path, seen, data) -> Edit     compared with what was applied last
    BY_HAND                     how a plan says it
    stop(changes, place)        AgentError for a plan with such changes: the files, and the two ways out
    keep(tree, manifest, redact)  copies of what is applied now, for the diff of a later edit

The copies lie under /var/lib/mailprov/applied/, each at its file's own path, 0600: `diff` shows an edit on the host,
too. There is none of a file that is secret or has a secret in it. A copy that a crash has torn, or that a rollback has
left behind, is recognized by the manifest's digest and not used; that is why nothing here waits for the disk.
"""

from __future__ import annotations

import os
import shlex
from typing import Any, Container, Dict, List, NamedTuple, Optional, Sequence

from mailprov.agent import files
from mailprov.agent.errors import AgentError
from mailprov.agent.manifest import Manifest
from mailprov.agent.redaction import Redactor, hide_keys, unified
from mailprov.agent.sentences import N_, _, ngettext

BY_HAND = N_("edited by hand since the last apply")
_OWNED = N_("owner or mode changed by hand since the last apply")
_REMOVED = N_("removed by hand since the last apply")
APPLIED = files.STATE + "/applied"


class Edit(NamedTuple):
    """`note` says what happened, empty when nothing did; `diff`: from what was applied to what is there, masked.

    `mend`: the commands that give a changed owner or mode back, where nothing else was changed.
    `content` tells whether there is anything else than a changed owner or mode. `stops`: to overwrite it would lose
    something; a file that was removed (as with its package) is put back, for there is nothing to lose.
    """

    note: str = ""
    diff: str = ""
    content: bool = False
    mend: str = ""

    @property
    def stops(self) -> bool:
        return bool(self.note) and self.note != _REMOVED


class Drift:
    """`excused` are paths that an interrupted run has touched: what is there now is that run's work."""

    def __init__(
        self, tree: files.Tree, manifest: Manifest, redact: Redactor, excused: Container[str] = ()
    ) -> None:
        self._tree, self._manifest, self._redact, self._excused = tree, manifest, redact, excused
        self._found: Dict[str, Edit] = {}

    @property
    def mends(self) -> List[str]:
        """What gives back all that was looked at, where only owners and modes differ; else nothing."""
        stopping = [edit for edit in self._found.values() if edit.stops]
        return [] if any(edit.content for edit in stopping) else [edit.mend for edit in stopping]

    def of(self, path: str, seen: Optional[files.Seen], data: Optional[bytes]) -> Edit:
        """The edit of a managed file; none for a file that mailprov has never applied."""
        self._found[path] = edit = self._of(path, seen, data)
        return edit

    def _of(self, path: str, seen: Optional[files.Seen], data: Optional[bytes]) -> Edit:
        entry = self._manifest.files.get(path)
        if entry is None or path in self._excused:
            return Edit()
        if seen is None:
            return Edit(_(_REMOVED), "", True)
        if seen.kind == "link":
            return Edit(
                _("replaced by hand by a symbolic link to {target}").format(target=seen.target), "", True
            )
        if data is not None and files.sha256(data) != entry["sha256"]:
            return Edit(_(BY_HAND), self._diff(path, entry, data), True)
        if seen.kind == "file" and _owned_otherwise(seen, entry):
            return Edit(_(_OWNED), mend=_mend(path, seen, entry))
        return Edit()

    def _diff(self, path: str, entry: Dict[str, Any], now: bytes) -> str:
        last = files.read(_copy(self._tree, path)) if entry["kind"] == "file" else None
        if last is None or files.sha256(last) != entry["sha256"]:
            return ""
        return unified(path, last, now, self._redact)


def _owned_otherwise(seen: files.Seen, entry: Dict[str, Any]) -> bool:
    if "mode" not in entry:
        return False
    ids = files.ids_or_none(entry["owner"], entry["group"])
    return seen.mode != int(entry["mode"], 8) or (seen.uid, seen.gid) != ids


def _mend(path: str, seen: files.Seen, entry: Dict[str, Any]) -> str:
    """As for a shell on the host."""
    quoted = shlex.quote(path)
    commands = []
    if (seen.uid, seen.gid) != files.ids_or_none(entry["owner"], entry["group"]):
        commands.append(f"chown {entry['owner']}:{entry['group']} {quoted}")
    if seen.mode != int(entry["mode"], 8):
        commands.append(f"chmod {entry['mode']} {quoted}")
    return "; ".join(commands)


def stop(changes: List[Dict[str, Any]], place: str, mends: Sequence[str] = ()) -> AgentError:
    """`place` is where on the host the backup of an apply would be; `mends` where only owners and modes differ."""
    names = list(dict.fromkeys(change["name"] for change in changes if change["drift"]))
    if mends:
        return AgentError(
            ngettext(
                "owner or mode of {names} was changed by hand since the last apply, so nothing was changed on "
                "this host",
                "owner or mode of {names} were changed by hand since the last apply, so nothing was changed on "
                "this host",
                len(names),
            ).format(names=", ".join(names)),
            _("set them back on the host ({commands}), or give --accept-drift, which does that").format(
                commands="; ".join(mends)
            ),
        )
    return AgentError(
        ngettext(
            "{names} was changed by hand since the last apply, so nothing was changed on this host",
            "{names} were changed by hand since the last apply, so nothing was changed on this host",
            len(names),
        ).format(names=", ".join(names)),
        _(
            "take the edit into the inventory's local settings (postfix.main_cf, "
            "dovecot.settings), or give --accept-drift, which overwrites it and keeps what was "
            "edited in the run's backup under {path}"
        ).format(path=place),
    )


def keep(tree: files.Tree, manifest: Manifest, redact: Redactor) -> None:
    """Bring the copies up to date. Writes nothing when they are, and never fails an apply that is done."""
    try:
        _prune(tree, manifest)
        for path, entry in manifest.files.items():
            if entry["kind"] != "file" or _is(_copy(tree, path), entry["sha256"]):
                continue
            data = files.read(tree.at(path)) or b""
            text = data.decode("utf-8", "backslashreplace")
            if files.sha256(data) == entry["sha256"] and redact(hide_keys(text)) == text:
                _write(_copy(tree, path), data)
    except (OSError, AgentError):
        pass  # a full disk: the next apply tries again, and until then an edit is named and not shown


def _copy(tree: files.Tree, path: str) -> str:
    return tree.at(APPLIED + path)


def _is(real: str, digest: str) -> bool:
    data = files.read(real)
    return data is not None and files.sha256(data) == digest


def _write(real: str, data: bytes) -> None:
    for parent in files.missing_parents(real):
        files.make_directory(parent, 0o700)
    temporary = files.temporary_name(real)
    files.remove(temporary)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
    os.rename(temporary, real)


def _prune(tree: files.Tree, manifest: Manifest) -> None:
    """Copies of what mailprov manages no longer, and the directories that this leaves empty."""
    base = tree.at(APPLIED)
    for directory, _folders, names in os.walk(base, topdown=False):
        for name in names:
            if manifest.files.get(os.path.join(directory, name)[len(base) :], {}).get("kind") != "file":
                files.remove(os.path.join(directory, name))
        if directory != base and not os.listdir(directory):
            os.rmdir(directory)
