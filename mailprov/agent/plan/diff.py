"""Compares what the host must be with what it is; says every change in the order in which it will be made.

    compare(tree, state, facts, manifest, passwords, mask) -> Plan

Reads only. Packages → users → directories → keys → certificates → files → accounts → files that left → services → units
that left.
Raises AgentError for what cannot be made true: no candidate for a package, another version than the state was made
for, a directory where a file must be, a masked unit.
"""

from __future__ import annotations

from typing import Any, Container, Dict, List, Optional, Tuple

from mailprov.agent import files
from mailprov.agent.changes import Change, Observed, Work, change, fingerprint
from mailprov.agent.errors import AgentError
from mailprov.agent.manifest import Manifest
from mailprov.agent.plan import local_settings, sieve
from mailprov.agent.plan.drift import Drift, Edit
from mailprov.agent.redaction import Mask, unified
from mailprov.agent.resources import accounts, acme, bans, certificates, dkim_keys, obsolete_services
from mailprov.agent.system import compare_packages, compare_service, compare_user


class Plan:
    """All work by kind, in order. `digests`: path → sha256 of managed files as they are now."""

    def __init__(self) -> None:
        self.packages: List[Work] = []
        self.users: List[Work] = []
        self.directories: List[Work] = []
        self.keys: List[
            Work
        ] = []  # data: path → content of a new pair, or None when only owners or modes differ
        self.certificates: List[Work] = []
        self.files: List[Work] = []  # data: new content, or None when only owner or mode differ
        self.accounts: List[Work] = []  # data: (lines, content must be written)
        self.leaving: List[Work] = []
        self.services: List[Work] = []
        self.retiring: List[Work] = []  # data: stop or reload
        self.placeholders: List[Work] = []
        self.issues: List[Work] = []  # data: issue or deploy; done last, when the records are published
        self.digests: Dict[str, str] = {}
        self.known: Dict[str, Dict[str, Any]] = {}  # certificate path → names and expiry
        self.locals: Dict[str, str] = {}  # the host's own local settings → digest, or "absent"
        self.notices: List[str] = []
        self.mends: List[
            str
        ] = []  # commands that give back what was changed by hand, where these are owners and modes
        self.compared = ""
        self.observed: Optional[Observed] = None  # how units and ports were when this was planned

    @property
    def changes(self) -> List[Change]:
        return self.transaction + [change for work in self.issues for change in work.changes]

    @property
    def transaction(self) -> List[Change]:
        """What is done as a whole or not at all: everything but what a certificate authority must do."""
        first = (self.packages, self.users, self.directories, self.keys, self.placeholders, self.certificates)
        then = (self.files, self.accounts, self.leaving, self.services, self.retiring)
        return [change for kind in (*first, *then) for work in kind for change in work.changes]

    @property
    def drifted(self) -> List[Change]:
        """Those that would overwrite or remove what somebody edited by hand."""
        return [change for change in self.changes if change["drift"]]

    @property
    def fingerprint(self) -> str:
        """A short hash of exactly these changes in this order."""
        return fingerprint(self.changes)


def compare(
    tree: files.Tree,
    state: Dict[str, Any],
    observed: Observed,
    *,
    manifest: Manifest,
    passwords: accounts.Passwords,
    mask: Mask,
    excused: Container[str] = (),
) -> Plan:
    """The plan, from files read here and now and from what was observed. `excused`: see drift.Drift."""
    comparison = _Comparison(tree, manifest, mask, Drift(tree, manifest, mask, excused))
    plan = comparison.plan
    plan.observed = observed
    plan.packages = compare_packages(state, observed)
    plan.users = [work for work in map(compare_user, state["users"]) if work is not None]
    for spec in state["directories"]:
        comparison.directory(spec)
    for spec in state["keys"]:
        comparison.signing_key(spec, bool(plan.packages))
    for spec in state["certificates"]:
        comparison.certificate(spec, bool(plan.packages))
    for spec in state.get("issued", ()):
        comparison.issued(spec)
    for spec in state["files"]:
        comparison.file(spec)
    for spec in state["account_files"]:
        comparison.account_file(spec, passwords)
    for spec in state.get("filters", ()):
        comparison.filters(spec, state)
    comparison.leaving(state)
    comparison.services(state, observed)
    plan.retiring = obsolete_services.compare(state, observed, manifest)
    plan.compared = _compared(state)
    plan.mends = comparison.drift.mends
    return plan


