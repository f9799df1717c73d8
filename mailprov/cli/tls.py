"""mailprov tls: the keys of the hosts' certificates."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli.commands import Commands
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import AcceptDrift, Diff, Hosts, Inventory, Json, LockTimeout, Quiet, Verbose, Yes
from mailprov.i18n import N_

app = Commands(no_args_is_help=True, rich_markup_mode=None, help=N_("The keys of certificates: rotate them."))


@app.callback()
def group() -> None:
    """The keys of certificates: rotate them."""


@app.command()
def rotate(
    inventory: Inventory = USUAL,
    host: Hosts = None,
    yes: Yes = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help=N_("Wait this long between publishing and serving (default: the TTL of the records)."),
            show_default=False,
        ),
    ] = None,
    accept_drift: AcceptDrift = False,
    lock_timeout: LockTimeout = 0,
    json: Json = False,
    quiet: Quiet = False,
    diff: Diff = False,
    verbose: Verbose = False,
) -> None:
    """Publish the TLSA record of a new key, wait until caches know it, serve the key, remove the old record. If
    interrupted, it continues when run again.
    """
    from mailprov.cli.reports import Reports
    from mailprov.inventory import load
    from mailprov.run.deploy import Options
    from mailprov.run.rotate_tls import rotate as run
    from mailprov.run.select import select
    from mailprov.run.waiting import Waiting
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, quiet=quiet, verbose=verbose, diff=diff)
    confirm = reports.confirm(yes, "tls rotate")
    read = load(inventory)
    chosen = select(read, host, asks=True)
    with Connections(chosen.hosts, others=read.hosts) as connections:
        options = Options(
            command="tls rotate",
            confirm=confirm,
            verify=False,
            accept_drift=accept_drift,
            lock_timeout=lock_timeout,
            on_interrupt=connections.interrupt,
        )
        code = run(read, chosen, options, Waiting(wait), start=connections.start, report=reports.emit)
    raise typer.Exit(code)
