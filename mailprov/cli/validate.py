"""mailprov validate: read the inventory, say all that is wrong, touch nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli.hints import next_is
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Inventory, Json, JUnitFile, Quiet
from mailprov.cli.streams import print_text
from mailprov.i18n import N_, _, ngettext


def validate(
    inventory: Inventory = USUAL,
    no_secrets: Annotated[
        bool,
        typer.Option(
            "--no-secrets",
            help=N_(
                "Do not check whether the variables and files of secrets exist, for a step without secrets."
            ),
        ),
    ] = False,
    json: Json = False,
    junit: JUnitFile = None,
    quiet: Quiet = False,
) -> None:
    """Read the inventory and report everything wrong with it. Touches nothing; commands of secrets are not run."""
    from mailprov.cli.reports import Reports
    from mailprov.inventory import SecretMode, load
    from mailprov.model.events import Ended, Notice
    from mailprov.plan.advisories import advisories

    reports = Reports(json=json, junit=junit, reads=inventory, text=False)
    reports.begin("validate", inventory)
    read = load(inventory, SecretMode.IGNORE if no_secrets else SecretMode.CHECK)
    hosts, domains = len(read.hosts), len(read.domains)
    accounts = sum(len(domain.accounts) for domain in read.domains)
    counted = ", ".join(
        (
            ngettext("{count} host", "{count} hosts", hosts).format(count=hosts),
            ngettext("{count} domain", "{count} domains", domains).format(count=domains),
            ngettext("{count} account", "{count} accounts", accounts).format(count=accounts),
        )
    )
    notes = list(advisories(read))
    if not quiet and not json:
        good = _("{path}: good, secrets not checked.") if no_secrets else _("{path}: good.")
        print_text(f"{good.format(path=inventory)} {counted}.")
        for sentence in notes:
            print_text(_("note: {sentence}").format(sentence=sentence))
        next_is("plan", inventory)
    for sentence in notes:
        reports.emit(Notice("", sentence))
    reports.emit(Ended(str(inventory), "ok"))
    unseen = [_("secrets not checked")] if no_secrets else []
    raise typer.Exit(reports.end(0, ", ".join((counted, *unseen))))