class _Comparison:
    def __init__(self, tree: files.Tree, manifest: Manifest, mask: Mask, drift: Drift) -> None:
        self.tree, self.manifest, self.mask, self.drift = tree, manifest, mask, drift
        self.plan = Plan()

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
            raise AgentError(f"{spec['path']} is not a directory", "move what is there away, then try again")
        elif _owner_mode(seen, spec):
            updated = [change("directory", "update", spec["path"], _owner_mode(seen, spec))]
            self.plan.directories.append(Work(spec, updated))

    def signing_key(self, spec: Dict[str, Any], may_lack_openssl: bool) -> None:
        found = dkim_keys.compare(self.tree, spec, self.manifest.files, may_lack_openssl)
        self.plan.digests.update(found.digests)
        seen = {path: files.look(self.tree.at(path)) for path in found.data}
        edits = [self.drift.of(path, seen[path], data) for path, data in found.data.items()]
        if found.action:
            detail = ", ".join(dict.fromkeys([found.detail, *(edit.note for edit in edits if edit.note)]))
            stops = any(edit.stops for edit in edits)
            made = [change("key", found.action, spec["name"], detail, drift=stops)]
            self.plan.keys.append(Work(spec, made, {}))
            return
        details = []
        for path, there in seen.items():
            group, mode = ("root", "0644") if path == spec["public"] else (spec["group"], "0640")
            wanted = {"owner": "root", "group": group, "mode": mode}
            if there is not None and not self.tree.root and _owner_mode(there, wanted):
                details.append(f"{path}: {_owner_mode(there, wanted)}")
        if details:
            self.plan.keys.append(Work(spec, [change("key", "update", spec["name"], ", ".join(details))]))

    def certificate(self, spec: Dict[str, Any], may_lack_openssl: bool) -> None:
        found = certificates.compare(self.tree, spec, self.manifest.files, may_lack_openssl)
        self.plan.digests.update(found.digests)
        edits = [self._edit(spec["certificate"]), self._edit(spec["key"])]
        if found.action:
            notes = [found.detail, *(edit.note for edit in edits if edit.note)]
            detail, drift = ", ".join(dict.fromkeys(notes)), any(edit.stops for edit in edits)
            made = [change("certificate", found.action, spec["certificate"], detail, drift=drift)]
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
            by_hand = list(dict.fromkeys(edit.note for edit in edits if edit.note and not edit.content))
            detail = ", ".join([*by_hand, *details])
            updated = [change("certificate", "update", spec["certificate"], detail, drift=bool(by_hand))]
            self.plan.certificates.append(Work(spec, updated, False))

    def issued(self, spec: Dict[str, Any]) -> None:
        """By a certificate authority; what the daemons read until then is made on the host."""
        found, names = acme.look(self.tree, spec), ", ".join(spec["names"])
        if found.missing:
            detail = f"self-signed for {names}, until it is issued"
            made = [change("certificate", "create", spec["path"], detail)]
            self.plan.placeholders.append(Work(spec, made))
        if found.todo:
            how = f"{spec['server']} issues it for {names}" if found.todo == "issue" else "put into service"
            made = [change("certificate", "run", spec["name"], f"{how}: {found.why}")]
            self.plan.issues.append(Work(spec, made, found.todo))

    def _edit(self, path: str) -> Edit:
        real = self.tree.at(path)
        return self.drift.of(path, files.look(real), files.read(real))

    def _look(self, path: str) -> Tuple[Optional[files.Seen], Optional[bytes], Edit]:
        """What is there, its content, and what somebody did to it."""
        real = self.tree.at(path)
        seen, data = files.look(real), files.read(real)
        if seen is not None and seen.kind != "link":
            if data is None:
                raise AgentError(f"{path} is not a regular file", "move what is there away, then try again")
            self.plan.digests[path] = files.sha256(data)
        return seen, data, self.drift.of(path, seen, data)

    def file(self, spec: Dict[str, Any]) -> None:
        path, content = spec["path"], self._content(spec).encode("utf-8", "surrogateescape")
        seen, data, edit = self._look(path)
        notes = _notes(seen, edit)
        if data == content and seen is not None:
            detail = _owner_mode(seen, spec)
            if detail:
                # Edited to what is wanted anyway is no drift; another owner or mode than applied is.
                by_hand = bool(edit.note) and not edit.content
                detail = ", ".join([*(notes if by_hand else []), detail])
                self.plan.files.append(Work(spec, [change("file", "update", path, detail, drift=by_hand)]))
            return
        if seen is not None and seen.kind == "file" and _owner_mode(seen, spec):
            notes.append(_owner_mode(seen, spec))
        if spec["secret"]:
            notes.append("content is secret, not shown")
        diff = "" if spec["secret"] else unified(path, data, content, self.mask)
        action = "create" if seen is None else "update"
        drift, shown = edit.stops, "" if spec["secret"] else edit.diff
        made = [change("file", action, path, ", ".join(notes), diff, drift=drift, edit=shown)]
        self.plan.files.append(Work(spec, made, content))

    def _content(self, spec: Dict[str, Any]) -> str:
        """What the file must hold: the inventory's part, and local settings of the host."""
        text: str = spec["content"]
        if not spec["local"]:
            return text
        own = local_settings.read(self.tree, spec["local"])
        self.plan.locals[spec["local"]] = "absent" if own is None else files.sha256(own)
        both = text + "\n" + (own or b"").decode("utf-8", "surrogateescape")
        for name, ours, theirs in local_settings.overridden(both, spec["guarded"]):
            what = f"a local setting makes {name} `{theirs}` instead of `{ours}`, and security depends on it"
            self.plan.notices.append(self.mask(f"{spec['path']}: {what}"))
        return local_settings.merged(text, own, spec["local"]) if spec["merges"] else text

    def account_file(self, spec: Dict[str, Any], passwords: accounts.Passwords) -> None:
        path = spec["path"]
        seen, data, edit = self._look(path)
        notes, drift = _notes(seen, edit), edit.stops
        found = accounts.compare(spec, data, passwords)
        rewrite = found.content is None or found.content != data
        changes = []
        if seen is None or seen.kind == "link" or _owner_mode(seen, spec):
            if seen is not None and seen.kind == "file":
                notes.append(_owner_mode(seen, spec))
            action = "create" if seen is None else "update"
            changes.append(change("file", action, path, ", ".join(notes), drift=drift))
        elif not found.changes and rewrite:
            notes.append("lines that are no account's")
            changes.append(change("file", "update", path, ", ".join(notes), drift=drift))
        elif notes and found.changes:
            changes.append(change("file", "update", path, ", ".join(notes), drift=drift))
        changes += [change("account", action, user, detail) for action, user, detail in found.changes]
        if changes:
            self.plan.accounts.append(Work(spec, changes, (found.lines, rewrite)))

    def filters(self, spec: Dict[str, Any], state: Dict[str, Any]) -> None:
        """Looks at users' scripts only where what they may do is about to change."""
        if any(work.spec["path"] == spec["configuration"] and _content(work) for work in self.plan.files):
            # The file's spelling of a quote is Dovecot's business.
            users = {
                entry[0].replace("\\'", "'") for file in state["account_files"] for entry in file["entries"]
            }
            self.plan.notices += sieve.notices(spec, sieve.requiring(self.tree, spec, users))

    def leaving(self, state: Dict[str, Any]) -> None:
        wanted = {spec["path"] for spec in [*state["files"], *state["account_files"]]}
        wanted |= {spec[name] for spec in state["certificates"] for name in ("certificate", "key")}
        wanted |= {path for spec in state["keys"] for path in dkim_keys.paths(spec)}
        for path, entry in sorted(self.manifest.files.items()):
            if path in wanted:
                continue
            seen, data = files.look(self.tree.at(path)), files.read(self.tree.at(path))
            if seen is None or seen.kind not in ("file", "link"):
                continue
            if data is not None:
                self.plan.digests[path] = files.sha256(data)
            notes = ["no longer in the inventory"]
            edit = self.drift.of(path, seen, data)
            if edit.content:  # another owner or mode is no loss when the file goes
                notes.append(edit.note)
            diff = unified(path, data, None, self.mask) if entry["kind"] == "file" else ""
            gone = change("file", "delete", path, ", ".join(notes), diff, drift=edit.content, edit=edit.diff)
            self.plan.leaving.append(Work({"path": path}, [gone]))

    def services(self, state: Dict[str, Any], observed: Observed) -> None:
        changing = {work.spec["path"] for work in [*self.plan.files, *self.plan.leaving] if _content(work)}
        changing |= {work.spec["path"] for work in self.plan.accounts if work.data[1]}
        for work in self.plan.certificates:
            changing |= {work.spec["certificate"], work.spec["key"]} if work.data else set()
        for work in self.plan.keys:
            changing |= set(dkim_keys.paths(work.spec))
        installing = [work.spec["name"] for work in self.plan.packages]
        for spec in state["services"]:
            loaded = self.manifest.services.get(spec["unit"], {})
            wanted = [*spec["files"], *spec["restart_on"]]
            differ = [path for path in wanted if path in changing or loaded.get(path) != self._digest(path)]
            differ += [path for path in loaded if path not in wanted]
            todo = self._jails(spec, observed, first=not loaded) if spec.get("jails") else spec
            work = compare_service(todo, observed, differ=list(dict.fromkeys(differ)), installing=installing)
            if work.changes:
                self.plan.services.append(work)

    @staticmethod
    def _jails(spec: Dict[str, Any], observed: Observed, first: bool) -> Dict[str, Any]:
        """With what is to be done about bans besides: `counts` jails that begin now, `unban` addresses."""
        lifted = bans.to_lift(spec) if observed.units[spec["unit"]].runs else []
        return {**spec, "counts": spec["jails"] if first else [], "unban": lifted}

    def _digest(self, path: str) -> str:
        """Of a managed file, or of one that others keep, such as a renewed certificate behind a link."""
        if path not in self.plan.digests:
            data = files.read(self.tree.at(path), follow=True)
            return files.sha256(data) if data is not None else "absent"
        return self.plan.digests[path]


