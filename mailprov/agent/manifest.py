"""What mailprov manages on this host: /var/lib/mailprov/manifest.json.

    load(tree) -> Manifest
    Manifest.files       path → {"sha256", "owner", "group", "mode", "kind", …} as last applied; kind is file,
                         secret, accounts, certificate (with "names" and "expires") or key
    Manifest.services    unit → {path: sha256} of the files it last loaded successfully
    Manifest.found       units among them that ran before mailprov managed them, and go on when it no longer does
    Manifest.unwanted    unit that a package brings and nobody needs → absent or rests, when mailprov last looked
    Manifest.save()      writes only when something differs

It finds files that left the inventory, files edited by hand, and daemons that never loaded what is there.
Raises AgentError when the file is there and cannot be understood.
"""

from __future__ import annotations

import json
from typing import Any, Container, Dict, Iterable, List, NamedTuple

from mailprov.agent import files
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

PATH = files.STATE + "/manifest.json"


class Manifest:
    def __init__(self, tree: files.Tree, body: Dict[str, Any]) -> None:
        self._tree = tree
        self._saved = _encode(body) if body else b""
        self.files: Dict[str, Dict[str, Any]] = dict(body.get("files", {}))
        self.services: Dict[str, Dict[str, str]] = dict(body.get("services", {}))
        self.found: List[str] = list(body.get("found", []))
        self.unwanted: Dict[str, str] = dict(body.get("unwanted", {}))

    def save(self) -> bool:
        """Write what changed; False when the file already says this (a no-change run writes nothing)."""
        more = {"found": self.found, "unwanted": self.unwanted}
        more = {name: value for name, value in more.items() if value}
        body = _encode({"version": 1, "files": self.files, "services": self.services, **more})
        if body == self._saved or (not self._saved and not self.files and not self.services):
            return False
        files.write(self._tree.at(PATH), body, 0o600)
        self._saved = body
        return True

    def loaded(self, unit: str, digests: Dict[str, str], *, ran: bool) -> None:
        """The unit has read these files. `ran`: it ran before this run; that counts the first time."""
        if ran and unit not in self.services:
            self.found = sorted({*self.found, unit})
        self.services[unit] = digests

    def keep_services(self, units: Container[str]) -> None:
        """Forget all others: they are no longer ours."""
        self.services = {unit: loads for unit, loads in self.services.items() if unit in units}
        self.found = [unit for unit in self.found if unit in units]

    def describe(
        self, entries: Iterable["Entry"], digests: Dict[str, str], certificates: Dict[str, Dict[str, Any]]
    ) -> None:
        """Make `files` say what the state wants, with the digests of what is on the disk now."""
        self.files = {}
        for entry in entries:
            if entry.path in digests:
                described = {name: value for name, value in entry._asdict().items() if name != "path"}
                more = certificates.get(entry.path, {}) if entry.kind == "certificate" else {}
                self.files[entry.path] = {"sha256": digests[entry.path], **described, **more}


class Entry(NamedTuple):
    """What is known of a file that mailprov manages, but for its content."""

    path: str
    kind: str
    owner: str
    group: str
    mode: str

    @classmethod
    def of(cls, spec: Dict[str, Any], kind: str) -> "Entry":
        return cls(spec["path"], kind, spec["owner"], spec["group"], spec["mode"])


def _encode(body: Dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, indent=1).encode("ascii") + b"\n"


def load(tree: files.Tree) -> Manifest:
    """The host's manifest; an empty one on a host that mailprov has never applied to."""
    data = files.read(tree.at(PATH))
    try:
        body = json.loads(data) if data else {}
        if not isinstance(body, dict):
            raise ValueError
    except ValueError as error:
        raise AgentError(
            _("{path} is damaged").format(path=PATH),
            _("move it away; mailprov then takes over what it finds"),
        ) from error
    return Manifest(tree, body)
