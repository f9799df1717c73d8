"""What all the checks of one inventory share: where problems go, and which names the file defines.

`Context.problem` notes a problem at a key path; `Context.checked` runs a check of `names` on one value.
`Names` knows what exists by the file as it was written, broken entries included: a host whose `fqdn` is
missing is still defined, and a reference to it is no second mistake.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailprov.errors import Problem
from mailprov.i18n import _
from mailprov.model.secret import Secret
from mailprov.schema import names
from mailprov.schema.document import Document, KeyPath, Map, show
from mailprov.schema.hints import Hints
from mailprov.schema.secret_entry import SecretEntry
from mailprov.schema.secrets import Reference, Vault, absolute

MAX_PROBLEMS = 10_000  # all are told at once, up to here
SECTIONS = ("accounts", "aliases", "lists")


class TooMany(Exception):
    """This is not an inventory with mistakes but something else; those found so far say enough."""


class Context:
    """The state of one `load`. `folder` is where the inventory stands, absolute."""

    def __init__(self, document: Document, vault: Vault, hints: Hints, folder: Path) -> None:
        self.document = document
        self.vault = vault
        self.hints = hints
        self.folder = folder
        self.problems: list[Problem] = []
        self.names = Names(document)
        self.defined: dict[str, KeyPath] = {}  # address → the path of its account, alias or list
        self._moved: tuple[KeyPath, KeyPath] = ((), ())

    def at(self, usual: KeyPath, here: KeyPath) -> Context:
        """The same for keys that are written at `here`, for those who name them as they stand at `usual`."""
        moved = copy.copy(self)
        moved._moved = (usual, here)
        return moved

    def _place(self, path: KeyPath) -> KeyPath:
        usual, here = self._moved
        return (*here, *path[len(usual) :]) if path[: len(usual)] == usual else path

    def problem(self, path: KeyPath, what: str, key: bool = False) -> None:
        """Notes a problem. Raises TooMany when nobody will read on."""
        if len(self.problems) >= MAX_PROBLEMS:
            raise TooMany
        self.problems.append(self.document.problem(self._place(path), what, key))

    def checked(
        self, path: KeyPath, value: str, check: Callable[[str], str], key: bool = False
    ) -> str | None:
        """The value in canonical form, or None after saying what is wrong with it."""
        try:
            return check(value)
        except names.BadName as error:
            self.problem(path, f'"{show(value)}" {error}', key)
            return None

    def secret(self, entry: SecretEntry, path: KeyPath, check: Callable[[str], str] | None = None) -> Secret:
        """The secret that the reference at `path` gives; its value comes at the end of `load`."""
        for kind in ("env", "file", "command"):
            if (given := getattr(entry, kind)) is not None:
                text = tuple(given) if isinstance(given, list) else str(given)
                return self.vault.secret((*self._place(path), kind), Reference(kind, text), check)
        raise AssertionError  # the schema lets no reference without a form through

    def path(self, name: str | None) -> Path | None:
        """A file that the inventory names; a relative path begins at its folder."""
        return None if name is None else absolute(name, self.folder)

    def marks(self, path: KeyPath) -> Any:
        """The keys that are written there."""
        return getattr(self.document.node(self._place(path)), "marks", {})

    def did_you_mean(self, word: str, known: list[str], otherwise: str = "") -> str:
        near = self.hints.near(word, known)
        return "; " + _('did you mean "{word}"?').format(word=near) if near else otherwise


class Names:
    """What the file defines. Domains and addresses in canonical form."""

    def __init__(self, document: Document) -> None:
        hosts = document.data.get("hosts")
        self.hosts: list[str] = list(hosts.marks) if isinstance(hosts, Map) else []
        self.hosts_known = isinstance(hosts, Map)
        self.locals: dict[str, set[str]] = {}  # domain → names before the @
        self.opaque: set[str] = set()  # domains of which a section cannot be read: anything may exist there
        self.alias_of: dict[str, str] = {}  # domain alias → domain
        domains = document.data.get("domains")
        if not isinstance(domains, Map):
            return
        for key in domains.marks:
            try:
                domain = names.domain(key)
            except names.BadName:
                continue
            self._domain(domain, domains.get(key))

    def _domain(self, domain: str, entry: object) -> None:
        local = self.locals.setdefault(domain, set())
        if not isinstance(entry, Map) or (
            "hosted" in entry.marks and "hosts" not in entry.marks
        ):  # who has a mailbox at a provider is not ours to know
            self.opaque.add(domain)
            return
        for section in SECTIONS:
            given = entry.get(section)
            if isinstance(given, Map):
                local.update(name.lower() for name in given.marks)
            elif section in entry.marks:
                self.opaque.add(domain)
        aliases = entry.get("domain_aliases")
        for name in aliases if isinstance(aliases, list) else []:
            try:
                self.alias_of.setdefault(names.domain(str(name)), domain)
            except names.BadName:
                continue

    def canonical(self, address: str) -> str:
        """The address with a domain alias replaced by its domain."""
        local, __, domain = address.rpartition("@")
        return (
            f"{local}@{self.alias_of[domain]}"
            if domain in self.alias_of and domain not in self.locals
            else address
        )

    def lacks(self, address: str) -> bool:
        """Whether the (canonical) address is in one of the file's own domains and nothing defines it."""
        local, __, domain = address.rpartition("@")
        return domain in self.locals and domain not in self.opaque and local not in self.locals[domain]
