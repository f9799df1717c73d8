"""Whole files, most of them configuration, and files that left the inventory.

    ConfigFile      compare: content (with local settings of the host), owner, mode, and what somebody edited by hand
    LeftFile        one that the manifest knows and the state has no more: it goes
    undone(…)       how a rollback shows a file

Raises AgentError for what is there and is no file.
"""

from __future__ import annotations

import time
from typing import Iterator, List, Optional, Sequence

from mailprov.agent import files
from mailprov.agent.changes import Change, change
from mailprov.agent.context import ApplyContext
from mailprov.agent.manifest import Entry
from mailprov.agent.redaction import Redactor, unified
from mailprov.agent.resources import local_settings
from mailprov.agent.resources.base import Look, Spec, Staged, State, notes, owner_mode
from mailprov.agent.resources.drift import Edit
from mailprov.agent.sentences import N_, _, joined
from mailprov.agent.transaction.staging import Stage

_SECRET = N_("content is secret, not shown")


class ConfigFile(Staged):
    """`content` is what it must hold, None when only owner or mode differ."""

    def __init__(self, spec: Spec, changes: Sequence[Change], content: Optional[bytes] = None) -> None:
        super().__init__(spec, changes)
        self.content = content

    @classmethod
    def count(cls, state: State) -> int:
        return len(state["files"]) + len(state["account_files"])

    @classmethod
    def entries(cls, state: State) -> Iterator[Entry]:
        for spec in state["files"]:
            yield Entry.of(spec, "secret" if spec["secret"] else "file")

    @classmethod
    def compare(cls, look: Look) -> Iterator["ConfigFile"]:
        for spec in look.state["files"]:
            content = _content(look, spec).encode("utf-8", "surrogateescape")
            seen, data, edit = look.file(spec["path"])
            if data == content and seen is not None:
                detail = owner_mode(seen, spec)
                if detail:
                    # Edited to what is wanted anyway is no drift; another owner or mode than applied is.
                    by_hand = bool(edit.note) and not edit.content
                    detail = joined([*(notes(seen, edit) if by_hand else []), detail])
                    yield ConfigFile(spec, [change("file", "update", spec["path"], detail, drift=by_hand)])
            else:
                yield ConfigFile(spec, [_described(look, spec, seen, data, content, edit)], content)

    def paths(self) -> Sequence[str]:
        return (self.spec["path"],)

    def as_planned(self) -> Sequence[str]:
        return self.paths()

    def rewrites(self) -> Sequence[str]:
        return self.paths() if self.content is not None else ()

    def stage(self, run: ApplyContext, stage: Stage) -> None:
        place(self.spec, self.content, run, stage)


def place(spec: Spec, content: Optional[bytes], run: ApplyContext, stage: Stage) -> None:
    """The file beside its place, or only its owner and mode where the content stays (None)."""
    path, mode = spec["path"], int(spec["mode"], 8)
    owner = files.ids(spec["owner"], spec["group"])
    if content is None:
        stage.own(path, mode, *owner)
        return
    # Postfix waits until a file is two seconds old, for fear of half-written ones; these never are.
    stage.put(path, content, mode, *owner, mtime_ns=time.time_ns() - 3 * 10**9)
    run.digests[path] = files.sha256(content)


def _described(
    look: Look,
    spec: Spec,
    seen: Optional[files.Seen],
    data: Optional[bytes],
    content: bytes,
    edit: Edit,
) -> Change:
    path, secret, details = spec["path"], spec["secret"], notes(seen, edit)
    if seen is not None and seen.kind == "file" and owner_mode(seen, spec):
        details.append(owner_mode(seen, spec))
    if secret:
        details.append(_(_SECRET))
    diff = "" if secret else unified(path, data, content, look.redact)
    action, by_hand = "create" if seen is None else "update", "" if secret else edit.diff
    return change("file", action, path, joined(details), diff, drift=edit.stops, edit=by_hand)


def _content(look: Look, spec: Spec) -> str:
    """What the file must hold: the inventory's part, and local settings of the host."""
    text: str = spec["content"]
    if not spec["local"]:
        return text
    own = local_settings.read(look.tree, spec["local"])
    look.locals[spec["local"]] = "absent" if own is None else files.sha256(own)
    both = text + "\n" + (own or b"").decode("utf-8", "surrogateescape")
    for name, ours, theirs in local_settings.overridden(both, spec["guarded"]):
        told = _(
            "{path}: a local setting makes {name} `{theirs}` instead of `{ours}`, and security depends on it"
        ).format(path=spec["path"], name=name, theirs=theirs, ours=ours)
        look.notices.append(look.redact(told))
    return local_settings.merged(text, own, spec["local"]) if spec["merges"] else text


class LeftFile(Staged):
    stage_order = 2

    @classmethod
    def compare(cls, look: Look) -> Iterator["LeftFile"]:
        for path, entry in sorted(look.manifest.files.items()):
            if path in look.wanted:
                continue
            seen, data = files.look(look.tree.at(path)), files.read(look.tree.at(path))
            if seen is None or seen.kind not in ("file", "link"):
                continue
            if data is not None:
                look.digests[path] = files.sha256(data)
            details: List[str] = [_("no longer in the inventory")]
            edit = look.drift.of(path, seen, data)
            if edit.content:  # another owner or mode is no loss when the file goes
                details.append(edit.note)
            diff = unified(path, data, None, look.redact) if entry["kind"] == "file" else ""
            text = joined(details)
            gone = change("file", "delete", path, text, diff, drift=edit.content, edit=edit.diff)
            yield LeftFile({"path": path}, [gone])

    def paths(self) -> Sequence[str]:
        return (self.spec["path"],)

    def as_planned(self) -> Sequence[str]:
        return self.paths()

    def rewrites(self) -> Sequence[str]:
        return self.paths()

    def stage(self, run: ApplyContext, stage: Stage) -> None:
        stage.drop(self.spec["path"])
        run.digests.pop(self.spec["path"], None)


def undone(
    path: str,
    action: str,
    details: List[str],
    *,
    now: Optional[bytes],
    before: Optional[bytes],
    kind: str,
    redact: Redactor,
) -> List[Change]:
    """A file that goes back to `before`; `kind` as the manifest has it."""
    if kind in ("secret", "key"):
        return [change("file", action, path, joined([*details, _(_SECRET)]))]
    diff = unified(path, now, before, redact) if now != before else ""
    return [change("file", action, path, joined(details), diff)]
