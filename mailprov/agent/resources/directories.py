"""Directories with an owner and a mode.

    Directory       compare; put, with the directories above it that are missing, and the files that it must hold
    undone(…)       how a rollback shows one

Made for a run, it goes with it, unless there is something in it. Raises AgentError for what is there and is none.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from mailprov.agent import files
from mailprov.agent.changes import Change, change
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError
from mailprov.agent.resources.base import Look, Made, Spec, owner_mode, root_ids
from mailprov.agent.sentences import _


class Directory(Made):
    @classmethod
    def compare(cls, look: Look) -> Iterator["Directory"]:
        for spec in look.state["directories"]:
            path = spec["path"]
            real = look.tree.at(path)
            seen = files.look(real)
            if seen is not None and seen.kind == "link":
                seen = files.trusted_directory(real)
            if seen is None:
                detail = f"{spec['owner']}:{spec['group']} {spec['mode']}"
                yield Directory(spec, [change("directory", "create", path, detail)])
            elif seen.kind != "directory":
                raise AgentError(
                    _("{path} is not a directory").format(path=path),
                    _("move what is there away, then try again"),
                )
            elif missing := [name for name, _group, _mode in _missing(real, spec)]:
                detail = _("without {names}").format(names=", ".join(missing))
                yield Directory(spec, [change("directory", "update", path, detail)])
            elif owner_mode(seen, spec):
                yield Directory(spec, [change("directory", "update", path, owner_mode(seen, spec))])

    def paths(self) -> Sequence[str]:
        return (self.spec["path"],)

    def put(self, run: ApplyContext) -> None:
        spec, real = self.spec, run.tree.at(self.spec["path"])
        for parent in files.missing_parents(real):
            files.make_directory(parent)
        files.make_directory(real, int(spec["mode"], 8), *files.ids(spec["owner"], spec["group"]))
        for name, group, mode in _missing(real, spec):
            files.write(os.path.join(real, name), b"", int(mode, 8), *root_ids(run.tree, group))


def _missing(real: str, spec: Spec) -> List[Tuple[str, str, str]]:
    """(name, group, mode) of files that must be there, whatever is in them."""
    return [each for each in spec.get("holds", ()) if files.look(os.path.join(real, each[0])) is None]


def undone(path: str, was: Optional[Dict[str, Any]], seen: Optional[files.Seen]) -> List[Change]:
    """`was` as the journal has it, None where there was none; an empty list where nothing differs."""
    if was is None:
        return [change("directory", "delete", path)]
    if seen is None:
        return [change("directory", "create", path, _("mode {mode}").format(mode=f"{was['mode']:04o}"))]
    detail = files.recorded_owner_mode(seen, was)
    return [change("directory", "update", path, detail)] if detail else []
