"""Entries put into, taken out of and changed in mappings of a YAML text: what else stands in the file stays as it is.

    appended(tree, mapping, name, value)       a new last entry
    filled(tree, entry, name, value)           the first entry of a mapping that is written as `key:` and nothing more
    replaced(tree, entry, value)               another value
    replaced_pair(tree, entry, name, value)    another key and value, where both stand
    removed(tree, holder, mapping, entry)      without an entry of `mapping`, which is the value of `holder`

Each gives the new text. `value` is a text, a boolean, a list or a dict of such, written in the way of its neighbours:
in braces or in lines, indented as they are, in quotes as JSON has them where the keys are.

Why not ruamel.yaml's round trip, which keeps comments and anchors: it writes the whole file anew. Lines over its width
are folded, indentation becomes one for the whole file, comments move behind other columns, `{a: b}` in several lines
becomes one line, CRLF becomes LF, and who keeps the file in git finds the edit among hundreds of changed lines. So the
text is cut at the parser's own marks, and `accounts` reads the result again before anybody sees it.

Raises Unsafe, with the place, for a form that cannot be cut so.
"""

from __future__ import annotations

import json
import re
from typing import Any

from mailprov.i18n import _
from mailprov.inventory.edit.nodes import Entry, Node, Tree
from mailprov.schema.document import Position

_BREAK = re.compile(r"\r\n|\n|\r")
_COLON = re.compile(r"[ \t]*:")
_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\r\n]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./@][A-Za-z0-9_.@/+=-]*")
# What YAML 1.1 or 1.2 takes for something else than text. mailprov does not; other programs that read the file may.
_SPECIAL = re.compile(
    r"(?i:y|n|yes|no|on|off|true|false|null|nan|\.nan|\.inf)|[0-9._+-]+([eE][0-9+-]+)?|0[ox].*"
)


class Unsafe(Exception):
    """`at`: line and column; the text is what stands there, as the end of a sentence."""

    def __init__(self, at: Position, what: str) -> None:
        super().__init__(what)
        self.at = at


