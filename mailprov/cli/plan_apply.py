"""What `plan` and `apply` do once their arguments are known, whoever parsed them (typer, or `fastpath`).

    plan(inventory, …) -> int       the exit code
    apply(inventory, …) -> int

The parameters and their defaults are those of the commands in plan.py and apply.py. Raises what the commands raise.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mailprov.cli.inventory_argument import USUAL
from mailprov.i18n import _


def plan(
    inventory: Path = USUAL,
    host: list[str] | None = None,
    domain: list[str] | None = None,
    only: list[str] | None = None,
    exit_code: bool = False,
    out: Path | None = None,
    take_over: bool = False,
    json: bool = False,
    junit: Path | None = None,
    quiet: bool = False,
    diff: bool = False,
    verbose: bool = False,
) -> int:
    """Show every change on every host and in every zone. Touches nothing."""
    from mailprov.cli.reports import Reports
    from mailprov.inventory import load
    from mailprov.model.events import Event, Planned
    from mailprov.run.select import seeming, select
    from mailprov.transport.early_logins import EarlyLogins

    saving: Saving | None = None
    if out is not None:
        from mailprov.cli.saved import Saving

        saving = Saving(out, inventory)
    pending = 0

    def note(event: Event) -> None:
        nonlocal pending
        pending += len(event.changes) if isinstance(event, Planned) else 0
        if saving is not None:
            saving(event)

    reports = Reports(
        json=json, junit=junit, reads=inventory, quiet=quiet, verbose=verbose, diff=diff, also=note
    )
    with EarlyLogins() as early:
        read = load(inventory, early=lambda all_: early.begin(seeming(all_, host, domain, only), all_))
        chosen = select(read, host, domain, only)
        on_hosts = chosen.hosts if chosen.on_hosts else ()
        with early.settled(on_hosts, read.hosts) as connections:
            connections.begin(on_hosts)
            from mailprov.run import (
                deploy,
            )  # loads most of the program; the hosts' servers get ready meanwhile

            options = deploy.Options(
                command="plan",
                take_over=take_over,
                exit_code_for_changes=exit_code,
                on_interrupt=connections.interrupt,
                direct=connections.direct,
            )
            code = deploy.plan(read, chosen, options, start=connections.start, report=reports.emit)
    if saving is not None:
        narrowed = {"host": host, "domain": domain, "only": only, "take_over": take_over}
        print(f"{out}: {saving.write(read, code, narrowed)}", file=sys.stderr)
    elif pending and code in (0, 4) and not (json or quiet or host or domain or only or take_over):
        from mailprov.cli.hints import next_is

        next_is("apply", inventory)
    return code


def apply(
    inventory: Path = USUAL,
    host: list[str] | None = None,
    domain: list[str] | None = None,
    only: list[str] | None = None,
    yes: bool = False,
    verify: bool | None = None,
    verify_scope: str = "changed",
    take_over: bool = False,
    accept_drift: bool = False,
    take_over_host: bool = False,
    bootstrap_python: bool = False,
    lock_timeout: float = 0,
    json: bool = False,
    junit: Path | None = None,
    report: list[str] | None = None,
    quiet: bool = False,
    diff: bool = False,
    verbose: bool = False,
) -> int:
    """Plan, ask (or --yes), apply to all hosts and to DNS, and verify from outside."""
    from mailprov.cli.reports import Reports
    from mailprov.cli.saved import load_saved
    from mailprov.errors import InputError
    from mailprov.inventory import load
    from mailprov.run.select import seeming, select
    from mailprov.transport.early_logins import EarlyLogins

    reports = Reports(
        json=json,
        junit=junit,
        report=report,
        reads=inventory,
        quiet=quiet,
        verbose=verbose,
        diff=diff,
    )
    saved = load_saved(inventory)
    with EarlyLogins(bootstrap=bootstrap_python) as early:
        if saved is None:
            confirm = reports.confirm(yes)
            read = load(inventory, early=lambda all_: early.begin(seeming(all_, host, domain, only), all_))
        else:
            # Not asked again: saving the plan and giving it to apply is the answer, and what has moved since is
            # refused. The step that applies is often one of a pipeline, where there is nobody to ask.
            confirm, read = reports.confirm(True), saved[1]
            if host or domain or only or take_over:
                raise InputError(
                    str(inventory),
                    _("a saved plan already says what it covers"),
                    _("Leave --host, --domain, --only and --take-over out, or give the inventory"),
                )
            known = saved[0].options
            host, domain, only = known.get("host"), known.get("domain"), known.get("only")
            take_over = bool(known.get("take_over"))
        chosen = select(read, host, domain, only)
        on_hosts = chosen.hosts if chosen.on_hosts else ()
        with early.settled(on_hosts, read.hosts) as connections:
            connections.begin(on_hosts)
            from mailprov.run import (
                deploy,
            )  # loads most of the program; the hosts' servers get ready meanwhile

            options = deploy.Options(
                command="apply",
                confirm=confirm,
                take_over=take_over,
                saved=saved[0].subjects if saved is not None else None,
                verify=verify,
                verify_scope=verify_scope,
                lock_timeout=lock_timeout,
                accept_drift=accept_drift,
                take_over_host=take_over_host,
                on_interrupt=connections.interrupt,
                direct=connections.direct,
            )
            return deploy.apply(read, chosen, options, start=connections.start, report=reports.emit)
