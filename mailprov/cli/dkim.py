"""mailprov dkim: the keys with which the hosts sign mail."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mailprov.cli import complete
from mailprov.cli.commands import Commands
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import AcceptDrift, Diff, InventoryOrDomain, Json, LockTimeout, Quiet, Verbose, Yes
from mailprov.cli.streams import print_text
from mailprov.i18n import N_, _, ngettext

app = Commands(
    no_args_is_help=True, rich_markup_mode=None, help=N_("The keys that sign mail: show them, rotate them.")
)
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DOMAIN",
        help=N_("Only these domains (default: all)."),
        show_default=False,
        autocompletion=complete.domains,
    ),
]


@app.command()
def rotate(
    inventory: InventoryOrDomain = USUAL,
    domain: Names = None,
    yes: Yes = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help=N_("Wait this long between publishing and signing (default: dns.ttl)."),
            show_default=False,
        ),
    ] = None,
    no_wait: Annotated[
        bool,
        typer.Option(
            "--no-wait", help=N_("Publish and end (exit code 4); the same command later continues.")
        ),
    ] = False,
    accept_drift: AcceptDrift = False,
    lock_timeout: LockTimeout = 0,
    json: Json = False,
    quiet: Quiet = False,
    diff: Diff = False,
    verbose: Verbose = False,
) -> None:
    """Publish a new key, wait until caches know it, sign with it. If interrupted, it continues when run again."""
    from mailprov.cli.reports import Reports
    from mailprov.inventory import load
    from mailprov.run.deploy import Options
    from mailprov.run.rotate import rotate as run
    from mailprov.run.select import select
    from mailprov.run.waiting import Waiting
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, quiet=quiet, verbose=verbose, diff=diff)
    confirm = reports.confirm(yes, "dkim rotate")
    read = load(inventory)
    chosen = select(read, None, domain, asks=True)
    with Connections(chosen.hosts, others=read.hosts) as connections:
        options = Options(
            command="dkim rotate",
            confirm=confirm,
            verify=False,
            accept_drift=accept_drift,
            lock_timeout=lock_timeout,
            on_interrupt=connections.interrupt,
        )
        waiting = Waiting(wait, no_wait)
        code = run(read, chosen, options, waiting, start=connections.start, report=reports.emit)
    raise typer.Exit(code)


@app.command()
def show(inventory: InventoryOrDomain = USUAL, domain: Names = None, json: Json = False) -> None:
    """Ask the hosts for their keys: what each is used for, and the record to publish. Changes nothing."""
    from mailprov.cli.reports import Reports
    from mailprov.inventory import load
    from mailprov.model.answers import DkimKey
    from mailprov.model.dkim import record_name
    from mailprov.run.dkim_keys import ask
    from mailprov.run.exit_code import worst
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, text=False)
    reports.begin("dkim show", inventory)
    read = load(inventory)
    chosen = select(read, None, domain, asks=True)
    with Connections(chosen.hosts, others=read.hosts) as connections:
        told = ask(read, chosen.hosts, command="dkim show", start=connections.start, report=reports.emit)
    count = 0
    for host, keys in told.states.items():
        for key in keys:
            if key.domain not in chosen.domains:
                continue
            count += 1
            name, record = record_name(key.domain, key.selector), told.public[host].get(key.name, "")
            reports.emit(DkimKey(host, key.domain, key.selector, key.state.value, key.since, name, record))
            if not json:
                form = (
                    _("{domain}: {selector} on {host}, {state}")
                    if key.since == "-"
                    else _("{domain}: {selector} on {host}, {state} since {date}")
                )
                print_text(
                    form.format(
                        domain=key.domain,
                        selector=key.selector,
                        host=host,
                        state=key.state.value,
                        date=key.since,
                    )
                )
                typer.echo(f"  {name}. TXT")
                typer.echo(f"  {record or _('(its public key is missing)')}")
    for error in told.errors:
        print_text(f"mailprov: {error}", sys.stderr)
    code = worst(*(error.exit_code for error in told.errors))
    raise typer.Exit(reports.end(code, ngettext("{count} key", "{count} keys", count).format(count=count)))
