"""mailprov plan: what would change on hosts and in DNS. Declares the arguments; `plan_apply` does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import (
    Diff,
    Domains,
    ExitCode,
    Hosts,
    Inventory,
    Json,
    JUnitFile,
    Only,
    Quiet,
    TakeOver,
    Verbose,
)
from mailprov.i18n import N_


def plan(
    inventory: Inventory = USUAL,
    host: Hosts = None,
    domain: Domains = None,
    only: Only = None,
    exit_code: ExitCode = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=N_("Save the plan; `mailprov apply FILE` does exactly that, or nothing."),
            show_default=False,
        ),
    ] = None,
    take_over: TakeOver = False,
    json: Json = False,
    junit: JUnitFile = None,
    quiet: Quiet = False,
    diff: Diff = False,
    verbose: Verbose = False,
) -> None:
    """Show every change on every host and in every zone. Touches nothing."""
    from mailprov.cli import plan_apply

    code = plan_apply.plan(
        inventory,
        host=host,
        domain=domain,
        only=only,
        exit_code=exit_code,
        out=out,
        take_over=take_over,
        json=json,
        junit=junit,
        quiet=quiet,
        diff=diff,
        verbose=verbose,
    )
    raise typer.Exit(code)
