"""Where in the inventory's file stands what a probe looked at.

    places(path) -> (target) -> (line, column)

The line of the account, else of the host where a port was looked at, else of the domain, else of the host. The top of
the file where none of them is found, as in a file that cannot be read any more. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mailprov.errors import InputError
from mailprov.model.findings import Target
from mailprov.schema.document import Document, KeyPath, Map, Position

TOP: Position = (1, 1)


def places(path: Path) -> Callable[[Target], Position]:
    from mailprov.inventory.composer import parse
    from mailprov.inventory.files import read

    try:
        document = parse(read(path), str(path))
    except InputError:
        return lambda target: TOP

    def place(target: Target) -> Position:
        for found in _ways(document, target):
            return document.position(found, key=True)
        return TOP

    return place


def _ways(document: Document, target: Target) -> list[KeyPath]:
    """The best first; names as they are written there."""
    account, _at, at = target.account.rpartition("@")
    domain = _named(document, ("domains",), at) or _named(document, ("domains",), target.domain)
    host = _named(document, ("hosts",), target.host)
    found: list[KeyPath | None] = []
    if domain and account and (known := _named(document, (*domain, "accounts"), account)):
        found.append(known)
    found += [host, domain] if target.port else [domain, host]
    return [path for path in found if path]


def _named(document: Document, above: KeyPath, name: str) -> KeyPath | None:
    node = document.node(above)
    if not name or not isinstance(node, Map):
        return None
    key = next((key for key in node.marks if _ascii(key) == _ascii(name)), None)
    return (*above, key) if key is not None else None


def _ascii(name: str) -> str:
    try:
        return name.casefold().encode("idna").decode()
    except UnicodeError:
        return name.casefold()
