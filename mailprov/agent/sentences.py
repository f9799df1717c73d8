"""What the agent tells people: English here, and made so that the controller can say it in the user's language.

    _("{path} is not a directory").format(path=path)     as on the controller (mailprov/i18n.py)
    ngettext("{count} file", "{count} files", n)         the same with a count, which is still a placeholder in it
    N_("a text of a table")                              marks a text for translators; `_(text)` uses it later
    joined([one, other], ", ")                           several sentences or names as one
    sent(text) -> JSON value                             how it travels: SENTENCE of wire.messages

A Sentence is a str in English for all that happens on the host: errors, journal, fingerprints of plans. Beside that it
remembers what it was made of. What `+` or `str.join` make of it is plain text, which is shown as it stands.

A placeholder is a plain {name}, once in a text. Values are texts, sentences and whole numbers. Nothing is looked up
here, and no catalogue is on the host. Raises nothing of its own.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Tuple, Union

_NAMES = re.compile(r"\{\{|\}\}|\{([a-z0-9_]+)\}")


class Sentence(str):
    """`forms`: the text, or those for one and for several, chosen by `number`; `values` in the order of the
    first one's placeholders.
    """

    forms: Tuple[str, ...] = ()
    number = 1
    values: Tuple[Union[str, int], ...] = ()

    def format(self, *args: object, **values: object) -> "Sentence":
        made = Sentence(str.format(self, **values))
        made.forms, made.number = self.forms or (str(self),), self.number
        named = (values[name] for name in _NAMES.findall(made.forms[0]) if name)
        made.values = tuple(value if isinstance(value, (str, int)) else str(value) for value in named)
        return made


def _(text: str) -> Sentence:
    return Sentence(text)


def ngettext(one: str, many: str, count: int) -> Sentence:
    made = Sentence(one if count == 1 else many)
    made.forms, made.number = (one, many), count
    return made


def N_(text: str) -> str:
    return text


def joined(parts: Iterable[str], separator: str = ", ") -> str:
    """Plain text where none is a sentence."""
    given = tuple(parts)
    if len(given) == 1:
        return given[0]
    if not any(isinstance(each, Sentence) for each in given):
        return separator.join(given)
    made = Sentence(separator.join(given))
    made.forms = (separator.join("{%d}" % number for number in range(len(given))),)
    made.values = given
    return made


def sent(text: str, inner: bool = False) -> Any:
    """A text without values travels as text. Within another one that would be a name, which nobody translates."""
    if isinstance(text, Sentence):
        if text.values:
            forms = text.forms
            head = forms[0] if len(forms) == 1 else [*forms, text.number]
            return [head, *(sent(each, True) if isinstance(each, str) else each for each in text.values)]
        if inner:
            return [str(text)]
    return text
