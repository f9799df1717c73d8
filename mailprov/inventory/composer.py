"""YAML text → `Document`.

`parse(text, file)` builds mappings, lists and texts from the parser's events, each with its position.
Nothing is constructed: numbers, booleans and keys stay text (`Plain` where unquoted), so that an account
called `no` or `1234` is one. Anchors, aliases and merge keys work, within bounds (depth, and size after
expansion). Duplicate keys are collected in `Document.problems`, keys without a value in `Document.empty`; what
makes the file unreadable ends it.

Raises InventoryError (not YAML, more than one document, top level not a mapping, …). No message repeats
text of the file other than keys: an unquoted password may look like an alias, an anchor or a tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from mailprov.errors import InventoryError, Problem
from mailprov.i18n import _
from mailprov.inventory.yaml_errors import Lines, plain_words
from mailprov.schema.document import (
    Document,
    KeyPath,
    Map,
    Plain,
    Position,
    Seq,
    holds_bare_secret,
    show_path,
)

MAX_DEPTH = 32
MAX_EVENTS = 2_000_000  # keys, values, beginnings and ends; 100,000 accounts have 1,100,000
MAX_EXPANDED = 1_000_000  # values that aliases may add; 10,000 accounts with a shared one need 30,000

# Everything but YAML's c-printable (YAML 1.2.2 section 5.1), and the byte order mark. The few that are unwanted and not
# the others, because re's compiler looks at each character of a set: 6 ms for the others, 0.3 ms for these.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS = frozenset({"!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


def parse(text: str, file: str) -> Document:
    """The data of one YAML document whose top is a mapping.

    Raises InventoryError for what cannot be read at all.
    """
    if found := _CONTROL.search(text):
        before = text[: found.start()]
        line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
        seen = _("the control character U+{code:04X} cannot stand in YAML; remove it").format(
            code=ord(found[0])
        )
        raise InventoryError([Problem(file, line, column, "", seen)])
    return _Reader(text, file).document()


def events(text: str) -> Iterator[Any]:
    """The YAML events of `text`: by libyaml where it is installed, else by its slow twin in Python."""
    try:
        from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]
    except ImportError:
        return events_in_python(text)
    return iter(CParser(text).get_event, None)


def events_in_python(text: str) -> Iterator[Any]:
    from ruamel.yaml import YAML

    yield from YAML(typ="safe", pure=True).parse(text)


class _Frame:
    """A mapping or list that is being read. There are 20,000 in an inventory of 10,000 accounts."""

    __slots__ = ("anchor", "into", "is_map", "key", "key_at", "merges", "merging", "skip", "weight")

    def __init__(self, into: Map | Seq, anchor: str | None) -> None:
        self.into, self.anchor = into, anchor
        self.is_map = type(into) is Map
        self.key: str | None = None  # of a Map: the key whose value comes next
        self.key_at: Position = (1, 1)
        self.merging = False  # the key was `<<`
        self.merges: tuple[Map, ...] = ()
        self.skip = False  # the key was there before: read its value, do not keep it
        self.weight = 1  # values in it, aliases expanded


class _Reader:
    """Builds the data from events. A loop and a stack, so that no depth of nesting can exhaust ours."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.lines = Lines(text)
        self.problems: list[Problem] = []
        self.empty: list[tuple[KeyPath, Position]] = []
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.expanded = 0
        self.top: Any = None

    def document(self) -> Document:
        from ruamel.yaml import events as kinds
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        take: dict[type, Callable[[Any], None]] = {
            kinds.ScalarEvent: self._scalar,
            kinds.MappingStartEvent: lambda event: self._begin(event, Map),
            kinds.MappingEndEvent: self._end,
            kinds.SequenceStartEvent: lambda event: self._begin(event, Seq),
            kinds.SequenceEndEvent: self._end,
            kinds.AliasEvent: self._alias,
            kinds.DocumentStartEvent: self._document,
        }
        try:
            for number, event in enumerate(events(self.text)):
                if number > MAX_EVENTS:
                    raise self._stop(self._at(event), _("this is more than an inventory holds; split it"))
                if (with_it := take.get(type(event))) is not None:
                    with_it(event)
        except MarkedYAMLError as error:
            line, column, what = plain_words(error, self.lines)
            raise self._stop((line, column), what) from None
        except (YAMLError, ValueError, RecursionError, AttributeError):
            # The parser in Python meets some broken input with these instead of an error with a position.
            raise self._stop((1, 1), _("this is not YAML; check indentation, quotes and brackets")) from None
        if self.top is None:
            seen = _(
                "the file is empty; it needs at least `hosts:` and `domains:` (`mailprov init` writes a first one)"
            )
            raise self._stop((1, 1), seen)
        return Document(self.file, self.top, self.problems, self.empty)

    def _at(self, event: Any) -> Position:
        return self.lines.position(event.start_mark)

    def _stop(self, at: Position, what: str) -> InventoryError:
        return InventoryError([*self.problems, Problem(self.file, at[0], at[1], self._shown_path(), what)])

    def _path(self) -> list[str | int]:
        steps: list[str | int] = []
        for frame in self.stack:
            if isinstance(frame.into, Seq):
                steps.append(len(frame.into))
            elif frame.key is not None:
                steps.append(frame.key)
        return steps

    def _shown_path(self) -> str:
        steps = self._path()
        for index, frame in enumerate(self.stack[: len(steps)]):
            if holds_bare_secret(frame.into):
                steps[index] = "…"
        return show_path(steps)

    def _document(self, event: Any) -> None:
        if self.top is not None:
            seen = _("a second document begins here (`---`); an inventory is one document")
            raise self._stop(self._at(event), seen)

    def _scalar(self, event: Any) -> None:
        """Most of a large inventory: 60,000 of the 100,000 events of 10,000 accounts."""
        at = self._at(event)
        if not self.stack:
            if not event.value and not event.style:
                return  # an empty document; what comes of it is said at the end
            raise self._stop(at, _("the top level must be a mapping (`hosts:`, `domains:`, …), not text"))
        text = event.value
        quoted = bool(event.style)
        if event.ctag is not None:
            self._check_tag(event, at)
            quoted = True
        frame = self.stack[-1]
        if frame.is_map and frame.key is None:
            if event.anchor:
                self.anchors[event.anchor] = (text if quoted else Plain(text), 1)
            self._key(frame, text, at, not quoted and text == "<<")
            return
        value = text if quoted else None if text in _NULLS else Plain(text)
        if event.anchor:
            self.anchors[event.anchor] = (value, 1)
        self._put(value, at, 1)

    def _key(self, frame: _Frame, key: str, at: Position, merging: bool) -> None:
        frame.key, frame.key_at, frame.merging, frame.skip = key, at, merging, False
        marks: Any = frame.into.marks
        if key in marks and not merging:
            line, column = marks[key][0]
            seen = _("this key is here twice, first in line {line}, column {column}; keep one").format(
                line=line, column=column
            )
            self.problems.append(Problem(self.file, at[0], at[1], self._shown_path(), seen))
            frame.skip = True

    def _begin(self, event: Any, into: type[Map] | type[Seq]) -> None:
        at = self._at(event)
        if not self.stack and into is Seq:
            raise self._stop(at, _("the top level must be a mapping (`hosts:`, `domains:`, …), not a list"))
        if event.ctag is not None:
            self._check_tag(event, at)
        if self.stack and self.stack[-1].is_map and self.stack[-1].key is None:
            seen = _("a key must be text; quote a text that begins with `{` or `[`, and use no `{{ }}`")
            raise self._stop(at, seen)
        if len(self.stack) >= MAX_DEPTH:
            raise self._stop(
                at, _("mappings and lists are nested more than {depth} deep").format(depth=MAX_DEPTH)
            )
        if event.anchor:
            self.anchors.pop(event.anchor, None)  # until it ends, an alias to it would be inside itself
        self.stack.append(_Frame(into(at), event.anchor))

    def _end(self, event: Any) -> None:
        frame = self.stack.pop()
        if frame.merges and isinstance(frame.into, Map):
            for merged in frame.merges:
                for key, marks in merged.marks.items():
                    if key not in frame.into.marks:
                        frame.into.marks[key] = marks
                        if key in merged:
                            frame.into[key] = merged[key]
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.into, frame.weight)
        if self.stack:
            self._put(frame.into, frame.into.where, frame.weight)
        else:
            self.top = frame.into

    def _alias(self, event: Any) -> None:
        at = self._at(event)
        if not self.stack:
            raise self._stop(at, _("the top level must be a mapping, not an alias"))
        if any(frame.anchor == event.anchor for frame in self.stack):
            raise self._stop(
                at, _("this alias (`*`) stands inside the value it repeats; write the value out")
            )
        if event.anchor not in self.anchors:
            seen = _(
                "this alias (`*`) has no anchor (`&`) before it; a text that begins with `*` needs quotes"
            )
            raise self._stop(at, seen)
        value, weight = self.anchors[event.anchor]
        self.expanded += weight
        if self.expanded > MAX_EXPANDED:
            raise self._stop(
                at,
                _("aliases expand to more than {count:,} values; use fewer").format(count=MAX_EXPANDED),
            )
        frame = self.stack[-1]
        if frame.is_map and frame.key is None:
            if not isinstance(value, str):
                raise self._stop(at, _("a key must be text, not an alias of something else"))
            self._key(frame, str(value), at, False)
            return
        self._put(value, at, weight)

    def _put(self, value: Any, at: Position, weight: int) -> None:
        frame = self.stack[-1]
        frame.weight += weight
        into: Any = frame.into
        if value is None and not frame.skip:
            self.empty.append((tuple(self._path()), frame.key_at if frame.is_map else at))
        if not frame.is_map:
            if value is not None:
                into.append(value)
                into.marks.append(at)
            return
        key, frame.key = frame.key, None
        if frame.skip:
            frame.skip = False
        elif frame.merging:
            maps = value if isinstance(value, Seq) else [value]
            if not all(isinstance(item, Map) for item in maps):
                raise self._stop(frame.key_at, _("`<<` takes a mapping, or a list of mappings"))
            frame.merges += tuple(maps)
        else:
            into.marks[key] = (frame.key_at, at)
            if value is not None:
                into[key] = value

    def _check_tag(self, event: Any, at: Position) -> None:
        if str(event.ctag) not in _TAGS:
            seen = _("tags (`!…`) have no meaning here; quote a text that begins with `!`")
            raise self._stop(at, seen)


def _at(event: Any) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1
