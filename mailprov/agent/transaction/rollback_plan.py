"""Compares a host with what it was before a run: files, directories, logins, and whether and how services run.

    look(tree, chain, redact, accept_drift) -> Plan     what is not as it was before the runs of the chain

Reads only. Packages and users stay, directories that are not empty stay, and so mail is never touched. mailprov's own
records on the host (manifest, fingerprints of passwords) go back with the files, unshown, so that the next plan is the
one from before.

Raises AgentError for a file that was edited by hand since the run, unless `accept_drift`.
"""

from __future__ import annotations

import json
import os
import stat
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from mailprov.agent import files, journal, manifest, systemd
from mailprov.agent.changes import Change, fingerprint
from mailprov.agent.errors import AgentError
from mailprov.agent.journal import Journal
from mailprov.agent.redaction import Redactor
from mailprov.agent.resources import directories, services
from mailprov.agent.resources.drift import BY_HAND
from mailprov.agent.resources.registry import undone
from mailprov.agent.sentences import Sentence, _, joined, ngettext


class Item(NamedTuple):
    """A path that goes back; `source` holds the copy. No changes: one of mailprov's own records."""

    record: Dict[str, Any]
    source: Journal
    changes: List[Change]


class Plan:
    """All that goes back, in an order that works. `units`: {"spec", "stop", "disable", "enable", "verb"} each;
    `before`: the units as they are now, for the rollback of this rollback."""

    def __init__(self) -> None:
        self.items: List[Item] = []
        self.units: List[Dict[str, Any]] = []
        self.unit_changes: List[Change] = []
        self.before: List[Dict[str, Any]] = []
        self.notices: List[str] = []
        self.compared = ""

    @property
    def changes(self) -> List[Change]:
        return [one for item in self.items for one in item.changes] + self.unit_changes

    @property
    def contents(self) -> Dict[str, Optional[bytes]]:
        """Of the files that go back, by path; None of what goes away."""
        return {
            item.record["path"]: item.source.content(item.record["was"]) if item.record["was"] else None
            for item in self.items
            if item.changes and (item.record["was"] is None or item.record["was"]["kind"] == "file")
        }

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.changes)


def look(tree: files.Tree, chain: Sequence[Journal], redact: Redactor, accept_drift: bool) -> Plan:
    """Compare the host with what these runs (newest first) found. Reads only."""
    oldest: Dict[str, Tuple[Dict[str, Any], Journal]] = {}
    after: Dict[str, str] = {}
    units: Dict[str, Dict[str, Any]] = {}
    for run in chain:
        oldest.update((record["path"], (record, run)) for record in run.records if record["r"] == "was")
        after = {**run.first("commit").get("after", {}), **after}
        for unit in run.first("services").get("was", []):
            newer = units.get(unit["spec"]["unit"], unit)
            units[unit["spec"]["unit"]] = {**unit, "spec": newer["spec"], "verb": newer["verb"]}
    plan = Plan()
    comparison = _Comparison(tree, redact, oldest)
    for record, source in sorted(oldest.values(), key=lambda pair: journal.order(pair[0])):
        made = comparison.changes(record, source)
        if record["path"].startswith(files.STATE + "/"):
            plan.items.append(Item(record, source, []))
        elif made:
            now = source.digest(record["path"])
            if now != after.get(record["path"]) and record["path"] not in comparison.directories:
                comparison.by_hand.append(record["path"])
                made[0]["detail"] = joined(filter(None, [made[0]["detail"], _(BY_HAND)]))
                made[0]["drift"] = True
            plan.items.append(Item(record, source, made))
    if comparison.by_hand and not accept_drift:
        raise AgentError(
            _("edited by hand since that run: {paths}").format(paths=", ".join(comparison.by_hand)),
            _(
                "put back what mailprov wrote there, or give --accept-drift: then the edit is kept in the record of "
                "the rollback, and rolling back once more brings it back"
            ),
        )
    _units(plan, list(units.values()), comparison.content)
    for kind in ("packages", "users"):
        names = [name for run in chain for name in run.first(kind).get("names", [])]
        if names:
            plan.notices.append(_stay(kind, len(names)).format(names=", ".join(names)))
    plan.notices += [
        _("the directory {path} stays, because it is not empty").format(path=path)
        for path in comparison.staying
    ]
    paths = len(oldest) - sum(path.startswith(files.STATE + "/") for path in oldest)
    plan.compared = joined(
        (
            ngettext("{count} path", "{count} paths", paths).format(count=paths),
            ngettext("{count} service", "{count} services", len(units)).format(count=len(units)),
        )
    )
    return plan


