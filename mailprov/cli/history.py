"""mailprov history: what was applied when, by whom, and how it ended."""

from __future__ import annotations

import typer

from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Hosts, Inventory, Json, Quiet, Verbose


def history(
    inventory: Inventory = USUAL,
    host: Hosts = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show what was applied, when, by whom, and how it ended, as each host remembers it."""
    from mailprov.cli.reports import Reports
    from mailprov.cli.seen_runs import Remember
    from mailprov.inventory import load
    from mailprov.run.history import history as run_history
    from mailprov.run.select import select
    from mailprov.run.undo_file import present
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, quiet=quiet, verbose=verbose, also=Remember(inventory))
    read = load(inventory)
    chosen = select(read, host, asks=not present(read))
    with Connections(chosen.hosts, others=read.hosts) as connections:
        raise typer.Exit(run_history(read, chosen, start=connections.start, report=reports.emit))
