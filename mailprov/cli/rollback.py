"""mailprov rollback: hosts and zones back to the state before the last apply."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli import complete
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Diff, Hosts, Inventory, Json, JUnitFile, LockTimeout, Quiet, Verbose, Yes
from mailprov.i18n import N_, _


def rollback(
    inventory: Inventory = USUAL,
    host: Hosts = None,
    yes: Yes = False,
    accept_drift: Annotated[
        bool,
        typer.Option(
            "--accept-drift", help=N_("Also restore files that were edited by hand since that apply.")
        ),
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="RUN",
            help=N_("Back to the state after this run (see history): undoes all later ones."),
            show_default=False,
            autocompletion=complete.runs,
        ),
    ] = None,
    lock_timeout: LockTimeout = 0,
    json: Json = False,
    junit: JUnitFile = None,
    quiet: Quiet = False,
    diff: Diff = False,
    verbose: Verbose = False,
) -> None:
    """Return hosts and zones to the state before the last apply, or after an earlier run (--to). Shows the plan and
    asks first; where there is nobody to ask, and without --yes, it shows the plan only.
    """
    from mailprov.cli.reports import Reports
    from mailprov.inventory import load
    from mailprov.run.deploy import Options
    from mailprov.run.rollback import rollback as run_rollback
    from mailprov.run.select import select
    from mailprov.run.undo_file import present
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, junit=junit, quiet=quiet, verbose=verbose, diff=diff)
    preview = "" if yes or reports.can_ask() else _("this is a preview; give --yes to roll back")
    confirm = None if preview else reports.confirm(yes, "rollback")
    read = load(inventory)
    chosen = select(read, host, asks=not present(read))
    with Connections(chosen.hosts, others=read.hosts) as connections:
        options = Options(
            command="rollback",
            confirm=confirm,
            preview=preview,
            verify=False,  # the inventory describes another state than the one that is put back
            lock_timeout=lock_timeout,
            accept_drift=accept_drift,
            on_interrupt=connections.interrupt,
        )
        code = run_rollback(
            read,
            chosen,
            options,
            to=to or "",
            start=connections.start,
            report=reports.emit,
        )
    raise typer.Exit(code)
