"""mailprov apply: plan, ask, do it, verify."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli.options import (
    AcceptDrift,
    Domains,
    Hosts,
    Inventory,
    Json,
    JUnitFile,
    LockTimeout,
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
    accept_drift: AcceptDrift = False,
    bootstrap_python: Annotated[
        bool,
        typer.Option("--bootstrap-python", help="Install python3 by apt-get on hosts that have none."),
    ] = False,
    lock_timeout: LockTimeout = 0,
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
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, junit=junit, quiet=quiet, verbose=verbose)
    confirm = reports.confirm(yes)
    read = load(inventory)
    chosen = select(read, host, domain, only)
    on_hosts = chosen.hosts if chosen.on_hosts else ()
    with Connections(on_hosts, others=read.hosts, bootstrap=bootstrap_python) as connections:
        options = deploy.Options(
            command="apply",
            confirm=confirm,
            take_over=take_over,
            verify=verify,
            lock_timeout=lock_timeout,
            accept_drift=accept_drift,
            on_interrupt=connections.interrupt,
        )
        code = deploy.apply(read, chosen, options, start=connections.start, report=reports.emit)
    raise typer.Exit(code)
