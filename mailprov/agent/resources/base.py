"""What a kind of resource is: a class beside this module, which knows all that is particular to its kind.

    compare(look)       observes the host, compares it with the state: a resource for each that differs, which
                        describes its change in the words of the plan
    count, entries      how many the state has; what the manifest says of their paths
    put                 at once, before the commit point: what no journal copies (a package, a user), or its frame
    stage               beside its place, to go there with all others; `paths` are copied first, `rewrites` read anew
    serve               behind the commit point: what runs

A rollback knows files and units alone. How what it puts back is shown is the kind's `undone`, a function in its module;
the journal puts back the paths, and services.py the units.

    Look                one comparison of a host: what it reads, what it has found until now
    Resource            the base of all kinds; Staged those that are files, Made what these need around them, Running
                        those that systemd runs

Raises AgentError for what cannot be made true.
"""

from __future__ import annotations

from typing import Any, Container, Dict, Iterator, List, Optional, Sequence, Set, Tuple, Type, TypeVar

from mailprov.agent import files, systemd
from mailprov.agent.changes import Change, Observed
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError
from mailprov.agent.manifest import Entry, Manifest
from mailprov.agent.redaction import Redactor
from mailprov.agent.resources.drift import Drift, Edit
from mailprov.agent.resources.passwd_file import Passwords
from mailprov.agent.sentences import _, joined
from mailprov.agent.transaction.staging import Stage

State = Dict[str, Any]  # the desired state as it travels
Spec = Dict[str, Any]  # one resource of it


class Resource:
    """One resource that is not as wanted; `changes` is what the plan shows of it."""

    def __init__(self, spec: Spec, changes: Sequence[Change]) -> None:
        self.spec, self.changes = spec, list(changes)

    @classmethod
    def compare(cls, look: "Look") -> "Iterator[Resource]":
        raise NotImplementedError

    @classmethod
    def count(cls, state: State) -> int:
        return 0

    @classmethod
    def entries(cls, state: State) -> Iterator[Entry]:
        return iter(())

    def paths(self) -> Sequence[str]:
        """What is about to change, and what a rollback brings back."""
        return ()

    def put(self, run: ApplyContext) -> None:
        """Make it true now."""


class Made(Resource):
    """What is put in its place at once, with the journal behind it: the frame of what is staged."""


class Staged(Resource):
    stage_order = 1  # 0 goes beside its place before all others, 2 takes away and writes nothing

    def as_planned(self) -> Sequence[str]:
        """Paths whose content must still be what it was when the plan was made."""
        return ()

    def rewrites(self) -> Sequence[str]:
        """Paths whose content changes: whoever reads them must read them anew."""
        return ()

    def stage(self, run: ApplyContext, stage: Stage) -> None:
        raise NotImplementedError


class Running(Resource):
    """`verb` is how the unit reads its files again: start, reload, restart, or "" where it need not."""

    verb = ""

    def snapshot(self, observed: Observed) -> Dict[str, Any]:
        unit = observed.units[self.spec["unit"]]
        return systemd.snapshot(self.spec, self.verb, unit, observed.ports)

    def serve(self, run: ApplyContext) -> None:
        raise NotImplementedError


R = TypeVar("R", bound=Resource)


class Look:
    """`digests`: path → sha256 of managed files as they are now; `known`: certificate → names and expiry; `locals`: the
    host's own local settings → digest, or "absent". `excused`: see drift.Drift.
    """

    def __init__(
        self,
        tree: files.Tree,
        state: State,
        observed: Observed,
        *,
        manifest: Manifest,
        passwords: Passwords,
        redact: Redactor,
        excused: Container[str] = (),
    ) -> None:
        self.tree, self.state, self.observed = tree, state, observed
        self.manifest, self.passwords, self.redact = manifest, passwords, redact
        self.drift = Drift(tree, manifest, redact, excused)
        self.wanted: Set[str] = set()  # paths of all files of the state
        self.found: List[Resource] = []
        self.digests: Dict[str, str] = {}
        self.known: Dict[str, Dict[str, Any]] = {}
        self.locals: Dict[str, str] = {}
        self.notices: List[str] = []

    def of(self, kind: Type[R]) -> List[R]:
        """What has been found of this kind."""
        return [one for one in self.found if isinstance(one, kind)]

    def edit(self, path: str) -> Edit:
        """What somebody did to a managed file."""
        real = self.tree.at(path)
        return self.drift.of(path, files.look(real), files.read(real))

    def file(self, path: str) -> Tuple[Optional[files.Seen], Optional[bytes], Edit]:
        """What is there, its content, and what somebody did to it."""
        real = self.tree.at(path)
        seen, data = files.look(real), files.read(real)
        if seen is not None and seen.kind != "link":
            if data is None:
                raise AgentError(
                    _("{path} is not a regular file").format(path=path),
                    _("move what is there away, then try again"),
                )
            self.digests[path] = files.sha256(data)
        return seen, data, self.drift.of(path, seen, data)

    def owners(self, wanted: Sequence[Entry]) -> List[str]:
        """Of files that are there, what is to be changed of owner and mode; not under a root, where nobody is root."""
        details = []
        for entry in wanted:
            seen = files.look(self.tree.at(entry.path))
            change = owner_mode(seen, entry._asdict()) if seen is not None and not self.tree.root else ""
            if change:
                details.append(joined((entry.path, change), ": "))
        return details

    def digest(self, path: str) -> str:
        """Of a managed file, or of one that others keep, such as a renewed certificate behind a link."""
        return self.digests[path] if path in self.digests else digest(self.tree, path)


def digest(tree: files.Tree, path: str) -> str:
    """Of what a daemon reads there now; "absent" where there is nothing."""
    data = files.read(tree.at(path), follow=True)
    return files.sha256(data) if data is not None else "absent"


def owner_mode(seen: files.Seen, spec: Spec) -> str:
    """ "owner root:root → root:dovecot, mode 0644 → 0640", empty when both are as wanted."""
    ids = files.ids_or_none(spec["owner"], spec["group"])
    return files.owner_mode_change(
        seen, int(spec["mode"], 8), ids, lambda: f"{spec['owner']}:{spec['group']}"
    )


def notes(seen: Optional[files.Seen], edit: Edit) -> List[str]:
    """What the plan says of the file that it overwrites."""
    if seen is not None and seen.kind == "link" and not edit.note:
        return [_("replaces a symbolic link to {target}").format(target=seen.target)]
    return [edit.note] if edit.note else []


def root_ids(tree: files.Tree, group: str = "root") -> Tuple[int, int]:
    """Of root, with this group; under a root nothing changes hands."""
    return (-1, -1) if tree.root else files.ids("root", group)
