"""mailprov init: a first inventory, from questions or from flags.

On a terminal it asks for what the flags do not say, one thing at a time, each explained in a line and checked at once:
a wrong answer is asked again. What cannot be reached now (an address, a login) is told and may be kept, for a host may
still be on its way. Without a terminal, and with --yes, it takes its defaults, and contacts nobody (but
with --dns auto the resolver of this machine).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Json, Yes
from mailprov.cli.streams import print_text
from mailprov.errors import InputError
from mailprov.i18n import N_, _


def init(
    output: Annotated[Path, typer.Argument(metavar="FILE", help=N_("Where to write it."))] = USUAL,
    domain: Annotated[
        str | None, typer.Option("--domain", help=N_("The mail domain: example.org"), show_default=False)
    ] = None,
    fqdn: Annotated[
        str | None,
        typer.Option("--fqdn", help=N_("The host's full name (default: mx1.DOMAIN)."), show_default=False),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            "--address", help=N_("What SSH connects to: an address or a name; :PORT behind it if not 22."),
            show_default=False,
        ),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", help=N_("The SSH user (default: root)."), show_default=False)
    ] = None,
    certificates: Annotated[
        str | None,
        typer.Option(
            "--certificates", help=N_("self-signed (default) or acme (Let's Encrypt)."), show_default=False
        ),
    ] = None,
    email: Annotated[
        str | None,
        typer.Option(
            "--email", help=N_("acme: contact address for the authority (default: postmaster@DOMAIN)."),
            show_default=False,
        ),
    ] = None,
    mail_filter: Annotated[
        str | None, typer.Option("--filter", help=N_("rspamd (default) or none."), show_default=False)
    ] = None,
    webmail: Annotated[
        str | None, typer.Option("--webmail", help=N_("none (default) or roundcube."), show_default=False)
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            help=N_("A mailbox; may be repeated (default: postmaster). The first gets postmaster's mail."),
            show_default=False,
        ),
    ] = None,
    probe_account: Annotated[
        str | None,
        typer.Option(
            "--probe-account",
            help=N_("The name of an account for tests (probe: true), or none (default)."),
            show_default=False,
        ),
    ] = None,
    passwords: Annotated[
        str | None,
        typer.Option(
            "--passwords",
            help=N_("Where they come from: file (default; made up, in secrets/) or env (variables you set)."),
            show_default=False,
        ),
    ] = None,
    dns: Annotated[
        str | None,
        typer.Option(
            "--dns",
            help=N_("auto: look up who has the domain's zone (a terminal's default); none: do not."),
            show_default=False,
        ),
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help=N_("Print the annotated example and write nothing."))
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Write a first inventory. Asks for what the flags do not say; never overwrites a file."""
    from mailprov.cli.reports import Reports

    if example:
        from mailprov.inventory import example_text

        typer.echo(example_text(), nl=False)
        return
    from mailprov.cli import first_inventory, interview
    from mailprov.model.answers import Written

    reports = Reports(json=json, text=False)
    reports.begin("init", output)
    if output.exists():
        raise InputError(
            str(output), _("it exists already"), _("Give another file name; nothing was overwritten")
        )
    given = {
        "domain": domain,
        "fqdn": fqdn,
        "address": address,
        "user": user,
        "certificates": certificates,
        "email": email,
        "filter": mail_filter,
        "webmail": webmail,
        "accounts": ",".join(account) if account else None,
        "probe": probe_account,
        "passwords": passwords,
        "dns": dns,
    }
    ask = sys.stdin.isatty() and sys.stdout.isatty() and not yes and not json
    answers = interview.answers(given, ask=ask)
    written = first_inventory.write(output, answers)
    for path in written:
        reports.emit(Written(str(path)))
    if not json:
        print_text(first_inventory.next_step(output, answers, written))
    raise typer.Exit(reports.end(0, _("wrote {files}").format(files=", ".join(map(str, written)))))
