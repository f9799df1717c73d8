"""The file's data against the schema, and what does not fit in a user's words.

`validate(document)` → (the file as schema classes, or None if nothing can be made of it; the problems). Each
value that does not fit is taken out and the rest is read again, so that one wrong key does not hide what
`resolve` finds elsewhere. Unknown keys name the nearest key. Pydantic's own words never reach a user, and
neither do the values it saw.
"""

from __future__ import annotations

import difflib
import typing
from typing import Any

from pydantic import ValidationError

from mailprov.errors import Problem
from mailprov.i18n import N_, _
from mailprov.inventory.hosted import unserved
from mailprov.inventory.schema import File, keys
from mailprov.inventory.yaml_errors import ITEM_WITHOUT_BLANK
from mailprov.schema.context import MAX_PROBLEMS
from mailprov.schema.document import (
    Document,
    KeyPath,
    Map,
    Plain,
    Position,
    holds_bare_secret,
    is_secret,
    show,
    show_path,
)
from mailprov.schema.entry import Entry, in_language
from mailprov.schema.hints import Hints
from mailprov.schema.scalars import kind

_OUT = "out"
_NONE = {
    "hosts": N_("there are no hosts; define at least one"),
    "domains": N_("there are no domains; define at least one"),
}
# What a missing key may be for the sake of reading on: an empty one misleads no later check.
_FILLED: dict[tuple[str, str], Any] = {
    ("File", "domains"): {},
}
_ROUNDS = 8  # a removal can leave its parent incomplete, and so on upwards; the file is not deeper than this


def validate(document: Document, hints: Hints) -> tuple[File | None, list[Problem]]:
    """Each problem has its position. Raises nothing."""
    problems = [document.problem(path, what) for path, what in _nothing_in(document)]
    problems += [
        problem
        for path, at in document.empty[:MAX_PROBLEMS]
        if (problem := _no_value(path, at, document, hints))
    ]
    problems += [
        problem for path in unserved(document)[:MAX_PROBLEMS] if (problem := _missing(path, document))
    ]
    data: Any = document.data
    for attempt in range(_ROUNDS):
        try:
            return File.model_validate(data), problems
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False)
        if attempt == 0:
            problems += [
                problem for item in found[:MAX_PROBLEMS] if (problem := _problem(document, dict(item), hints))
            ]
        removals = _removals([dict(item) for item in found])
        if removals is None:
            return None, problems
        data = _without(data, removals)
    return None, problems


def _problem(document: Document, error: dict[str, Any], hints: Hints) -> Problem | None:
    path: KeyPath = tuple(error["loc"])
    code = error["type"]
    if code == "extra_forbidden":
        return _unknown(path, document, hints)
    if code == "missing":
        return _missing(path, document)
    if code == "said_before":
        return None
    value = document.node(path)
    if code == "said":
        what = str(error["ctx"]["sentence"])
    elif code == "too_short":
        what = _("the forward goes to nobody; name at least one address, or leave `forward` out")
    elif code in ("dict_type", "model_type", "model_attributes_type"):
        what = _("must be a mapping (`key: value`), not {kind}").format(kind=kind(value))
        what += _if_switched(path, value)
    elif code == "list_type" and isinstance(value, Plain) and value.startswith("-"):
        what = _(ITEM_WITHOUT_BLANK)
    elif code == "list_type":
        what = _("must be a list such as {example}, not {kind}").format(
            example=_example(path), kind=kind(value)
        )
    else:
        what = _("has a value of the wrong kind")
    return document.problem(path, what)


def _unknown(path: KeyPath, document: Document, hints: Hints) -> Problem:
    key, entry, parent = str(path[-1]), _entry(path[:-1]), document.node(path[:-1])
    assert entry
    known = keys(entry)
    near = hints.near(key, known)
    hint = (
        _('did you mean "{word}"?').format(word=near)
        if near and near not in parent
        else _("the keys here are {keys}").format(keys=", ".join(known))
    )
    if is_secret(path[:-1]) or holds_bare_secret(parent):
        # In `{hunter2: x}` in the place of a reference, and in `{password: my,secret}`, the key is a secret.
        return document.unnamed(path, f"{_('unknown key')}; {hint}")
    what = _('unknown key "{key}"').format(key=show(key))
    return document.problem(path, f"{what}; {hint}", key=True)


def _no_value(path: KeyPath, at: Position, document: Document, hints: Hints) -> Problem | None:
    entry = _entry(path[:-1])
    if entry and path[-1] not in entry.model_fields:
        if is_secret(path[:-1]) and not document.node(path[:-1]):
            return None  # `password: {hunter2}`: the schema says what must stand there
        return _unknown(path, document, hints)
    return Problem(document.file, *at, show_path(path), _("has no value; write one, or leave the key out"))


