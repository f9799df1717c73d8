"""Sentences of agents, in the user's language. Pure, but for the catalogue that i18n.py reads.

    read(value) -> str       SENTENCE of wire.messages as English text; a Sentence where it can be translated
    shown(text) -> str       it in the user's language

A host is in foreign hands until proven otherwise, so what it sends is data. A text is translated only if a catalogue
has it, which holds texts of mailprov alone. It is not formatted as Python would: a placeholder is a plain {name}, once
in a text, and there are as many values as placeholders. So nothing is looked into, and nothing becomes longer than
what was sent. What is not of this form is shown as the English text that came; so is a translation whose placeholders
are not those of its text. Cleaning comes later, as for all that hosts say (model/cleaning.py).

Plans stay English in events, whatever the language: saved plans are compared by them. Raises nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mailprov import i18n

_PARTS = re.compile(r"\{\{|\}\}|\{([a-z0-9_]+)\}|[{}]")
_DOUBLED = {"{{": "{", "}}": "}"}


class Sentence(str):
    """English. `forms`: the text it is made of, or those for one and for several, chosen by `number`;
    `values` by placeholder.
    """

    __slots__ = ("forms", "number", "values")
    forms: tuple[str, ...]
    number: int
    values: Mapping[str, str | int]

    def cleaned(self, clean: Callable[[str], str]) -> str:
        """With every text in it cleaned; itself where there is nothing to clean."""
        if clean(self) == self:
            return self
        values = {name: _mapped(value, clean) for name, value in self.values.items()}
        return _made(tuple(map(clean, self.forms)), self.number, values) or clean(str(self))

    def __deepcopy__(self, memo: object) -> Sentence:
        return self  # nothing in it changes


def _mapped(value: str | int, clean: Callable[[str], str]) -> str | int:
    if isinstance(value, Sentence):
        return value.cleaned(clean)
    return clean(value) if isinstance(value, str) else value


def read(value: Any) -> str:
    """`value` has passed wire/shapes.py."""
    if isinstance(value, str):
        return value
    head, *given = value
    forms, number = ((head,), 1) if isinstance(head, str) else (tuple(head[:2]), head[2])
    names = _placeholders(forms[0])
    if names is None or len(names) != len(given):
        return _plain(str(forms[0]))
    values = [one if isinstance(one, (str, int)) else read(one) for one in given]
    made = _made(forms, number, dict(zip(names, values, strict=True)))
    return _plain(str(forms[0])) if made is None else made


def _plain(text: str) -> Sentence:
    """One without values: a text with placeholders is never translated then."""
    made = Sentence(text)
    made.forms, made.number, made.values = (text,), 1, {}
    return made


def _made(forms: tuple[str, ...], number: int, values: Mapping[str, str | int]) -> Sentence | None:
    """None where the texts and the values do not fit."""
    for form in forms:
        names = _placeholders(form)
        if names is None or set(names) != set(values):
            return None
    made = Sentence(_filled(forms[0] if number == 1 else forms[-1], values))
    made.forms, made.number, made.values = forms, number, values
    return made


def _placeholders(text: str) -> tuple[str, ...] | None:
    """In their order; None for a text that is not of the form."""
    found = []
    for part in _PARTS.finditer(text):
        if part[1]:
            found.append(part[1])
        elif part[0] not in _DOUBLED:
            return None
    return tuple(found) if len(set(found)) == len(found) else None


def _filled(text: str, values: Mapping[str, str | int]) -> str:
    return _PARTS.sub(lambda part: str(values[part[1]]) if part[1] else _DOUBLED.get(part[0], part[0]), text)


def shown(text: str) -> str:
    if not isinstance(text, Sentence):
        return i18n._(text)
    one, many = text.forms[0], text.forms[-1]
    form = i18n.ngettext(one, many, text.number) if many is not one else i18n._(one)
    if {part[1] for part in _PARTS.finditer(form) if part[1]} != set(text.values):
        return str(text)
    values = {
        name: shown(value) if isinstance(value, Sentence) else value for name, value in text.values.items()
    }
    return _filled(form, values)
