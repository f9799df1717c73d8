"""mailprov validate: read the inventory, say all that is wrong, touch nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli.hints import next_is
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Inventory, Json, JUnitFile, Quiet


def validate(
    inventory: Inventory = USUAL,
    no_secrets: Annotated[
        bool,
        typer.Option(
            "--no-secrets",
            help="Do not look whether the variables and files of secrets are there: for a step that has none.",
        ),
    ] = False,
    json: Json = False,
    junit: JUnitFile = None,
    quiet: Quiet = False,
) -> None:
    """Read the inventory and say all that is wrong. Touches nothing; commands of secrets are not run."""
    from mailprov.cli.reports import Reports
    from mailprov.inventory import SecretMode, load
    from mailprov.model.events import Ended, Notice
    from mailprov.plan.advisories import advisories

    reports = Reports(json=json, junit=junit, text=False)
    reports.begin("validate", inventory)
    read = load(inventory, SecretMode.IGNORE if no_secrets else SecretMode.CHECK)
    accounts = sum(len(domain.accounts) for domain in read.domains)
    counted = ", ".join(
        (
            _count(len(read.hosts), "host"),
            _count(len(read.domains), "domain"),
            _count(accounts, "account"),
        )
    )
    unseen = ", secrets not looked at" if no_secrets else ""
    notes = list(advisories(read))
    if not quiet and not json:
        typer.echo(f"{inventory}: good{unseen}. {counted}.")
        for sentence in notes:
            typer.echo(f"note: {sentence}")
        next_is("plan", inventory)
    for sentence in notes:
        reports.emit(Notice("", sentence))
    reports.emit(Ended(str(inventory), "ok"))
    raise typer.Exit(reports.end(0, f"{counted}{unseen}"))


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
