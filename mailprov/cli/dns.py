"""mailprov dns: the zones alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailprov.cli.commands import Commands, Plain
from mailprov.cli.dns_check import check
from mailprov.cli.dns_move import move
from mailprov.cli.dns_providers import providers
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Domains, ExitCode, Inventory, Json, JUnitFile, Quiet, TakeOver, Verbose, Yes
from mailprov.i18n import N_, _, ngettext

if TYPE_CHECKING:
    from mailprov.model.answers import PanelRecord
    from mailprov.model.records import Record

app = Commands(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=N_("The DNS records alone: plan, apply, export, check; and the providers."),
)


app.command("providers", cls=Plain)(providers)
app.command("move")(move)


@app.command()
def plan(
    inventory: Inventory = USUAL,
    domain: Domains = None,
    exit_code: ExitCode = False,
    take_over: TakeOver = False,
    json: Json = False,
    junit: JUnitFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """What would change in the zones. Asks the hosts for their DKIM keys; touches nothing."""
    from mailprov.cli.reports import Reports
    from mailprov.inventory import load
    from mailprov.run import deploy
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, junit=junit, quiet=quiet, verbose=verbose)
    read = load(inventory)
    options = deploy.Options(command="dns plan", take_over=take_over, exit_code_for_changes=exit_code)
    chosen = select(read, None, domain, ["dns"])
    with Connections(chosen.hosts, others=read.hosts) as connections:
        code = deploy.plan(read, chosen, options, start=connections.start, report=reports.emit)
    raise typer.Exit(code)


@app.command("apply")
def apply_(
    inventory: Inventory = USUAL,
    domain: Domains = None,
    yes: Yes = False,
    take_over: TakeOver = False,
    json: Json = False,
    junit: JUnitFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Publish the records, DKIM keys among them, which the hosts are asked for; read them back from the server."""
    from mailprov.cli.reports import Reports
    from mailprov.inventory import load
    from mailprov.run import deploy
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, junit=junit, quiet=quiet, verbose=verbose)
    confirm = reports.confirm(yes)
    read = load(inventory)
    chosen = select(read, None, domain, ["dns"])
    with Connections(chosen.hosts, others=read.hosts) as connections:
        options = deploy.Options(
            command="dns apply",
            confirm=confirm,
            take_over=take_over,
            verify=False,
            on_interrupt=connections.interrupt,
        )
        code = deploy.apply(read, chosen, options, start=connections.start, report=reports.emit)
    raise typer.Exit(code)


@app.command()
def export(
    inventory: Inventory = USUAL,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help=N_("Write to a file."), show_default=False),
    ] = None,
    dkim: Annotated[
        bool,
        typer.Option(
            "--dkim",
            help=N_("Ask the hosts for their keys, and print the records of these, too (DKIM, TLSA)."),
        ),
    ] = False,
    form: Annotated[
        str,
        typer.Option(
            "--form",
            metavar="zone|nsupdate|panel",
            help=N_("A zone file; a script of nsupdate; or field by field, as web panels take them."),
        ),
    ] = "zone",
    by_hand: Annotated[
        bool,
        typer.Option(
            "--by-hand",
            help=N_("Only the records of zones that mailprov cannot write (`dns.zones`); all if not given."),
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Print the records, to publish by hand: as a zone file (RFC 1035), or in another form. Asks nobody, but with
    --dkim the hosts.
    """
    from mailprov import dns
    from mailprov.cli.reports import Reports
    from mailprov.dns import zonefile
    from mailprov.errors import InputError
    from mailprov.inventory import SecretMode, load
    from mailprov.model.answers import Written
    from mailprov.model.tls_keys import ServedKeys

    reports = Reports(json=json, text=False)
    if form not in dns.FORMS:
        what = _('"{form}" is not a form').format(form=form)
        raise InputError("--form", what, _("Use one of {forms}").format(forms=", ".join(dns.FORMS)))
    reports.begin("dns export", inventory)
    keys: dict[str, dict[str, str]] = {}
    tls: ServedKeys = {}
    if dkim:
        from mailprov.run.dkim_keys import ask
        from mailprov.transport.connections import Connections

        read = load(inventory)
        hosts = [host for host in read.hosts if host.managed]
        with Connections(hosts, others=read.hosts) as connections:
            asked = ask(read, hosts, command="dns export", start=connections.start, report=reports.emit)
        if asked.errors:
            raise asked.errors[0]
        keys, tls = asked.public, asked.tls
    else:
        read = load(inventory, SecretMode.IGNORE)
    if any(domain.two_sided for domain in read.domains):
        from mailprov.run.moves import settled

        read = settled(read)
    # Nobody is asked here: each of these records says on what it rests.
    read = replace(read, domains=tuple(replace(domain, unread=True) for domain in read.domains))
    text = dns.export(read, keys, form, tls, by_hand=by_hand)
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            what = _("cannot be written: {error}").format(error=error.strerror)
            raise InputError(f"--output {output}", what, _("Give a path you may write")) from error
        reports.emit(Written(str(output)))
    elif not json:
        typer.echo(text, nl=False)
    told: list[Record | PanelRecord] = [*zonefile.wanted(read, keys, tls, by_hand=by_hand)]
    if form == "panel":
        from mailprov.dns import panel

        told = [*panel.fields(read, keys, tls, by_hand=by_hand)]
    for record in told:
        reports.emit(record)
    count = len(told)
    raise typer.Exit(reports.end(0, ngettext("{count} record", "{count} records", count).format(count=count)))


app.command("check")(check)