def _stay(kind: str, count: int) -> Sentence:
    if kind == "users":
        return ngettext("the user {names} stays", "the users {names} stay", count)
    return ngettext("the package {names} stays", "the packages {names} stay", count)


class _Comparison:
    def __init__(
        self, tree: files.Tree, redact: Redactor, oldest: Dict[str, Tuple[Dict[str, Any], Journal]]
    ) -> None:
        self._tree, self._redact = tree, redact
        self._going = {path for path, (record, _run) in oldest.items() if record["was"] is None}
        self._kinds = _kinds(files.read(tree.at(manifest.PATH)))
        if manifest.PATH in oldest and oldest[manifest.PATH][0]["was"]:
            record, source = oldest[manifest.PATH]
            self._kinds = {**_kinds(source.content(record["was"])), **self._kinds}
        self.directories: Set[str] = set()
        self.content: Set[str] = set()  # files whose content changes
        self.by_hand: List[str] = []
        self.staying: List[str] = []

    def changes(self, record: Dict[str, Any], source: Journal) -> List[Change]:
        """What is shown of one path that is not as it was."""
        path, was = record["path"], record["was"]
        real = self._tree.at(path)
        seen = files.look(real)
        if was is None and seen is None:
            return []
        if was is None and seen is not None and seen.kind == "directory":
            self.directories.add(path)
            # A daemon's socket is nothing that anybody keeps there (rollback.py removes it when it is dead).
            inside = [
                f"{path}/{one.name}"
                for one in os.scandir(real)
                if not stat.S_ISSOCK(one.stat(follow_symlinks=False).st_mode)
            ]
            if any(one not in self._going or one in self.staying for one in inside):
                self.staying.append(path)
                return []
            return directories.undone(path, None, seen)
        if was is not None and was["kind"] == "directory":
            self.directories.add(path)
            return directories.undone(path, was, seen)
        return self._file(path, was, source, seen)

    def _file(
        self, path: str, was: Optional[Dict[str, Any]], source: Journal, seen: Optional[files.Seen]
    ) -> List[Change]:
        now = files.read(self._tree.at(path)) if seen is not None else None
        before = source.content(was) if was is not None and was["kind"] == "file" else None
        notes: List[str] = []
        if was is not None and was["kind"] == "link":
            if seen is not None and seen.kind == "link" and seen.target == was["target"]:
                return []
            notes.append(_("a symbolic link to {target}").format(target=was["target"]))
        if (
            seen is not None
            and was is not None
            and seen.kind == was["kind"]
            and files.recorded_owner_mode(seen, was)
        ):
            notes.append(files.recorded_owner_mode(seen, was))
        if now != before or notes:
            action = "create" if seen is None else "delete" if was is None else "update"
            if now != before:
                self.content.add(path)
            kind = self._kinds.get(path, "file")
            return undone(kind, path, action, notes, now=now, before=before, redact=self._redact)
        return []


def _kinds(data: Optional[bytes]) -> Dict[str, str]:
    try:
        return {path: entry["kind"] for path, entry in json.loads(data or b"{}").get("files", {}).items()}
    except (ValueError, AttributeError, KeyError, TypeError):
        return {}


def _units(plan: Plan, units: List[Dict[str, Any]], changing: Set[str]) -> None:
    """What each unit needs to run, or not to run, as it did."""
    states = systemd.states([unit["spec"]["unit"] for unit in units])
    ports = systemd.listening() if units else set()
    for unit in units:
        state = states[unit["spec"]["unit"]]
        plan.before.append(systemd.snapshot(unit["spec"], unit["verb"], state, ports))
        found = services.restoration(unit, state, changing)
        if found is not None:
            plan.units.append(found.todo)
            plan.unit_changes += found.changes
