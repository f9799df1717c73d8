"""Compares what the host must be with what it is; says every change in the order in which it will be made.

    compare(tree, state, observed, …) -> Plan       of all kinds of resource: resources/registry.py

Reads only. Raises AgentError for what cannot be made true: no candidate for a package, another version than the state
was made for, a directory where a file must be, a masked unit.
"""

from __future__ import annotations

from typing import Any, Container, Dict, List, Type, TypeVar

from mailprov.agent import files
from mailprov.agent.changes import Change, Observed, fingerprint
from mailprov.agent.manifest import Manifest
from mailprov.agent.redaction import Redactor
from mailprov.agent.resources import sieve
from mailprov.agent.resources.acme import Issue
from mailprov.agent.resources.base import Look, Resource
from mailprov.agent.resources.config_files import ConfigFile
from mailprov.agent.resources.passwd_file import Passwords
from mailprov.agent.resources.registry import KINDS, counted, entries

R = TypeVar("R", bound=Resource)


class Plan:
    """All resources that differ, in order. `digests`, `known` and `locals` as in resources/base.Look; `mends` are
    commands that give back what was changed by hand, where these are owners and modes.
    """

    def __init__(self, look: Look) -> None:
        self.resources: List[Resource] = look.found
        self.digests, self.known, self.locals = look.digests, look.known, look.locals
        self.notices, self.mends = look.notices, look.drift.mends
        self.observed = look.observed
        self.compared = counted(look.state)

    def of(self, kind: Type[R]) -> List[R]:
        """Those of this kind, typed."""
        return [one for one in self.resources if isinstance(one, kind)]

    @property
    def changes(self) -> List[Change]:
        return [change for one in self.resources for change in one.changes]

    @property
    def transaction(self) -> List[Change]:
        """What is done as a whole or not at all: everything but what a certificate authority must do."""
        return [change for one in self.resources if not isinstance(one, Issue) for change in one.changes]

    @property
    def drifted(self) -> List[Change]:
        """Those that would overwrite or remove what somebody edited by hand."""
        return [change for change in self.changes if change["drift"]]

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.changes)


def compare(
    tree: files.Tree,
    state: Dict[str, Any],
    observed: Observed,
    *,
    manifest: Manifest,
    passwords: Passwords,
    redact: Redactor,
    excused: Container[str] = (),
) -> Plan:
    """The plan, from files read here and now and from what was observed. `excused`: see resources/drift.py."""
    look = Look(tree, state, observed, manifest=manifest, passwords=passwords, redact=redact, excused=excused)
    look.wanted.update(entry.path for entry in entries(state))
    for kind in KINDS:
        look.found.extend(kind.compare(look))
    for spec in state.get("filters", ()):
        _filters(look, spec)
    look.notices += state.get("notices", ())
    return Plan(look)


def _filters(look: Look, spec: Dict[str, Any]) -> None:
    """Looks at users' scripts only where what they may do is about to change."""
    if any(spec["configuration"] in one.rewrites() for one in look.of(ConfigFile)):
        # The file's spelling of a quote is Dovecot's business.
        every = (entry for file in look.state["account_files"] for entry in file["entries"])
        users = {entry[0].replace("\\'", "'") for entry in every}
        look.notices += sieve.notices(spec, sieve.requiring(look.tree, spec, users))
