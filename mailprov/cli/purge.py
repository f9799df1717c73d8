"""mailprov purge: the mailboxes that accounts have left behind; deletes one that is named."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Hosts, Inventory, Json, LockTimeout, Quiet, Verbose, Yes
from mailprov.i18n import N_, _


def purge(
    inventory: Inventory = USUAL,
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="ADDRESS",
            help=N_("Whose mailbox is deleted; without it they are listed."),
            show_default=False,
        ),
    ] = None,
    host: Hosts = None,
    yes: Yes = False,
    lock_timeout: LockTimeout = 0,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List what accounts have left behind, or delete what one has: shows what is in it and asks first."""
    from mailprov.cli.reports import Reports
    from mailprov.errors import InputError
    from mailprov.inventory import load
    from mailprov.run import purge as run
    from mailprov.run.deploy import Options
    from mailprov.run.select import select
    from mailprov.schema.names import BadName
    from mailprov.schema.names import address as checked
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, quiet=quiet, verbose=verbose)
    confirm = reports.confirm(yes, "purge") if address is not None else None
    if address is not None:
        try:
            address = checked(address)
        except BadName as error:
            raise InputError(f'purge "{address}"', str(error), _("Give one whole address")) from None
    read = load(inventory)
    chosen = select(read, host, only=["hosts"])
    with Connections(chosen.hosts, others=read.hosts) as connections:
        if address is None:
            raise typer.Exit(run.kept(read, chosen, start=connections.start, report=reports.emit))
        options = Options(
            command="purge",
            confirm=confirm,
            verify=False,
            lock_timeout=lock_timeout,
            on_interrupt=connections.interrupt,
        )
        code = run.purge(read, chosen, address, options, start=connections.start, report=reports.emit)
    raise typer.Exit(code)