def _content(work: Work) -> bool:
    return work.data is not None or work.changes[0]["action"] == "delete"


def _notes(seen: Optional[files.Seen], edit: Edit) -> List[str]:
    if seen is not None and seen.kind == "link" and not edit.note:
        return [f"replaces a symbolic link to {seen.target}"]
    return [edit.note] if edit.note else []


def _owner_mode(seen: files.Seen, spec: Dict[str, Any]) -> str:
    """ "owner root:root → root:dovecot, mode 0644 → 0640", empty when both are as wanted."""
    ids = files.ids_or_none(spec["owner"], spec["group"])
    return files.owner_mode_change(
        seen, int(spec["mode"], 8), ids, lambda: f"{spec['owner']}:{spec['group']}"
    )


def _compared(state: Dict[str, Any]) -> str:
    """ "4 packages, 12 files, 3 accounts, 2 services"."""
    counts = [
        (len(state["packages"]), "package"),
        (len(state["users"]), "user"),
        (len(state["files"]) + len(state["account_files"]), "file"),
        (sum(len(spec["entries"]) for spec in state["account_files"]), "account"),
        (len(state["keys"]), "DKIM key"),
        (len(state["certificates"]) + len(state.get("issued", ())), "certificate"),
        (len(state["services"]), "service"),
    ]
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count)
