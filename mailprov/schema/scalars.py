"""The types of single values in the file: text, whole numbers, booleans, sizes, choices.

They are pydantic types that read the texts `document` gives, and carry their JSON Schema, so that both say
the same. A value that does not fit raises PydanticCustomError of type `said`, whose message is the whole
sentence. Pure. Messages repeat a value only where none can be a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mailprov.i18n import _, one_of
from mailprov.model.values import dataclass
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
    """An error whose message is the whole sentence, in the user's language."""
    return PydanticCustomError("said", "{sentence}", {"sentence": sentence})


def kind(value: Any) -> str:
    """What a value is, in words."""
    if isinstance(value, Map):
        return _("a mapping")
    return _("a list") if isinstance(value, Seq) else _("text")


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
        raise said(_("must be text, not {kind}").format(kind=kind(value)))
    if value and value.isascii() and value.isprintable():  # nearly all, told apart quicker than by a pattern
        return str(value)
    if not value:
        raise said(_("is an empty text; write one, or leave the key out"))
    if _UNUSABLE.search(value):
        raise said(_("contains a control character or a line break; write it on one line"))
    if value[0] in _TYPOGRAPHIC or value[-1] in _TYPOGRAPHIC:
        raise said(
            _(
                "has typographic quotes ({quote}), which YAML takes for a part of the text; write it "
                'without quotes, or in straight ones (")'
            ).format(quote=value[0] if value[0] in _TYPOGRAPHIC else value[-1])
        )
    return str(value)


@dataclass(frozen=True, eq=False)
class _OrOff:
    """`Annotated[T | None, OR_OFF]`: what else it would be, or `off`, of which it makes None: the key is in
    `model_fields_set` then.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any, inner: Callable[[Any], Any]) -> Any:
            return None if isinstance(value, str) and value == "off" else inner(value)

        return core_schema.no_info_wrap_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "string", "enum": ["off"]}]}


OR_OFF = _OrOff()
Text = Annotated[str, Reads(text, {"type": "string", "minLength": 1})]


def _boolean(value: Any) -> bool:
    if isinstance(value, Plain) and value in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return value.lower() == "true"
    if isinstance(value, str):
        raise said(_("must be `true` or `false`, without quotes"))
    raise said(_("must be `true` or `false`, not {kind}").format(kind=kind(value)))


Boolean = Annotated[bool, Reads(_boolean, {"type": "boolean"})]


def whole(least: int, most: int) -> Reads:
    """For `Annotated[int, whole(…)]`: a whole number within bounds, written without quotes."""

    def read(value: Any) -> int:
        if not isinstance(value, str):
            what = _("must be a whole number from {least} to {most}, not {kind}")
            raise said(what.format(least=least, most=most, kind=kind(value)))
        if not isinstance(value, Plain) or not re.fullmatch(r"[0-9]{1,18}", value):
            what = _('must be a whole number from {least} to {most}, without quotes; "{value}" is none')
            raise said(what.format(least=least, most=most, value=show(value)))
        if not least <= int(value) <= most:
            what = _("must be a whole number from {least} to {most}; {value} is outside")
            raise said(what.format(least=least, most=most, value=int(value)))
        return int(value)

    return Reads(read, {"type": "integer", "minimum": least, "maximum": most})


def _bytes(value: Any) -> int | None:
    """None where it is no size."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) * _UNITS[found[2]] if found else None


def _size(value: Any) -> int:
    size = _bytes(value)
    if not isinstance(value, str):
        what = _("must be a size such as 500K, 200M or 1G (or bytes), not {kind}")
        raise said(what.format(kind=kind(value)))
    if size is None:
        what = _('must be a size such as 500K, 200M or 1G (or bytes); "{value}" is none')
        raise said(what.format(value=show(value)))
    if size == 0:
        raise said(_("must be more than 0; for no limit leave `quota` out"))
    if size > _MAX_SIZE:
        what = _('"{value}" is more than any mailbox can hold; for no limit leave `quota` out')
        raise said(what.format(value=show(value)))
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
    low, high = _bytes(least), _bytes(most)
    assert low is not None
    assert high is not None

    def read(value: Any) -> int:
        size = _bytes(value)
        if not isinstance(value, str):
            what = _("must be a size from {least} to {most}, such as 50M, not {kind}")
            raise said(what.format(least=least, most=most, kind=kind(value)))
        if size is None:
            what = _('must be a size from {least} to {most}, such as 50M; "{value}" is none')
            raise said(what.format(least=least, most=most, value=show(value)))
        if not low <= size <= high:
            what = _('must be a size from {least} to {most}, such as 50M; "{value}" is outside')
            raise said(what.format(least=least, most=most, value=show(value)))
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

    `later` holds words that are planned, or that others have for one of these, and the sentence, marked with N_, that
    says what to write.
    """

    def read(value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return str(value)
        if not isinstance(value, str):
            what = _("must be {words}, not {kind}")
            raise said(what.format(words=one_of(allowed), kind=kind(value)))
        if later and value in later:
            raise said(_(later[value]))
        if value.lower() not in _YES | _NO and (near := nearest(value.lower(), allowed)):
            what = _('"{value}" is not known here; did you mean "{word}"?')
            raise said(what.format(value=show(value), word=near))
        what = _('"{value}" is not known here; write {words}')
        raise said(what.format(value=show(value), words=one_of(allowed)))

    return Reads(read, {"type": "string", "enum": list(allowed)})
