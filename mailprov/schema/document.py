"""The file as plain data that knows where everything stands.

`Document` holds mappings (`Map`), lists (`Seq`) and texts (`str`, or `Plain` where written without quotes)
with the line and column of every key and value, and makes a Problem of a key path and a sentence. `show`
and `show_path` write what came from the file on one line, safe for a terminal. Pure; raises nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailprov.errors import Problem
from mailprov.model import cleaning
from mailprov.model.values import dataclass, field

Position = tuple[int, int]  # line and column, from 1
KeyPath = tuple["str | int", ...]  # keys and list indices from the top

SECRET_FORMS = frozenset({"env", "file", "command", "hash", "initial", "owner"})
_SECRET_KEYS = frozenset({"password", "become_password", "secret", "initial"})
_NAMING_KEYS = frozenset({"accounts", "aliases", "lists", "hosts", "domains"})  # the keys below are names
_NAMED_SECRETS = "app_passwords"  # a key whose values are secrets' references by name
_BESIDE_FORMS = frozenset({"protocols", "expires"})  # what stands there besides


class Plain(str):
    """A scalar written without quotes: it may also be read as a number or a boolean."""

    __slots__ = ()


class Map(dict[str, Any]):
    """A mapping. `marks` holds the position of each key and of its value, also of keys that have no value."""

    __slots__ = ("marks", "where")

    def __init__(self, where: Position = (1, 1)) -> None:
        # Empty already: a dict is made by __new__, and there are 20,000 in an inventory of 10,000 accounts.
        self.where = where
        self.marks: dict[str, tuple[Position, Position]] = {}


class Seq(list[Any]):
    """A list. `marks` holds the position of each item."""

    __slots__ = ("marks", "where")

    def __init__(self, where: Position = (1, 1)) -> None:
        super().__init__()
        self.where = where
        self.marks: list[Position] = []


@dataclass
class Document:
    """The file as data. `file` is the path as the user wrote it."""

    file: str
    data: Map
    problems: list[Problem] = field(default_factory=list)
    empty: list[tuple[KeyPath, Position]] = field(default_factory=list)  # keys and list items without a value

    def node(self, path: KeyPath) -> Any:
        """The value at `path` as it was written; None when there is none."""
        node: Any = self.data
        for step in path:
            if isinstance(node, Map) and isinstance(step, str):
                node = node.get(step)
            elif isinstance(node, Seq) and isinstance(step, int) and step < len(node):
                node = node[step]
            else:
                return None
        return node

    def position(self, path: KeyPath, key: bool = False) -> Position:
        """Where the value at `path` stands, or its key; where there is none, the nearest above it."""
        if not path:
            return self.data.where
        parent, step = self.node(path[:-1]), path[-1]
        if isinstance(parent, Map) and step in parent.marks:
            return parent.marks[str(step)][0 if key else 1]
        if isinstance(parent, Seq) and isinstance(step, int) and step < len(parent.marks):
            return parent.marks[step]
        return self.position(path[:-1], key=True)

    def problem(self, path: KeyPath, what: str, key: bool = False) -> Problem:
        """What is wrong with the value at `path`, or with its key."""
        line, column = self.position(path, key)
        return Problem(self.file, line, column, show_path(path), what)

    def unnamed(self, path: KeyPath, what: str) -> Problem:
        """What is wrong with a key that may be a secret, so that its name is not shown."""
        line, column = self.position(path, key=True)
        return Problem(self.file, line, column, f"{show_path(path[:-1])}.…", what)


def show(text: str, limit: int = 80) -> str:
    """`text` on one line and safe for a terminal."""
    return cleaning.line(text[:limit]) + ("…" if len(text) > limit else "")


def show_path(path: Sequence[str | int]) -> str:
    """`("hosts", "mx1", "ipv4", 0)` → `hosts.mx1.ipv4[0]`.

    What stands for a form of a secret is shown as `…`.
    """
    text = ""
    for index, step in enumerate(path):
        if index == 12:  # deeper than any key of ours
            return f"{text}…"
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        hidden = is_secret(path[:index]) and step not in SECRET_FORMS | _BESIDE_FORMS
        shown = "…" if hidden else show(step)
        text += f".{shown}" if text else shown
    return text


def is_secret(path: Sequence[str | int]) -> bool:
    """Whether the value at `path` is a secret's reference; its keys may be the secret (`{hunter2}`)."""
    if len(path) > 2 and path[-2] == _NAMED_SECRETS and path[-3] not in _NAMING_KEYS:
        return True
    return bool(path) and path[-1] in _SECRET_KEYS and (len(path) < 2 or path[-2] not in _NAMING_KEYS)


def holds_bare_secret(node: object) -> bool:
    """Whether a secret is written out in a mapping: in `{password: my,secret}` it has the key `secret`."""
    return isinstance(node, Map) and any(
        key in node.marks and not isinstance(node.get(key), Map) for key in _SECRET_KEYS
    )
