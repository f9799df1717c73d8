"""mailprov rollback: hosts and zones back to the state before the last apply."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Diff, Hosts, Inventory, Json, JUnitFile, LockTimeout, Quiet, Verbose, Yes


def rollback(
    inventory: Inventory = USUAL,
    host: Hosts = None,
    yes: Yes = False,
    accept_drift: Annotated[
        bool,
        typer.Option("--accept-drift", help="Also put back files that were edited by hand since that apply."),
    ] = False,
    lock_timeout: LockTimeout = 0,
    json: Json = False,
    junit: JUnitFile = None,
    quiet: Quiet = False,
    diff: Diff = False,
    verbose: Verbose = False,
) -> None:
    """Put hosts and zones back to the state before the last apply. Shows the plan and asks first."""
    from mailprov.cli.session import Reports
    from mailprov.inventory import load
    from mailprov.run.deploy import Options
    from mailprov.run.rollback import rollback as run_rollback
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, junit=junit, quiet=quiet, verbose=verbose, diff=diff)
    confirm = reports.confirm(yes, "rollback")
    read = load(inventory)
    chosen = select(read, host)
    with Connections(chosen.hosts, others=read.hosts) as connections:
        options = Options(
            command="rollback",
            confirm=confirm,
            verify=False,  # the inventory describes another state than the one that is put back
            lock_timeout=lock_timeout,
            on_interrupt=connections.interrupt,
        )
        code = run_rollback(
            read,
            chosen,
            options,
            accept_drift=accept_drift,
            start=connections.start,
            report=reports.emit,
        )
    raise typer.Exit(code)
