"""The inventory file → `mailprov.model.inventory.Inventory`: strict, typed, complete.

    load(path, secrets)   reads, checks and resolves; all problems at once, each with file, line and column
    SecretMode            what to do with references to secrets: RESOLVE, CHECK or IGNORE
    json_schema()         the file's JSON Schema, for editors
    example_text()        the annotated example, which shows every key

Inside, text flows through `files` → `composer` (YAML; `document` is data with positions) → `validation` and
`schema` (the shape) → `resolve` and `recipients` (what it means together; `context` is their shared state,
`names` their spelling) → `secrets`. Beside that stands `unchecked`: where the hosts are, before all is checked.

Raises InventoryError (one or more Problems) and InputError (no such file, a directory, unreadable, too
big, not text). YAML and pydantic are imported when they are needed, so that importing this package costs
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailprov.i18n import _
from mailprov.schema.secrets import SecretMode

if TYPE_CHECKING:
    from mailprov.model.inventory import Host, Inventory

__all__ = ["SecretMode", "example_text", "json_schema", "load"]


def load(
    path: str | Path,
    secrets: SecretMode = SecretMode.RESOLVE,
    early: Callable[[tuple[Host, ...]], None] | None = None,
    text: str | None = None,
) -> Inventory:
    """The inventory at `path`, with every reference resolved and every name in canonical form.

    `text`: what will stand there, in place of what does.

    With SecretMode.CHECK and IGNORE the values of secrets are empty. Commands that print secrets run only
    when nothing else is wrong. `early` gets the hosts as the file seems to have them, before it is checked (see
    `unchecked`); it is not called where that cannot be said. Raises InventoryError and InputError.
    """
    from mailprov.errors import InventoryError, Problem
    from mailprov.inventory.composer import parse
    from mailprov.inventory.files import read
    from mailprov.schema.document import show
    from mailprov.schema.secrets import Vault

    document = parse(read(path) if text is None else text, show(str(path), 1000))
    folder = Path(path).absolute().parent
    if early is not None:
        from mailprov.inventory import unchecked

        if seeming := unchecked.hosts(document, folder):
            early(seeming)
    # Not before: loading these takes most of the time of a small inventory.
    from mailprov.inventory.resolve import build
    from mailprov.inventory.validation import validate
    from mailprov.schema.context import MAX_PROBLEMS, Context, TooMany
    from mailprov.schema.hints import Hints

    hints = Hints()
    file, misfits = validate(document, hints)
    problems = [*document.problems, *misfits]
    if file is not None:
        context = Context(document, Vault(secrets, folder), hints, folder)
        inventory = None
        with suppress(TooMany):
            inventory = build(file, context)
        problems += context.problems
        problems += [document.problem(at, what) for at, what in context.vault.fill(commands=not problems)]
        if inventory and not problems:
            return inventory
    # A mapping that is shared through an alias is met, and found wrong, more than once.
    told = sorted(dict.fromkeys(problems))
    if len(told) >= MAX_PROBLEMS:
        last = told[MAX_PROBLEMS - 1]
        more = _("more than {count:,} problems; those above are the first that were found").format(
            count=MAX_PROBLEMS
        )
        told = [*told[:MAX_PROBLEMS], Problem(last.file, last.line, last.column + 1, "", more)]
    raise InventoryError(told)


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the inventory file, made from the classes that read it."""
    from mailprov.inventory.schema import json_schema as made

    return made()


def example_text() -> str:
    """`inventories/example.yml`: from the wheel's data, or from the checkout that this package stands in."""
    package = Path(__file__).resolve().parents[1]
    places = [package / "_data" / "inventories", package.parent / "inventories"]
    found = next((place / "example.yml" for place in places if (place / "example.yml").is_file()), None)
    if found is None:
        from mailprov.errors import InputError

        raise InputError(
            _("the annotated example"), _("is not part of this installation"), _("Install mailprov again")
        )
    return found.read_text(encoding="utf-8")
