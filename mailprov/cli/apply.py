"""mailprov apply: plan, ask, do it, verify."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli.options import (
    Domains,
    Hosts,
    Inventory,
    Json,
    JUnitFile,
    Only,
    Quiet,
    TakeOver,
    Verbose,
    Yes,
)


def apply(
    inventory: Inventory,
    host: Hosts = None,
    domain: Domains = None,
    only: Only = None,
    yes: Yes = False,
    verify: Annotated[
        bool | None,
        typer.Option(
            "--verify/--no-verify",
            help="Verify at the end (default: when something was changed).",
            show_default=False,
        ),
    ] = None,
    take_over: TakeOver = False,
    json: Json = False,
    junit: JUnitFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Plan, ask (or --yes), make it true on all hosts and in DNS, and verify from outside."""
    from mailprov.cli.session import Reports
    from mailprov.inventory import load
    from mailprov.run import deploy
    from mailprov.run.select import select
    from mailprov.transport import ssh

    reports = Reports(json=json, junit=junit, quiet=quiet, verbose=verbose)
    confirm = reports.confirm(yes)
    read = load(inventory)
    options = deploy.Options(command="apply", confirm=confirm, take_over=take_over, verify=verify)
    raise typer.Exit(
        deploy.apply(read, select(read, host, domain, only), options, start=ssh.start, report=reports.emit)
    )
