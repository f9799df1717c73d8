"""Compares what the host must be with what it is; says every change in the order in which it will be made.

    compare(tree, state, facts, manifest, passwords, mask) -> Plan

Reads only. Packages → users → directories → certificates → files → accounts → files that left → services.
Raises Stop for what cannot be made true: no candidate for a package, another version than the state was made
for, a directory where a file must be, a masked unit.
"""

from __future__ import annotations

import hashlib
import json
import pwd
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from mailprov.agent import accounts, certificates, files, packages, services
from mailprov.agent.manifest import Manifest
from mailprov.agent.masking import Mask, unified
from mailprov.agent.services import State
from mailprov.agent.trouble import Stop

BY_HAND = "edited by hand since the last apply"
Change = Dict[str, str]


class Work(NamedTuple):
    """One piece of work: the part of the state it makes true, the changes it shows, what it needs to know."""

    spec: Dict[str, Any]
    changes: List[Change]
    data: Any = None


class Plan:
    """All work by kind, in order. `digests`: path → sha256 of managed files as they are now."""

    def __init__(self) -> None:
        self.packages: List[Work] = []
        self.users: List[Work] = []
        self.directories: List[Work] = []
        self.certificates: List[Work] = []
        self.files: List[Work] = []  # data: new content, or None when only owner or mode differ
        self.accounts: List[Work] = []  # data: (lines, content must be written)
        self.leaving: List[Work] = []
        self.services: List[Work] = []  # data: (enable, verb)
        self.digests: Dict[str, str] = {}
        self.known: Dict[str, Dict[str, Any]] = {}  # certificate path → names and expiry
        self.loads: Dict[str, Dict[str, str]] = {}  # unit → digests of the files it is to have loaded
        self.compared = ""

    @property
    def changes(self) -> List[Change]:
        first = (self.packages, self.users, self.directories, self.certificates)
        then = (self.files, self.accounts, self.leaving, self.services)
        return [change for kind in (*first, *then) for work in kind for change in work.changes]

    @property
    def fingerprint(self) -> str:
        """A short hash of exactly these changes in this order."""
        return hashlib.sha256(json.dumps(self.changes, sort_keys=True).encode("ascii")).hexdigest()[:16]


def change(kind: str, action: str, name: str, detail: str = "", diff: str = "") -> Change:
    """CHANGE of wire.messages."""
    return {"kind": kind, "action": action, "name": name, "detail": detail, "diff": diff}


def compare(
    tree: files.Tree,
    state: Dict[str, Any],
    facts: Dict[str, Any],
    *,
    manifest: Manifest,
    passwords: accounts.Passwords,
    mask: Mask,
) -> Plan:
    """The plan. `facts` are the packages of FACTS, for all packages of the state and its rendered_for."""
    if tree.root and (state["packages"] or state["users"] or state["services"]):
        raise Stop(
            "packages, users and services cannot be managed under a root", "root is for tests of files"
        )
    comparison = _Comparison(tree, manifest, mask)
    comparison.packages(state, facts)
    comparison.users(state)
    for spec in state["directories"]:
        comparison.directory(spec)
    for spec in state["certificates"]:
        comparison.certificate(spec, bool(comparison.plan.packages))
    for spec in state["files"]:
        comparison.file(spec)
    for spec in state["account_files"]:
        comparison.account_file(spec, passwords)
    comparison.leaving(state)
    comparison.services(state)
    comparison.plan.compared = _compared(state)
    return comparison.plan


