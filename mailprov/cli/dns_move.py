"""mailprov dns move: a domain moves between own hosts and a provider."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli import complete
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import (
    AcceptDrift,
    Diff,
    InventoryOrDomain,
    Json,
    LockTimeout,
    Quiet,
    TakeOver,
    Verbose,
    Yes,
)
from mailprov.i18n import N_, _


def move(
    inventory: InventoryOrDomain = USUAL,
    domain: Annotated[
        str | None,
        typer.Argument(
            metavar="DOMAIN",
            help=N_("The domain; if left out, the one that has `hosts` and `hosted`."),
            show_default=False,
            autocompletion=complete.domains,
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="hosts|google-workspace|exchange-online|other",
            help=N_("Where its mail shall be; a provider is the one of `hosted`."),
            show_default=False,
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help=N_("Print the steps and what the next one would change; change nothing.")
        ),
    ] = False,
    yes: Yes = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help=N_("Wait this long after each step (default: as long as caches may keep what it replaced)."),
            show_default=False,
        ),
    ] = None,
    no_wait: Annotated[
        bool,
        typer.Option(
            "--no-wait",
            help=N_("Do what can be done now and end (exit code 4); the same command later continues."),
        ),
    ] = False,
    take_over: TakeOver = False,
    accept_drift: AcceptDrift = False,
    lock_timeout: LockTimeout = 0,
    json: Json = False,
    quiet: Quiet = False,
    diff: Diff = False,
    verbose: Verbose = False,
) -> None:
    """Move a domain's mail from own hosts to a provider, or back, step by step. If interrupted, it continues when run
    again, on any machine.
    """
    from mailprov.cli.reports import Reports
    from mailprov.errors import InputError
    from mailprov.inventory import load
    from mailprov.run.move import Move, Waiting, domain_to_move
    from mailprov.run.options import Options
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, quiet=quiet, verbose=verbose, diff=diff)
    confirm = None if plan else reports.confirm(yes, "dns move")
    read = load(inventory)
    if to is None:
        raise InputError(
            "dns move", _("--to is missing"), _("Say where the mail shall be: --to hosts, or a provider")
        )
    moving = domain_to_move(read, domain, to, looks=plan)
    chosen = select(read, None, [moving.name])
    with Connections(chosen.hosts, others=read.hosts) as connections:
        options = Options(
            command="dns move",
            confirm=confirm,
            verify=False,
            take_over=take_over,
            accept_drift=accept_drift,
            lock_timeout=lock_timeout,
            on_interrupt=connections.interrupt,
        )
        waiting = Waiting(wait, no_wait)
        run = Move(read, moving, to, chosen, options, waiting, connections.start, reports.emit)
        code = run.preview() if plan else run.run()
    raise typer.Exit(code)