def _missing(path: KeyPath, document: Document) -> Problem | None:
    parent, key = document.node(path[:-1]), str(path[-1])
    entry = _entry(path[:-1])
    assert entry
    if isinstance(parent, Map):
        if key in parent.marks:
            return None  # it is there without a value, which has been said
        if difflib.get_close_matches(
            key, [str(other) for other in parent if other not in entry.model_fields]
        ):
            return None  # it is there with a slip in its name, which is said
    about = in_language(entry.model_fields[key].description or "")
    return document.problem(
        path[:-1], _('the key "{key}" is missing ({meaning})').format(key=key, meaning=about), key=True
    )


def _nothing_in(document: Document) -> list[tuple[KeyPath, str]]:
    """Mappings and lists that must not be empty, and are.

    Pydantic would take what stands beside them for wrong, too.
    """
    found: list[tuple[KeyPath, str]] = [
        ((key,), _(text)) for key, text in _NONE.items() if document.data.get(key) == {}
    ]
    domains = document.data.get("domains")
    if isinstance(domains, Map):
        for name, domain in domains.items():
            if isinstance(domain, Map) and domain.get("hosts") == []:
                found.append(
                    (
                        ("domains", name, "hosts"),
                        _("the domain has no hosts; name at least one, such as [mx1]"),
                    )
                )
    return found


def _if_switched(path: KeyPath, value: Any) -> str:
    """`fail2ban: true`: what switches on, or off, a mapping whose keys may all be left out."""
    entry = _entry(path)
    if (
        not isinstance(value, Plain)
        or entry is None
        or any(f.is_required() for f in entry.model_fields.values())
    ):
        return ""
    if value.lower() in ("true", "on", "yes"):
        return "; " + _("write `{key}: {{}}`, which is enough").format(key=show(str(path[-1])))
    if value.lower() in ("false", "off", "no"):
        return "; " + _("leave `{key}` out").format(key=show(str(path[-1])))
    return ""


def _example(path: KeyPath) -> str:
    names = [step for step in path if isinstance(step, str)]
    return {
        "to": "[luis@example.net]",
        "hosts": "[mx1]",
        "ipv4": "[192.0.2.11]",
        "ipv6": '["2001:db8::11"]',
        "domain_aliases": "[example.net]",
        "services": "[imaps]",
        "protocols": "[imap]",
    }.get(names[-1] if names else "", "[ana, luis]")


def _entry(path: KeyPath) -> type[Entry] | None:
    """The schema class of the mapping at `path`; None where there is none (names, lists, unknown keys)."""
    here: Any = File
    for step in path:
        if isinstance(here, type) and issubclass(here, Entry):
            field = here.whole().model_fields.get(str(step))
            here = _plain(field.annotation) if field else None
        elif inside := typing.get_args(here):
            here = _plain(inside[-1])
        else:
            return None
    return here.whole() if isinstance(here, type) and issubclass(here, Entry) else None


def _plain(annotation: Any) -> Any:
    """`X | None` → X."""
    if type(None) in (given := typing.get_args(annotation)):
        return next(kind for kind in given if kind is not type(None))
    return annotation


def _removals(errors: list[dict[str, Any]]) -> dict[str, Any] | None:
    """How to make the rest fit: nested mappings that end in what to put there, or in _OUT.

    None: nothing would be left.
    """
    tree: dict[str, Any] = {}
    for error in errors:
        path: KeyPath = tuple(error["loc"])
        put: Any = _OUT
        if error["type"] == "missing":
            entry = _entry(path[:-1])
            put = _FILLED.get((entry.__name__ if entry else "", str(path[-1])), _OUT)
            path = path[:-1] if put is _OUT else path
        # From a list nothing is taken out, because its indices are positions: the list goes as a whole.
        cut = next((index for index, step in enumerate(path) if isinstance(step, int)), len(path))
        path = path[:cut]
        if not path:
            return None
        node: Any = tree
        for step in path[:-1]:
            node = node.setdefault(str(step), {})
            if node is _OUT:
                break
        else:
            node[str(path[-1])] = put
    return tree


def _without(data: Any, removals: dict[str, Any]) -> Any:
    """A copy of `data` with the changes made. What is not touched is shared, not copied."""
    left = dict(data)
    for key, change in removals.items():
        if change is _OUT:
            left.pop(key, None)
        elif isinstance(left.get(key), dict):
            left[key] = _without(left[key], change)
        else:
            left[key] = change
    return left