def written(value: Any, as_json: bool = False) -> str:
    """A value on one line, as JSON has it where `as_json`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        pairs = (f"{written(key, as_json)}: {written(each, as_json)}" for key, each in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(each, as_json) for each in value) + "]"
    if (
        not as_json
        and _PLAIN.fullmatch(value)
        and (_SIZE_OR_DATE.fullmatch(value) or not _SPECIAL.fullmatch(value))
    ):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


_SIZE_OR_DATE = re.compile(r"[1-9][0-9]*[KMGT]?|[0-9]{4}-[0-9]{2}-[0-9]{2}")


def appended(tree: Tree, mapping: Node, name: str, value: Any, step: int = 0) -> str:
    """With `step`, and where `mapping` has no braces, each entry of `value` has a line below `name`."""
    if mapping.flow:
        return _appended_in_braces(tree, mapping, name, value)
    last = mapping.entries[-1]
    indent = " " * (last.key.at[1] - 1)
    lines = _lines(name, value, indent, (step, False) if step else _like(last))
    return _after_line(tree.text, _end(tree.text, last), lines)


def filled(tree: Tree, entry: Entry, name: str, value: Any, step: int) -> str:
    """`step`: columns that the new entry stands deeper than `entry`."""
    indent = " " * (entry.key.at[1] - 1 + step)
    return _after_line(tree.text, _end(tree.text, entry), _lines(name, value, indent, None))


def replaced(tree: Tree, entry: Entry, value: Any) -> str:
    key, old = entry
    text = tree.text
    if old.is_null and old.start == old.end:
        place = _end(text, entry)
        return f"{text[:place]} {written(value, _is_json(key))}{text[place:]}"
    _no_comment(tree, old, old.start, old.end)
    _not_shared(tree, old, old.start, old.end)
    if old.is_block:
        start = _colon(text, key)
        _no_comment(tree, old, start, old.end)
        return f"{text[:start]} {written(value, _is_json(key))}{text[old.end :]}"
    return f"{text[: old.start]}{written(value, _is_json(key))}{text[old.end :]}"


def replaced_pair(tree: Tree, entry: Entry, name: str, value: str) -> str:
    key, old = entry
    end = _end(tree.text, entry)
    _no_comment(tree, old, key.end, end)
    _not_shared(tree, key, key.start, end)
    as_json = _is_json(key)
    return f"{tree.text[: key.start]}{written(name, as_json)}: {written(value, as_json)}{tree.text[end:]}"


def removed(tree: Tree, holder: Entry, mapping: Node, entry: Entry) -> str:
    text = tree.text
    _not_shared(tree, entry.key, entry.key.start, _end(text, entry))
    if mapping.flow:
        return _removed_from_braces(tree, mapping, entry)
    start, end = _whole_lines(tree, entry)
    if len(mapping.entries) == 1:
        if mapping.anchor:
            raise Unsafe(mapping.at, _("has an anchor (`&`) and nothing else in it"))
        colon = _colon(text, holder.key)
        return f"{text[:colon]} {{}}{text[colon:start]}{text[end:]}"
    return _without_lines(text, start, end)


def _without_lines(text: str, start: int, end: int) -> str:
    """Where the last line has no end, the one before it has none then either."""
    if end == len(text) and start and not _BREAK.search(text, max(start, end - 2)):
        before = text[:start]
        return before[: -2 if before.endswith("\r\n") else -1]
    return text[:start] + text[end:]


def _whole_lines(tree: Tree, entry: Entry) -> tuple[int, int]:
    text = tree.text
    start, end = _line_start(text, entry.key.start), _end(text, entry)
    if text[start : entry.key.start].strip(" ?"):
        raise Unsafe(entry.key.at, _("does not begin its line"))
    found = _BREAK.search(text, end)
    if not _blank(text[end : found.start() if found else len(text)]):
        raise Unsafe(entry.key.at, _("does not end its line"))
    return start, found.end() if found else len(text)


def _appended_in_braces(tree: Tree, mapping: Node, name: str, value: Any) -> str:
    text = tree.text
    if not mapping.entries:
        place = text.index("{", mapping.start) + 1
        return f"{text[:place]}{_pair(name, value, False)}{text[place:]}"
    last = mapping.entries[-1]
    end, as_json = _end(text, last), _is_json(last.key)
    pair, comma = _pair(name, value, as_json), _comma(text, end, mapping.end - 1)
    own = _line_start(text, last.key.start)
    found = _BREAK.search(text, max(end, comma))
    if text[own : last.key.start].strip() or not found or found.start() >= mapping.end:
        place = max(end, comma)
        return f"{text[:place]}{'' if comma > 0 else ','} {pair}{text[place:]}"
    indent, place = text[own : last.key.start], found.end()
    if comma > 0:
        return f"{text[:place]}{indent}{pair},{found[0]}{text[place:]}"
    return f"{text[:end]},{text[end:place]}{indent}{pair}{found[0]}{text[place:]}"


def _removed_from_braces(tree: Tree, mapping: Node, entry: Entry) -> str:
    text = tree.text
    index = mapping.entries.index(entry)
    start, end = entry.key.start, _end(text, entry)
    close = mapping.entries[index + 1].key.start if index + 1 < len(mapping.entries) else mapping.end - 1
    behind = max(end, _comma(text, end, close))
    found = _BREAK.search(text, behind)
    own = _line_start(text, start)
    if not text[own:start].strip() and found and _blank(text[behind : found.start()]):
        return text[:own] + text[found.end() :]
    if index + 1 < len(mapping.entries):
        cut = (start, close)
    elif index:
        cut = (_end(text, mapping.entries[index - 1]), behind)
    else:
        cut = (start, behind)
    _no_comment(tree, mapping, *cut)
    return text[: cut[0]] + text[cut[1] :]


def _pair(name: str, value: Any, as_json: bool) -> str:
    return f"{written(name, as_json)}: {written(value, as_json)}"


def _like(neighbour: Entry) -> tuple[int, bool] | None:
    """How far its keys are indented, where it is written in lines, and whether those below them are, too."""
    value = neighbour.value
    if value.kind != "map" or value.flow or not value.entries:
        return None
    deeper = any(each.value.kind == "map" and not each.value.flow for each in value.entries)
    return value.entries[0].key.at[1] - neighbour.key.at[1], deeper


def _lines(name: str, value: Any, indent: str, like: tuple[int, bool] | None) -> list[str]:
    """In one line, or a line for each key of `value`, as `like` says."""
    if not isinstance(value, dict) or like is None:
        return [f"{indent}{_pair(name, value, False)}"]
    step, deeper = like
    found = [f"{indent}{written(name)}:"]
    for key, each in value.items():
        found += _lines(key, each, indent + " " * step, (step, False) if deeper else None)
    return found


def _after_line(text: str, place: int, lines: list[str]) -> str:
    found = _BREAK.search(text, place)
    usual = (_BREAK.search(text) or [found[0] if found else "\n"])[0]
    if found is None:
        return text + "".join(f"{usual}{line}" for line in lines)
    added = "".join(f"{line}{found[0]}" for line in lines)
    return text[: found.end()] + added + text[found.end() :]


def _end(text: str, entry: Entry) -> int:
    """Behind the entry's last character."""
    if entry.value.is_null and entry.value.start == entry.value.end:
        found = _COLON.match(text, entry.key.end)
        return found.end() if found else entry.key.end
    return entry.value.end


def _colon(text: str, key: Node) -> int:
    """Behind the colon of a key."""
    found = _COLON.match(text, key.end)
    if found is None:
        raise Unsafe(key.at, _("has its colon on another line"))
    return found.end()


def _line_start(text: str, place: int) -> int:
    return max(text.rfind("\n", 0, place), text.rfind("\r", 0, place)) + 1


def _blank(text: str) -> bool:
    """Nothing but blanks and perhaps a comment."""
    return not text.strip(" \t") or bool(re.fullmatch(r"[ \t]+#.*", text))


def _comma(text: str, start: int, end: int) -> int:
    """Behind the first comma of text[start:end] that is in no comment; -1 if there is none."""
    kept = _COMMENT.sub(lambda found: "." * len(found[0]), text[start:end])
    at = kept.find(",")
    return -1 if at < 0 else start + at + 1


def _is_json(key: Node) -> bool:
    return key.style == '"'


def _no_comment(tree: Tree, node: Node, start: int, end: int) -> None:
    """Whoever wrote a comment into a value decides what becomes of it."""
    part = tree.text[start:end]
    for scalar in node.scalars():
        if start <= scalar.start and scalar.end <= end:
            part = (
                part[: scalar.start - start] + "." * (scalar.end - scalar.start) + part[scalar.end - start :]
            )
    if found := _COMMENT.search(part):
        line = tree.text.count("\n", 0, start + found.start()) + 1
        column = start + found.start() - _line_start(tree.text, start + found.start()) + 1
        raise Unsafe((line, column), _("is a comment inside of what would be replaced"))


def _not_shared(tree: Tree, node: Node, start: int, end: int) -> None:
    if name := tree.shared(start, end):
        raise Unsafe(node.at, _("has the anchor `&{name}`, which other places repeat").format(name=name))
