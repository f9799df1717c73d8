"""The types of single values in the file: text, whole numbers, booleans, sizes, choices.

They are pydantic types that read the texts `document` gives, and carry their JSON Schema, so that both say
the same. A value that does not fit raises PydanticCustomError of type `said`, whose message is the whole
sentence. Pure. Messages repeat a value only where none can be a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mailprov.schema.document import Map, Plain, Seq, show

_SIZE = re.compile(r"([0-9]{1,18})([KMGT]?)")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_MAX_SIZE = 2**63 - 1  # what Dovecot and the shell count with
_UNUSABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_TYPOGRAPHIC = "“”„‟‘’‚‛«»‹›"  # quotes for reading, which word processors and chat programs put in
_YES, _NO = frozenset({"on", "yes", "true"}), frozenset({"off", "no", "false"})


@dataclass(frozen=True, eq=False)
class Reads:
    """For `Annotated[T, Reads(function, schema)]`: the function makes a T of what `document` gives, or raises
    `said(…)`.
    """

    function: Callable[[Any], Any]
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.function)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return dict(self.schema)


def said(sentence: str) -> PydanticCustomError:
    """An error whose message needs no translation."""
    return PydanticCustomError("said", "{sentence}", {"sentence": sentence})


def kind(value: Any) -> str:
    """What a value is, in words."""
    if isinstance(value, Map):
        return "a mapping"
    return "a list" if isinstance(value, Seq) else "text"


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that `word` was meant to be, or an empty string.

    Other digits, but for their order, are no slip: who writes ubuntu-20.04 or mx3 means another release or host than
    those known.
    """
    digits = sorted(filter(str.isdigit, word))
    alike = [each for each in known if sorted(filter(str.isdigit, each)) == digits]
    found = difflib.get_close_matches(word[:80], alike, 1, 0.6)
    return found[0] if found else ""


def text(value: Any) -> str:
    """Any single value, as it is written, on one line."""
    if not isinstance(value, str):
        raise said(f"must be text, not {kind(value)}")
    if value and value.isascii() and value.isprintable():  # nearly all, told apart quicker than by a pattern
        return str(value)
    if not value:
        raise said("is an empty text; write one, or leave the key out")
    if _UNUSABLE.search(value):
        raise said("contains a control character or a line break; write it on one line")
    if value[0] in _TYPOGRAPHIC or value[-1] in _TYPOGRAPHIC:
        raise said(
            f"has typographic quotes ({value[0] if value[0] in _TYPOGRAPHIC else value[-1]}), which YAML "
            'takes for a part of the text; write it without quotes, or in straight ones (")'
        )
    return str(value)


Text = Annotated[str, Reads(text, {"type": "string", "minLength": 1})]


def _boolean(value: Any) -> bool:
    if isinstance(value, Plain) and value in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return value.lower() == "true"
    if isinstance(value, str):
        raise said("must be `true` or `false`, without quotes")
    raise said(f"must be `true` or `false`, not {kind(value)}")


Boolean = Annotated[bool, Reads(_boolean, {"type": "boolean"})]


def whole(least: int, most: int) -> Reads:
    """For `Annotated[int, whole(…)]`: a whole number within bounds, written without quotes."""

    def read(value: Any) -> int:
        wanted = f"must be a whole number from {least} to {most}"
        if not isinstance(value, str):
            raise said(f"{wanted}, not {kind(value)}")
        if not isinstance(value, Plain) or not re.fullmatch(r"[0-9]{1,18}", value):
            raise said(f'{wanted}, without quotes; "{show(value)}" is none')
        if not least <= int(value) <= most:
            raise said(f"{wanted}; {int(value)} is outside")
        return int(value)

    return Reads(read, {"type": "integer", "minimum": least, "maximum": most})


def _bytes(value: Any, wanted: str) -> int:
    if not isinstance(value, str):
        raise said(f"{wanted}, not {kind(value)}")
    found = _SIZE.fullmatch(value)
    if not found:
        raise said(f'{wanted}; "{show(value)}" is none')
    return int(found[1]) * _UNITS[found[2]]


def _size(value: Any) -> int:
    size = _bytes(value, "must be a size such as 500K, 200M or 1G (or bytes)")
    if size == 0:
        raise said("must be more than 0; for no limit leave `quota` out")
    if size > _MAX_SIZE:
        raise said(f'"{show(value)}" is more than any mailbox can hold; for no limit leave `quota` out')
    return size


Size = Annotated[
    int,
    Reads(
        _size,
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": _MAX_SIZE},
                {"type": "string", "pattern": f"^{_SIZE.pattern}$"},
            ]
        },
    ),
]


NO_QUOTA = 0  # what `Quota` makes of `none`


def _quota(value: Any) -> int:
    return NO_QUOTA if value == "none" else _size(value)


Quota = Annotated[
    int,
    Reads(
        _quota,
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": _MAX_SIZE},
                {"type": "string", "pattern": f"^({_SIZE.pattern}|none)$"},
            ]
        },
    ),
]


def size_between(least: str, most: str) -> Reads:
    """For `Annotated[int, size_between("64K", "2000M")]`: a size in bytes within bounds."""
    wanted = f"must be a size from {least} to {most}, such as 50M"
    low, high = _bytes(least, wanted), _bytes(most, wanted)

    def read(value: Any) -> int:
        size = _bytes(value, wanted)
        if not low <= size <= high:
            raise said(f'{wanted}; "{show(value)}" is outside')
        return size

    schema = {
        "anyOf": [
            {"type": "integer", "minimum": low, "maximum": high},
            {"type": "string", "pattern": f"^{_SIZE.pattern}$"},
        ]
    }
    return Reads(read, schema)


def choice(*allowed: str, later: dict[str, str] | None = None) -> Reads:
    """For `Annotated[str, choice(…)]`: one of some words.

    `later` holds words that are planned and the sentence that says what to use until then.
    """

    def read(value: Any) -> str:
        listed = " or ".join([", ".join(allowed[:-1]), allowed[-1]])
        if not isinstance(value, str):
            raise said(f"must be {listed}, not {kind(value)}")
        if value in allowed:
            return str(value)
        if later and value in later:
            raise said(later[value])
        near = "" if value.lower() in _YES | _NO else nearest(value.lower(), allowed)
        hint = f'; did you mean "{near}"?' if near else f"; write {listed}"
        raise said(f'"{show(value)}" is not known here{hint}')

    return Reads(read, {"type": "string", "enum": list(allowed)})
