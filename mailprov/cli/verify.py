"""mailprov verify: probe from outside; also for servers that mailprov did not build."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Domains, Hosts, Inventory, Json, JUnitFile, Quiet, ReportFiles, Verbose
from mailprov.cli.probe_options import Probes, SkippedProbes, known
from mailprov.i18n import N_, _


class FailOn(str, Enum):
    fail = "fail"
    warn = "warn"


def verify(
    inventory: Inventory = USUAL,
    host: Hosts = None,
    domain: Domains = None,
    probes: Probes = None,
    skip: SkippedProbes = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help=N_("warn: exit with 4 when there are warnings only."))
    ] = FailOn.fail,
    accounts: Annotated[
        str,
        typer.Option(
            "--accounts",
            metavar="N",
            help=N_("How many accounts of each domain log in, chosen anew by each run; all: every one."),
        ),
    ] = "3",
    partner: Annotated[
        str,
        typer.Option(
            "--partner",
            metavar="DOMAIN",
            help=N_(
                "The domain that the others exchange mail with (default: for each the next one that works)."
            ),
            show_default=False,
        ),
    ] = "",
    json: Json = False,
    junit: JUnitFile = None,
    report: ReportFiles = None,
    changes_since: Annotated[
        Path | None,
        typer.Option(
            "--changes-since",
            metavar="FILE",
            help=N_("Show only what has changed since this report (of --report json=FILE)."),
            show_default=False,
        ),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            "--history",
            metavar="DIR",
            help=N_("Keep a report of the run in this folder, and show the trend of the last ten."),
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Probe all ports of mail, logins, mail in both directions, relaying and DNS, as a stranger and as a user would."""
    from mailprov.cli.reports import Reports
    from mailprov.errors import InputError
    from mailprov.inventory import load
    from mailprov.run.accepting import check
    from mailprov.run.select import domain_named, select
    from mailprov.run.verify import verify as run_verify
    from mailprov.transport.connections import Connections

    reports = Reports(
        json=json,
        junit=junit,
        report=report,
        reads=inventory,
        quiet=quiet,
        verbose=verbose,
        since=changes_since,
        history=history,
    )
    probe_ids, skip_ids = known("--probe", probes), known("--skip", skip)
    if accounts != "all" and (not accounts.isdecimal() or int(accounts) < 1):
        raise InputError(
            "--accounts",
            _('"{accounts}" is not a number from 1 on').format(accounts=accounts),
            _("Or say all"),
        )
    read = load(inventory)
    check(read)
    # Nobody is asked for a passphrase: what probes ask of hosts only makes their answers better.
    with Connections(others=read.hosts, asks=False) as connections:
        code = run_verify(
            read,
            select(read, host, domain, verifies=True),
            probe_ids=probe_ids,
            skip_ids=skip_ids,
            fail_on_warn=fail_on is FailOn.warn,
            accounts=None if accounts == "all" else int(accounts),
            partner=domain_named(read, "--partner", partner) if partner else "",
            start=connections.start,
            report=reports.emit,
        )
    raise typer.Exit(code)
