"""Shapes of which messages are made: functions that look at one value, and raise Nonsense with the path of the field.

    text, sentence, whole, number, flag, one_of, nothing, either, many, by_name, fields

Pure. What messages there are is in wire/shapes.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from mailprov.i18n import _

Shape = Callable[[Any, str], None]

NAME = 4_096  # characters of what has a name: a path, an address, a version
TEXT = 65_536  # of a sentence, of one line of output, of a record
LONG = 16 * 2**20  # of a diff, or of the file that tells of all DKIM keys
_COUNT = 2**53
_DEPTH = 8  # of sentences within sentences
LAST_SECOND = 253_402_300_799  # of the year 9999: no later time can be shown


class Nonsense(ValueError):
    """The text is a clause: "plan: changes[3].action is 'explode'"."""


def text(limit: int = TEXT) -> Shape:
    def look(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise Nonsense(_("{path} is not text").format(path=path))
        if len(value) > limit:
            raise Nonsense(_("{path} is {count} characters long").format(path=path, count=len(value)))

    return look


def sentence(value: Any, path: str) -> None:
    """SENTENCE: a text, or a list of a text and its values, together no longer than a text.

    In place of the text, a list of those for one and for several, and how many there are.
    """
    length = len(value) if isinstance(value, str) else _length(value, path, 0)
    if length > TEXT:
        raise Nonsense(_("{path} is {count} characters long").format(path=path, count=length))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _COUNT


def _length(value: Any, path: str, depth: int) -> int:
    if not isinstance(value, list) or not value or depth > _DEPTH:
        raise Nonsense(_("{path} is not a sentence").format(path=path))
    head, *values = value
    forms = [head]
    if isinstance(head, list) and len(head) == 3 and _is_whole(head[2]):
        forms = head[:2]
    if not all(isinstance(form, str) for form in forms):
        raise Nonsense(_("{path} is not a sentence").format(path=path))
    length = sum(map(len, forms))
    for each in values:
        if isinstance(each, str):
            length += len(each)
        elif _is_whole(each):
            length += 20
        else:
            length += _length(each, path, depth + 1)
    return length


def whole(low: int = 0, high: int = _COUNT) -> Shape:
    def look(value: Any, path: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Nonsense(
                _("{path} is not a number from {low} to {high}").format(path=path, low=low, high=high)
            )

    return look


def number(high: float = LAST_SECOND) -> Shape:
    def look(value: Any, path: str) -> None:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not good or not 0 <= value <= high:
            raise Nonsense(_("{path} is not a number from 0 to {high}").format(path=path, high=high))

    return look


def flag(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise Nonsense(_("{path} is neither true nor false").format(path=path))


def one_of(*words: str) -> Shape:
    def look(value: Any, path: str) -> None:
        if not isinstance(value, str) or value not in words:
            shown = repr(value)[:60] if isinstance(value, str) else _("not text")
            raise Nonsense(
                _("{path} is {shown}, and may be {words}").format(
                    path=path, shown=shown, words=", ".join(words)
                )
            )

    return look


def nothing(value: Any, path: str) -> None:
    if value is not None:
        raise Nonsense(_("{path} is not null").format(path=path))


class either:
    """The first of these that it is; an error is the last one's."""

    def __init__(self, shapes: tuple[Shape, ...]) -> None:
        self.shapes = shapes

    def __call__(self, value: Any, path: str) -> None:
        for shape in self.shapes[:-1]:
            try:
                return shape(value, path)
            except Nonsense:
                pass
        return self.shapes[-1](value, path)


class many:
    """A list of these, at most `limit`. Classes, here and below, so that a test can walk through all fields."""

    def __init__(self, of: Shape, limit: int = 1_000_000) -> None:
        self.of, self.limit = of, limit

    def __call__(self, value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise Nonsense(_("{path} is not a list").format(path=path))
        if len(value) > self.limit:
            raise Nonsense(_("{path} has {count} parts").format(path=path, count=len(value)))
        for place, part in enumerate(value):
            self.of(part, f"{path}[{place}]")


class by_name:
    """An object whose keys are names, all values of one shape."""

    def __init__(self, of: Shape) -> None:
        self.of = of

    def __call__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise Nonsense(_("{path} is not an object").format(path=path))
        for name, part in value.items():
            if len(name) > NAME:
                raise Nonsense(
                    _("{path} has a name of {count} characters").format(path=path, count=len(name))
                )
            self.of(part, f"{path}[{name[:60]!r}]")


class fields:
    """An object. `optional` ones may be missing."""

    def __init__(self, needed: Mapping[str, Shape], optional: Mapping[str, Shape]) -> None:
        self.needed, self.optional = needed, optional

    def __call__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise Nonsense(_("{path} is not an object").format(path=path))
        for name, shape in self.needed.items():
            if name not in value:
                raise Nonsense(_("{name} is missing").format(name=f"{path}.{name}" if path else name))
            shape(value[name], f"{path}.{name}" if path else name)
        for name, shape in self.optional.items():
            if name in value:
                shape(value[name], f"{path}.{name}" if path else name)
