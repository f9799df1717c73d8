"""mailprov schema: the JSON Schema of the inventory, for editors and for CI."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of the inventory (for an editor's completion)."""
    from mailprov.inventory import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
