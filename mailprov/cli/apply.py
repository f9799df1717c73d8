"""mailprov apply: plan, ask, do it, verify."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli.options import (
    AcceptDrift,
    Domains,
    Hosts,
    InventoryOrPlan,
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
    inventory: InventoryOrPlan,
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
    from mailprov.cli.saved import load_saved
    from mailprov.cli.session import Reports
    from mailprov.errors import InputError
    from mailprov.inventory import load
    from mailprov.run import deploy
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, junit=junit, quiet=quiet, verbose=verbose)
    saved = load_saved(inventory)
    if saved is None:
        confirm = reports.confirm(yes)
        read = load(inventory)
    else:
        # Not asked again: saving the plan and giving it to apply is the answer, and what has moved since is refused.
        # The step that applies is often one of a pipeline, where there is nobody to ask.
        confirm, read = None, saved[1]
        if host or domain or only or take_over:
            raise InputError(
                str(inventory),
                "a saved plan knows by itself what it is about",
                "Leave --host, --domain, --only and --take-over out, or give the inventory",
            )
        known = saved[0].options
        host, domain, only = known.get("host"), known.get("domain"), known.get("only")
        take_over = bool(known.get("take_over"))
    chosen = select(read, host, domain, only)
    on_hosts = chosen.hosts if chosen.on_hosts else ()
    with Connections(on_hosts, others=read.hosts, bootstrap=bootstrap_python) as connections:
        options = deploy.Options(
            command="apply",
            confirm=confirm,
            take_over=take_over,
            saved=saved[0].subjects if saved is not None else None,
            verify=verify,
            lock_timeout=lock_timeout,
            accept_drift=accept_drift,
            on_interrupt=connections.interrupt,
        )
        code = deploy.apply(read, chosen, options, start=connections.start, report=reports.emit)
    raise typer.Exit(code)
