"""The one place where text of hosts, servers, zones and unknown files is made fit to be shown. Pure.

    line(text) -> str        one line: everything that a terminal would obey, or would not show, is written out
    block(text) -> str       several lines, such as a diff: line feeds and tabs stay
    event(event) -> event    the same event with every text in it cleaned, whatever fields it has now or later

Written out as Python does: `\\x1b`, `\\u202e`, `\\ud800`. That holds for ESC and the other control characters (C0, C1,
DEL), carriage returns, marks and isolates that turn the direction of text (UAX #9), line and paragraph separators,
characters without width, characters that are blank although they are letters, private and unassigned ones, and halves
of surrogate pairs, which no stream could encode. Letters of all scripts stay as they are.

Each event passes `event` on its way to the reports (report/fanout.py), so no report has to think of it; what is no
event (errors, what a command prints by itself) passes `line`. Cleaning what is clean changes nothing. Raises nothing.
"""

from __future__ import annotations

import dataclasses
import re
from enum import Enum
from typing import Any, TypeVar

from mailprov.model.sentences import Sentence

T = TypeVar("T")

# Letters and signs to Unicode, nothing to the eye: joiners, fillers of Hangul, vowels of Khmer that are not drawn,
# selectors of Mongolian, the blank of Braille.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0]")
# Fields of events that hold several lines; all others hold one.
_BLOCKS = frozenset({"diff", "edit"})


def line(text: str) -> str:
    """Fit for one line of a terminal, a table or a file."""
    if text.isascii() and text.isprintable():
        return text  # thousands of problems of an inventory come here
    return "".join(c if c.isprintable() and not _BLANK.match(c) else _written(c) for c in text)


def block(text: str) -> str:
    """Fit for several lines."""
    plain = text.replace("\n", "").replace("\t", "")
    if plain.isascii() and plain.isprintable():
        return text
    return "\n".join("\t".join(map(line, row.split("\t"))) for row in text.split("\n"))


def event(one: T) -> T:
    """`one` is a dataclass of model.events. The very same object where there is nothing to clean."""
    return _cleaned(one, line)  # type: ignore[no-any-return]


def _cleaned(value: Any, clean: Any) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, Sentence):
        return value.cleaned(clean)
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, tuple):
        parts = tuple(_cleaned(part, clean) for part in value)
        return value if parts == value else parts
    if dataclasses.is_dataclass(value):
        changed = {}
        for field in dataclasses.fields(value):
            old = getattr(value, field.name)
            new = _cleaned(old, block if field.name in _BLOCKS else line)
            if new != old:
                changed[field.name] = new
        return dataclasses.replace(value, **changed) if changed else value  # type: ignore[type-var]
    return value


def _written(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