class _Comparison:
    def __init__(self, tree: files.Tree, manifest: Manifest, mask: Mask) -> None:
        self.tree, self.manifest, self.mask = tree, manifest, mask
        self.plan = Plan()

    def packages(self, state: Dict[str, Any], facts: Dict[str, Any]) -> None:
        for name, prefix in state["rendered_for"]:
            version = packages.describe(facts[name])
            if version and not packages.version_matches(version, prefix):
                how = "has" if facts[name]["installed"] else "would install"
                raise Stop(
                    f"the configuration was made for {name} {prefix}, and this host {how} {version}",
                    "run again; if it stays so, this version is not supported yet",
                )
        for name in state["packages"]:
            if facts[name]["installed"] is None:
                candidate = facts[name]["candidate"]
                if candidate is None:
                    raise Stop(
                        f"the host's package sources have no package {name}",
                        "add the source that has it (on Ubuntu: universe) to /etc/apt, then try again",
                    )
                self.plan.packages.append(
                    Work({"name": name}, [change("package", "create", name, candidate)])
                )

    def users(self, state: Dict[str, Any]) -> None:
        for spec in state["users"]:
            try:
                entry = pwd.getpwnam(spec["name"])
            except KeyError:
                made = [change("user", "create", spec["name"], f"system user, home {spec['home']}")]
                self.plan.users.append(Work(spec, made))
                continue
            pairs = (("home", entry.pw_dir, spec["home"]), ("shell", entry.pw_shell, spec["shell"]))
            details = [f"{what} {old} → {new}" for what, old, new in pairs if old != new]
            if details:
                updated = [change("user", "update", spec["name"], ", ".join(details))]
                self.plan.users.append(Work(spec, updated, entry.pw_uid))

    def directory(self, spec: Dict[str, Any]) -> None:
        real = self.tree.at(spec["path"])
        seen = files.look(real)
        if seen is not None and seen.kind == "link":
            seen = files.trusted_directory(real)
        if seen is None:
            detail = f"{spec['owner']}:{spec['group']} {spec['mode']}"
            made = [change("directory", "create", spec["path"], detail)]
            self.plan.directories.append(Work(spec, made))
        elif seen.kind != "directory":
            raise Stop(f"{spec['path']} is not a directory", "move what is there away, then try again")
        elif _owner_mode(seen, spec):
            updated = [change("directory", "update", spec["path"], _owner_mode(seen, spec))]
            self.plan.directories.append(Work(spec, updated))

    def certificate(self, spec: Dict[str, Any], may_lack_openssl: bool) -> None:
        found = certificates.compare(self.tree, spec, self.manifest.files, may_lack_openssl)
        self.plan.digests.update(found.digests)
        if found.action:
            made = [change("certificate", found.action, spec["certificate"], found.detail)]
            self.plan.certificates.append(Work(spec, made, True))
            return
        self.plan.known[spec["certificate"]] = found.known
        details = []
        for path, mode in ((spec["certificate"], "0644"), (spec["key"], "0600")):
            seen = files.look(self.tree.at(path))
            wanted = {"owner": "root", "group": "root", "mode": mode}
            if seen is not None and not self.tree.root and _owner_mode(seen, wanted):
                details.append(f"{path}: {_owner_mode(seen, wanted)}")
        if details:
            updated = [change("certificate", "update", spec["certificate"], ", ".join(details))]
            self.plan.certificates.append(Work(spec, updated, False))

    def _look(self, path: str) -> Tuple[Optional[files.Seen], Optional[bytes], List[str]]:
        """What is there, its content, and what is to be said about it."""
        real = self.tree.at(path)
        seen, data = files.look(real), files.read(real)
        last = self.manifest.files.get(path, {}).get("sha256")
        if seen is None:
            return None, None, ["removed by hand since the last apply"] if last else []
        if seen.kind == "link":
            return seen, None, [f"replaces a symbolic link to {seen.target}"]
        if data is None:
            raise Stop(f"{path} is not a regular file", "move what is there away, then try again")
        self.plan.digests[path] = files.sha256(data)
        return seen, data, [BY_HAND] if last and last != self.plan.digests[path] else []

    def file(self, spec: Dict[str, Any]) -> None:
        path, content = spec["path"], spec["content"].encode("utf-8", "surrogateescape")
        seen, data, notes = self._look(path)
        if data == content and seen is not None:
            detail = _owner_mode(seen, spec)
            if detail:
                self.plan.files.append(Work(spec, [change("file", "update", path, detail)]))
            return
        if seen is not None and seen.kind == "file" and _owner_mode(seen, spec):
            notes.append(_owner_mode(seen, spec))
        if spec["secret"]:
            notes.append("content is secret, not shown")
        diff = "" if spec["secret"] else unified(path, data, content, self.mask)
        action = "create" if seen is None else "update"
        made = [change("file", action, path, ", ".join(notes), diff)]
        self.plan.files.append(Work(spec, made, content))

    def account_file(self, spec: Dict[str, Any], passwords: accounts.Passwords) -> None:
        path = spec["path"]
        seen, data, notes = self._look(path)
        found = accounts.compare(spec, data, passwords)
        content = accounts.kept(found.lines)
        rewrite = content is None or content != data
        changes = []
        if seen is None or seen.kind == "link" or _owner_mode(seen, spec):
            if seen is not None and seen.kind == "file":
                notes.append(_owner_mode(seen, spec))
            action = "create" if seen is None else "update"
            changes.append(change("file", action, path, ", ".join(notes)))
        elif not found.changes and rewrite:
            changes.append(change("file", "update", path, ", ".join([*notes, "lines that are no account's"])))
        elif notes and found.changes:
            changes.append(change("file", "update", path, ", ".join(notes)))
        changes += [change("account", action, user, detail) for action, user, detail in found.changes]
        if changes:
            self.plan.accounts.append(Work(spec, changes, (found.lines, rewrite)))

    def leaving(self, state: Dict[str, Any]) -> None:
        wanted = {spec["path"] for spec in [*state["files"], *state["account_files"]]}
        wanted |= {spec[name] for spec in state["certificates"] for name in ("certificate", "key")}
        for path, entry in sorted(self.manifest.files.items()):
            if path in wanted:
                continue
            seen, data = files.look(self.tree.at(path)), files.read(self.tree.at(path))
            if seen is None or seen.kind not in ("file", "link"):
                continue
            notes = ["no longer in the inventory"]
            if data is not None and files.sha256(data) != entry["sha256"]:
                notes.append(BY_HAND)
            diff = unified(path, data, None, self.mask) if entry["kind"] == "file" else ""
            gone = [change("file", "delete", path, ", ".join(notes), diff)]
            self.plan.leaving.append(Work({"path": path}, gone))

    def services(self, state: Dict[str, Any]) -> None:
        units = [spec["unit"] for spec in state["services"]]
        found = services.states(units) if units else {}
        ports = services.listening() if units else set()
        changing = {work.spec["path"] for work in [*self.plan.files, *self.plan.leaving] if _content(work)}
        changing |= {work.spec["path"] for work in self.plan.accounts if work.data[1]}
        for work in self.plan.certificates:
            changing |= {work.spec["certificate"], work.spec["key"]} if work.data else set()
        for spec in state["services"]:
            work = self._service(spec, found[spec["unit"]], ports, changing)
            if work.changes:
                self.plan.services.append(work)

    def _service(self, spec: Dict[str, Any], state: State, ports: Set[int], changing: Set[str]) -> Work:
        unit = spec["unit"]
        loads = {path: self._digest(path) for path in (*spec["files"], *spec["restart_on"])}
        self.plan.loads[unit] = loads
        if state.load == "masked":
            raise Stop(
                f"{unit} is masked on this host", f"run `systemctl unmask {unit}` there, then try again"
            )
        if not state.runs:
            words = (["enable"] if not state.starts_at_boot else []) + ["start"]
            action = "create" if state.load == "not-found" else "update"
            made = [change("service", action, unit, " and ".join(words))]
            return Work(spec, made, (not state.starts_at_boot, "start"))
        changes = [] if state.starts_at_boot else [change("service", "update", unit, "enable")]
        loaded = self.manifest.services.get(unit, {})
        differ = [path for path in loads if path in changing or loaded.get(path) != loads[path]]
        differ += [path for path in loaded if path not in loads]
        reasons = differ[:4] + ([f"{len(differ) - 4} more"] if len(differ) > 4 else [])
        stem = unit.partition(".")[0]
        added = [work.spec["name"] for work in self.plan.packages if work.spec["name"].startswith(stem)]
        silent = [f"port {port} is not listening" for port in sorted(set(spec["ports"]) - ports)]
        verb = "reload" if differ else ""
        if set(differ) & set(spec["restart_on"]) or added or (silent and not differ):
            verb = "restart"
        if verb:
            why = ", ".join([*reasons, *added, *silent])
            changes.append(change("service", "run", unit, f"{verb} because of {why}"))
        return Work(spec, changes, (not state.starts_at_boot, verb))

    def _digest(self, path: str) -> str:
        """Of a managed file, or of one that others keep, such as a renewed certificate behind a link."""
        if path not in self.plan.digests:
            data = files.read(self.tree.at(path), follow=True)
            return files.sha256(data) if data is not None else "absent"
        return self.plan.digests[path]


def _content(work: Work) -> bool:
    return work.data is not None or work.changes[0]["action"] == "delete"


def _owner_mode(seen: files.Seen, spec: Dict[str, Any]) -> str:
    """ "owner root:root → root:dovecot, mode 0644 → 0640", empty when both are as wanted."""
    details = []
    if (seen.uid, seen.gid) != files.ids_or_none(spec["owner"], spec["group"]):
        details.append(f"owner {files.owner_name(seen.uid, seen.gid)} → {spec['owner']}:{spec['group']}")
    if seen.mode != int(spec["mode"], 8):
        details.append(f"mode {seen.mode:04o} → {int(spec['mode'], 8):04o}")
    return ", ".join(details)


def _compared(state: Dict[str, Any]) -> str:
    """ "4 packages, 12 files, 3 accounts, 2 services"."""
    counts = [
        (len(state["packages"]), "package"),
        (len(state["users"]), "user"),
        (len(state["files"]) + len(state["account_files"]), "file"),
        (sum(len(spec["entries"]) for spec in state["account_files"]), "account"),
        (len(state["certificates"]), "certificate"),
        (len(state["services"]), "service"),
    ]
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count)
