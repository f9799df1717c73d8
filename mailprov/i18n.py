"""The language of what people read: gettext, looked for when the first sentence is needed.

    _("{host} is off").format(host=name)            a sentence in the user's language
    ngettext("{count} host", "{count} hosts", n)    the same with a count, which is still a placeholder in it
    N_("a text of a table")                         marks a text for translators; `_(text)` translates it later
    NN_("{count} host", "{count} hosts")            the same for a pair, for `ngettext(*pair, n)`
    all_of(names), one_of(names)                    `mx1, mx2 and mx3`, `mx1, mx2 or mx3`
    translates()                                    whether there is anything to translate with
    with English(): …                               in English meanwhile, in all threads, whatever the language is

Sentences are written in English, in the source, and catalogues know them by that text. A placeholder has a name that
a translator understands. The language is that of LC_ALL, LC_MESSAGES or LANG, and the languages of LANGUAGE come
before it (GNU gettext manual, "The LANGUAGE variable"). `locale/LANGUAGE/LC_MESSAGES/mailprov.mo` beside this file is
made by `make messages`. In English, and where there is no such file, no library is imported.

Translated are texts, never names: keys and fixed values of --json, statuses, verdicts, ids, paths, names of hosts and
commands are the same in every language, and so is what a saved plan is compared by. Raises nothing.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing is not imported: `mailprov --help` would wait for it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from gettext import NullTranslations

FOLDER = os.path.join(os.path.dirname(__file__), "locale")
DOMAIN = "mailprov"

_catalogue: NullTranslations | None = None
_looked = False


def _(text: str) -> str:
    """The text in the user's language."""
    found = _catalogue if _looked else _find()
    return found.gettext(text) if found and text else text  # catalogues keep their own head under ""


def ngettext(one: str, many: str, count: int) -> str:
    """The text for so many; `count` is still a placeholder in it."""
    found = _catalogue if _looked else _find()
    if found:
        return found.ngettext(one, many, count)
    return one if count == 1 else many


def N_(text: str) -> str:
    return text


def NN_(one: str, many: str) -> tuple[str, str]:
    return one, many


def all_of(names: Iterable[str]) -> str:
    *most, last = names
    return _("{names} and {last}").format(names=", ".join(most), last=last) if most else last


def one_of(names: Iterable[str]) -> str:
    *most, last = names
    return _("{names} or {last}").format(names=", ".join(most), last=last) if most else last


def translates() -> bool:
    """Whether there is a catalogue for what the user reads."""
    return (_catalogue if _looked else _find()) is not None


class English:
    """For who compares texts that are made to be read."""

    def __enter__(self) -> None:
        global _catalogue, _looked
        self._before = _catalogue, _looked
        _catalogue, _looked = None, True

    def __exit__(self, *_error: object) -> None:
        global _catalogue, _looked
        _catalogue, _looked = self._before


def languages() -> list[str]:
    """What the user reads, the best first: `es_MX`, `es`. Empty for English and where nothing is said."""
    environ = os.environ
    named = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or "C"
    if named.partition(".")[0] in ("C", "POSIX"):
        return []
    found: list[str] = []
    for each in (*environ.get("LANGUAGE", "").split(":"), named):
        language = each.partition(".")[0].partition("@")[0]
        if language.partition("_")[0] == "en":
            break
        # It becomes part of a path, and comes from outside: over SSH, from who is allowed one command only.
        if language.replace("_", "").isalnum():
            found += [language, language.partition("_")[0]]
    return list(dict.fromkeys(found))


def _find() -> NullTranslations | None:
    global _catalogue, _looked  # one language for one process
    first: NullTranslations | None = None
    for language in languages():
        path = os.path.join(FOLDER, language, "LC_MESSAGES", f"{DOMAIN}.mo")
        if not os.path.isfile(path):
            continue
        from gettext import GNUTranslations

        with open(path, "rb") as file:
            catalogue = GNUTranslations(file)
        if first is None:
            first = catalogue
        else:
            first.add_fallback(catalogue)
    _catalogue, _looked = first, True
    return first
