"""A YAML parser's complaint in plain words.

`plain_words(error, text)` → (line, column, sentence). The parsers of ruamel.yaml (libyaml, and the one in
Python) word the same mistakes slightly differently; both are known here. The text around the mistake is
never repeated, because a password may stand in it.
"""

from __future__ import annotations

from typing import Any

# (what the parser's problem or context contains, what we say). `{opened}` becomes where the construct began.
_WORDS: tuple[tuple[str, str], ...] = (
    ("quoted scalar", "the quote that opens here is never closed"),
    ("flow sequence", "the `[` opened {opened} is not closed, or a comma is missing before this"),
    ("flow mapping", "the `{{` opened {opened} is not closed, or a comma is missing before this"),
    (
        "mapping values are not allowed",
        "a `: ` cannot stand here; quote a text that contains one, or mend the line above",
    ),
    ("unexpected ':'", "a text with `:` in it needs quotes inside `{{ }}` and `[ ]`"),
    ("tab character", "a tab is used for indentation; use spaces"),
    ("sequence entries are not allowed", "a list item (`- `) cannot stand here; begin it on its own line"),
    ("block mapping", "this line does not fit the mapping that began {opened}; mend the indentation"),
    ("block collection", "this line does not fit the list that began {opened}; mend the indentation"),
    ("block sequence", "this line does not fit the list that began {opened}; mend the indentation"),
    ("simple key", "this is not `key: value`; a `:` with a space behind it is missing"),
    ("an anchor", "a text that begins with `&` needs quotes"),
    ("an alias", "a text that begins with `*` needs quotes"),
    ("a tag", "a text that begins with `!` needs quotes"),
    ("node", "the value here cannot be read; quote a text that begins with a special character"),
    ("block scalar", "a text that begins with `|` or `>` needs quotes"),
    ("document start", "this does not belong to what stands above; mend the indentation"),
    ("directive", "a line that begins with `%` needs quotes"),
    ("YAML document", "the `%YAML` line names another version of YAML; remove the line"),
)
_OTHERWISE = "this is not YAML; check indentation, quotes and brackets"


def plain_words(error: Any, text: str) -> tuple[int, int, str]:
    """`error` is a MarkedYAMLError: it has context and problem, each with a mark that may be missing."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    context, problem = str(error.context or ""), str(error.problem or "")
    opened = "here"
    if (began := error.context_mark) is not None:
        opened = f"in line {began.line + 1}, column {began.column + 1}"
        if "quoted scalar" in context and "end of stream" in problem:
            line, column = began.line, began.column  # where it opened says more than the end of the file
    return line + 1, column + 1, _sentence(context, problem, _line(text, line), column, opened)


def _line(text: str, number: int) -> str:
    for index, line in enumerate(text.splitlines()):
        if index == number:
            return line
    return ""


def _sentence(context: str, problem: str, line: str, column: int, opened: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent and "quoted scalar" not in context:
        return "a tab is used for indentation; use spaces"
    if "escape" in problem or "hexdecimal" in problem or "hexadecimal" in problem:
        return "this backslash escape is unknown; use single quotes, or `\\\\` for a backslash"
    if "start any token" in problem and line[column : column + 1] in ("@", "`", "%", "\t"):
        return f"a text that begins with `{line[column]}` needs quotes".replace("\t", "a tab")
    if "document indicator" in problem:
        return f"`---` or `...` stands inside the quoted text opened {opened}; close the quote"
    for part in (problem, context):
        for seen, said in _WORDS:
            if seen in part:
                return said.format(opened=opened)
    return _OTHERWISE
