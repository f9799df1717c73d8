"""YAML text → nodes that know from which character to which they stand.

    Tree(text)      of one document; `top` is its mapping, `anchors` and `aliases` are (name, where) in their order
    Node            a scalar, mapping, list or alias: text[start:end]

They are made from the events of the parser that reads inventories (`composer`), so both see the same file. A block
mapping or list ends with its last value: what the parser counts as its end is behind the comments that follow. A value
that is not written stands directly behind its key.

Raises what the parser raises: a text is edited after `composer.parse` has read it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mailprov.inventory.composer import events
from mailprov.inventory.yaml_errors import Lines
from mailprov.schema.document import Position

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class Entry(NamedTuple):
    """A key with its value."""

    key: Node
    value: Node


class Node:
    __slots__ = ("anchor", "at", "end", "entries", "flow", "items", "kind", "start", "style", "text")

    def __init__(self, kind: str, start: int, end: int, at: Position) -> None:
        self.kind = kind  # scalar, map, seq or alias
        self.start, self.end, self.at = start, end, at
        self.text = ""  # of a scalar; of an alias the name of its anchor
        self.style = ""  # of a scalar: its quote, | or >
        self.flow = False
        self.anchor = ""
        self.entries: list[Entry] = []
        self.items: list[Node] = []

    @property
    def is_null(self) -> bool:
        return self.kind == "scalar" and not self.style and self.text in _NULLS

    @property
    def is_block(self) -> bool:
        """A mapping or list that is written without braces."""
        return self.kind in ("map", "seq") and not self.flow

    def find(self, key: str) -> Entry | None:
        return next((each for each in self.entries if each.key.text == key), None)

    def scalars(self) -> list[Node]:
        """All that stand in it, keys too."""
        found: list[Node] = []
        work = [self]
        while work:
            node = work.pop()
            if node.kind == "scalar":
                found.append(node)
            work += node.items
            for entry in node.entries:
                work += entry
        return found


class Tree:
    def __init__(self, text: str) -> None:
        from ruamel.yaml import events as kinds

        self.text = text
        self.anchors: list[tuple[str, int]] = []
        self.aliases: list[tuple[str, int]] = []
        lines = Lines(text)
        top: Node | None = None
        open_: list[tuple[Node, list[Node]]] = []  # with what stands in it, keys and values in turn
        event: Any
        for event in events(text):
            start, end = event.start_mark.index, event.end_mark.index
            kind = _KINDS.get(type(event).__name__)
            if isinstance(event, (kinds.MappingEndEvent, kinds.SequenceEndEvent)):
                node, parts = open_.pop()
                _close(node, parts, end)
            elif kind is not None:
                node = Node(kind, start, end, lines.position(event.start_mark))
                self._named(node, event)
                if kind in ("map", "seq"):
                    node.flow = bool(event.flow_style)
                    open_.append((node, []))
                    continue
                if kind == "scalar":
                    node.text, node.style = event.value, event.style or ""
                    if node.style in ("|", ">"):
                        node.end = start + len(text[start:end].rstrip())
            else:
                continue
            if not open_:
                top = node
                continue
            parts = open_[-1][1]
            if node.is_null and start == end and open_[-1][0].kind == "map" and len(parts) % 2:
                node.start = node.end = parts[-1].end  # the parsers put it at different places
            parts.append(node)
        assert top is not None  # an empty file was refused before
        self.top = top

    def _named(self, node: Node, event: Any) -> None:
        if node.kind == "alias":
            node.text = event.anchor
            self.aliases.append((event.anchor, node.start))
        elif event.anchor:
            node.anchor = event.anchor
            self.anchors.append((event.anchor, node.start))

    def shared(self, start: int, end: int) -> str:
        """An anchor in text[start:end] that something outside of it repeats; empty if there is none."""
        inside = {name for name, at in self.anchors if start <= at < end}
        return next((name for name, at in self.aliases if name in inside and not start <= at < end), "")


_KINDS = {
    "ScalarEvent": "scalar",
    "AliasEvent": "alias",
    "MappingStartEvent": "map",
    "SequenceStartEvent": "seq",
}


def _close(node: Node, parts: list[Node], end: int) -> None:
    if node.kind == "map":
        node.entries = [Entry(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
    else:
        node.items = parts
    node.end = end if node.flow else max([node.start, *(part.end for part in parts)])
