"""mailprov plan: what would change on hosts and in DNS; touches nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mailprov.cli.options import Domains, Hosts, Inventory, Json, JUnitFile, Only, Quiet, TakeOver, Verbose


def plan(
    inventory: Inventory,
    host: Hosts = None,
    domain: Domains = None,
    only: Only = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 4 when changes are pending.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Save the plan; `mailprov apply FILE` does exactly that, or nothing.",
            show_default=False,
        ),
    ] = None,
    take_over: TakeOver = False,
    json: Json = False,
    junit: JUnitFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show every change on every host and in every zone. Touches nothing."""
    from mailprov.cli.saved import Saving
    from mailprov.cli.session import Reports
    from mailprov.inventory import load
    from mailprov.run import deploy
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    saving = Saving(out, inventory) if out is not None else None
    reports = Reports(json=json, junit=junit, quiet=quiet, verbose=verbose, also=saving)
    read = load(inventory)
    chosen = select(read, host, domain, only)
    with Connections(chosen.hosts if chosen.on_hosts else (), others=read.hosts) as connections:
        options = deploy.Options(
            command="plan",
            take_over=take_over,
            exit_code_for_changes=exit_code,
            on_interrupt=connections.interrupt,
        )
        code = deploy.plan(read, chosen, options, start=connections.start, report=reports.emit)
    if saving is not None:
        narrowed = {"host": host, "domain": domain, "only": only, "take_over": take_over}
        print(f"{out}: {saving.write(read, code, narrowed)}", file=sys.stderr)
    raise typer.Exit(code)
