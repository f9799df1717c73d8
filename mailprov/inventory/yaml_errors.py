"""A YAML parser's complaint in plain words, and its marks as lines and columns that an editor shows.

`plain_words(error, lines)` → (line, column, sentence); `Lines(text).position(mark)` → (line, column). The parsers of
ruamel.yaml (libyaml, and the one in Python) word the same mistakes slightly differently; both are known here. The text
around the mistake is never repeated, because a password may stand in it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Any

from mailprov.i18n import N_, _

# (what the parser's problem or context contains, what we say). `{place}` becomes where the construct began.
_WORDS: tuple[tuple[str, str], ...] = (
    ("quoted scalar", N_("the quote that opens here is never closed")),
    ("flow sequence", N_("the `[` opened {place} is not closed, or a comma is missing before this")),
    ("flow mapping", N_("the `{{` opened {place} is not closed, or a comma is missing before this")),
    (
        "mapping values are not allowed",
        N_("a `: ` cannot stand here; quote a text that contains one, or fix the line above"),
    ),
    ("unexpected ':'", N_("a text with `:` in it needs quotes inside `{{ }}` and `[ ]`")),
    ("tab character", N_("a tab is used for indentation; use spaces")),
    (
        "sequence entries are not allowed",
        N_("a list item (`- `) cannot stand here; begin it on its own line"),
    ),
    ("block mapping", N_("this line does not fit the mapping that began {place}; fix the indentation")),
    ("block collection", N_("this line does not fit the list that began {place}; fix the indentation")),
    ("block sequence", N_("this line does not fit the list that began {place}; fix the indentation")),
    ("simple key", N_("this is not `key: value`; a `:` with a space behind it is missing")),
    ("an anchor", N_("a text that begins with `&` needs quotes")),
    ("an alias", N_("a text that begins with `*` needs quotes")),
    ("a tag", N_("a text that begins with `!` needs quotes")),
    ("node", N_("the value here cannot be read; quote a text that begins with a special character")),
    ("block scalar", N_("a text that begins with `|` or `>` needs quotes")),
    ("document start", N_("this does not belong to what stands above; fix the indentation")),
    ("directive", N_("a line that begins with `%` needs quotes")),
    ("YAML document", N_("the `%YAML` line names another version of YAML; remove the line")),
)
# YAML 1.1 ends a line at these, too; no editor's line numbers do.
_UNSEEN_BREAKS = re.compile("[\x85\u2028\u2029]")
_BREAK = re.compile("\r\n|\n|\r")
_LIST_ITEM_WITHOUT_BLANK = re.compile(r"\s*-[^\s-]")
ITEM_WITHOUT_BLANK = N_("a list item needs a space after the `-`")
_OTHERWISE = N_("this is not YAML; check indentation, quotes and brackets")


class Lines:
    """Where the lines of a text begin, for an editor."""

    def __init__(self, text: str) -> None:
        self._text = text
        # Nearly always the parser counts as editors do, and then its numbers are taken.
        self._starts: list[int] | None = None
        if _UNSEEN_BREAKS.search(text):
            self._starts = [0, *(found.end() for found in _BREAK.finditer(text))]

    def position(self, mark: Any) -> tuple[int, int]:
        """Line and column, from 1, of a parser's mark."""
        if self._starts is None:
            return mark.line + 1, mark.column + 1
        line = bisect_right(self._starts, mark.index)
        return line, mark.index - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, from 1; empty where there is none."""
        found = _BREAK.split(self._text)
        return found[number - 1] if 1 <= number <= len(found) else ""


def plain_words(error: Any, lines: Lines) -> tuple[int, int, str]:
    """`error` is a MarkedYAMLError: it has context and problem, each with a mark that may be missing."""
    mark = error.problem_mark or error.context_mark
    line, column = lines.position(mark) if mark else (1, 1)
    context, problem = str(error.context or ""), str(error.problem or "")
    opened = _("here")
    if (began := error.context_mark) is not None:
        opened_line, opened_column = lines.position(began)
        opened = _("in line {line}, column {column}").format(line=opened_line, column=opened_column)
        if "quoted scalar" in context and "end of stream" in problem:
            line, column = lines.position(began)  # where it opened says more than the end of the file
    if unseen := _UNSEEN_BREAKS.search(lines.line(line)):
        what = _("U+{code:04X}, which no editor shows, ends a line for YAML; remove it").format(
            code=ord(unseen[0])
        )
        return line, unseen.start() + 1, what
    if "mapping values" in problem or "simple key" in problem + context:
        # `- mx1` without its blank is a text that goes on in the next line, where the parser stumbles.
        for above in range(line - 1, max(0, line - 4), -1):
            if _LIST_ITEM_WITHOUT_BLANK.match(lines.line(above)):
                return above, lines.line(above).index("-") + 1, _(ITEM_WITHOUT_BLANK)
    return line, column, _sentence(context, problem, lines.line(line), column - 1, opened)


def _sentence(context: str, problem: str, line: str, column: int, opened: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent and "quoted scalar" not in context:
        return _("a tab is used for indentation; use spaces")
    if "escape" in problem or "hexdecimal" in problem or "hexadecimal" in problem:
        return _("this backslash escape is unknown; use single quotes, or `\\\\` for a backslash")
    if "start any token" in problem and line[column : column + 1] in ("@", "`", "%", "\t"):
        text = _("a text that begins with `{character}` needs quotes")
        return text.format(character=_("a tab") if line[column] == "\t" else line[column])
    if "document indicator" in problem:
        return _("`---` or `...` stands inside the quoted text opened {place}; close the quote").format(
            place=opened
        )
    for part in (problem, context):
        for seen, said in _WORDS:
            if seen in part:
                return _(said).format(place=opened)
    return _(_OTHERWISE)
