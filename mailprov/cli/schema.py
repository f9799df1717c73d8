"""mailprov schema: the JSON Schema of the inventory, for editors and for CI."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mailprov.i18n import N_


def schema(
    one_line: Annotated[
        bool,
        typer.Option("--json", help=N_("On one line. Not an event: only the schema is printed.")),
    ] = False,
) -> None:
    """Print the JSON Schema of the inventory (for an editor's completion)."""
    from mailprov.inventory import json_schema

    typer.echo(json.dumps(json_schema(), indent=None if one_line else 2))
