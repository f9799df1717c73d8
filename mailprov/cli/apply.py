"""mailprov apply: plan, ask, do it, verify. Declares the arguments; `plan_apply` does it."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import (
    AcceptDrift,
    Diff,
    Domains,
    Hosts,
    InventoryOrPlan,
    Json,
    JUnitFile,
    LockTimeout,
    Only,
    Quiet,
    ReportFiles,
    TakeOver,
    TakeOverHost,
    Verbose,
    Yes,
)
from mailprov.i18n import N_


class Probed(str, Enum):
    changed = "changed"
    full = "full"


def apply(
    inventory: InventoryOrPlan = USUAL,
    host: Hosts = None,
    domain: Domains = None,
    only: Only = None,
    yes: Yes = False,
    verify: Annotated[
        bool | None,
        typer.Option(
            "--verify/--no-verify",
            help=N_("Verify at the end (default: when something was changed)."),
            show_default=False,
        ),
    ] = None,
    verify_scope: Annotated[
        Probed,
        typer.Option(
            "--verify-scope",
            help=N_("What is verified: what the changes can have touched, or everything."),
        ),
    ] = Probed.changed,
    take_over: TakeOver = False,
    accept_drift: AcceptDrift = False,
    take_over_host: TakeOverHost = False,
    bootstrap_python: Annotated[
        bool,
        typer.Option("--bootstrap-python", help=N_("Install python3 by apt-get on hosts that have none.")),
    ] = False,
    lock_timeout: LockTimeout = 0,
    json: Json = False,
    junit: JUnitFile = None,
    report: ReportFiles = None,
    quiet: Quiet = False,
    diff: Diff = False,
    verbose: Verbose = False,
) -> None:
    """Plan, ask (or --yes), apply to all hosts and to DNS, and verify from outside."""
    from mailprov.cli import plan_apply

    code = plan_apply.apply(
        inventory,
        host=host,
        domain=domain,
        only=only,
        yes=yes,
        verify=verify,
        verify_scope=verify_scope.value,
        take_over=take_over,
        accept_drift=accept_drift,
        take_over_host=take_over_host,
        bootstrap_python=bootstrap_python,
        lock_timeout=lock_timeout,
        json=json,
        junit=junit,
        report=report,
        quiet=quiet,
        diff=diff,
        verbose=verbose,
    )
    raise typer.Exit(code)
