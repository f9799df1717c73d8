"""mailprov validate: read the inventory, say all that is wrong, touch nothing."""

from __future__ import annotations

import typer

from mailprov.cli.options import Inventory, Quiet


def validate(inventory: Inventory, quiet: Quiet = False) -> None:
    """Read the inventory and say all that is wrong. Touches nothing; commands of secrets are not run."""
    from mailprov.inventory import SecretMode, load
    from mailprov.plan.cautions import cautions

    read = load(inventory, SecretMode.CHECK)
    accounts = sum(len(domain.accounts) for domain in read.domains)
    if not quiet:
        counted = (
            _count(len(read.hosts), "host"),
            _count(len(read.domains), "domain"),
            _count(accounts, "account"),
        )
        typer.echo(f"{inventory}: good. {', '.join(counted)}.")
        for sentence in cautions(read):
            typer.echo(f"note: {sentence}")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
