"""mailprov client: how a mail program is set up for an account."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailprov.cli import complete
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Json
from mailprov.cli.streams import print_text
from mailprov.i18n import N_, _, all_of, ngettext

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mailprov.client.settings import Settings
    from mailprov.model.inventory import Inventory

FORMS = ("table", "autoconfig", "autodiscover", "mobileconfig", "pacc", "sheet", "qr")


def client(
    inventory: Annotated[
        Path,
        typer.Argument(
            metavar="INVENTORY",
            help=N_("The inventory file (YAML); ./mail.yml if left out."),
            show_default=False,
            autocompletion=complete.inventory_or(complete.accounts),
        ),
    ] = USUAL,
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="ADDRESS",
            help=N_("Whose account; may be left out with --sheet, which then has a page for each."),
            show_default=False,
            autocompletion=complete.accounts,
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--form",
            metavar="|".join(FORMS),
            help=N_("A table to read; the file that a program reads; a page to print; a QR code."),
            show_default=False,
        ),
    ] = "table",
    sheet: Annotated[bool, typer.Option("--sheet", help=N_("The same as --form sheet."))] = False,
    qr: Annotated[bool, typer.Option("--qr", help=N_("The same as --form qr."))] = False,
    pop: Annotated[
        bool, typer.Option("--pop", help=N_("POP instead of IMAP, in a profile or a QR code."))
    ] = False,
    with_password: Annotated[
        bool,
        typer.Option(
            "--with-password", help=N_("Also the password, in clear, in a page, a profile or a QR code.")
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=N_("Write to a file, which only you can read."),
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show how a mail program is set up for an account: servers, ports, security, user name. Asks no host."""
    from mailprov.cli.reports import Reports
    from mailprov.client import settings as of
    from mailprov.inventory import SecretMode, load
    from mailprov.model.answers import ClientServer, Written
    from mailprov.model.events import Notice

    reports = Reports(json=json, text=False)
    form = _form(form, sheet, qr)
    if with_password and form not in ("sheet", "mobileconfig", "qr"):
        raise _wrong("--with-password", _("a {form} has no password in it").format(form=form), "sheet")
    reports.begin("client", inventory)
    read = load(inventory, SecretMode.RESOLVE if with_password else SecretMode.IGNORE)
    if address is None and form != "sheet":
        raise _wrong("client", _("whose account is not given"), "")
    wanted = [_checked(address)] if address is not None else _all(read)
    chosen = [of.of_account(read, each) for each in wanted]
    if pop and (without := next((one for one in chosen if one.incoming(pop=True) is None), None)):
        what = _("the host of {domain} offers no POP").format(domain=without.domain)
        raise _wrong("--pop", what, "", _("Leave it out, or add pop3s to `services`"))
    own = frozenset(
        each.address for domain in read.domains for each in domain.accounts if each.owner == "user"
    )
    said = _states(read, {one.address for one in chosen})
    text = _text(form, chosen, _passwords(read, chosen) if with_password else {}, own, said, pop)
    if with_password and not json and (begin := [one.address for one in chosen if one.address in own]):
        what = ngettext(
            "the password of {names} is the one to begin with: its user owns it and may have changed it",
            "the passwords of {names} are those to begin with: their users own them and may have changed them",
            len(begin),
        )
        print_text(what.format(names=_few(begin)), sys.stderr)
    for sentence in (each for sentences in said.values() for each in sentences):
        reports.emit(Notice("", sentence))
        if not json:
            print_text(_("note: {sentence}").format(sentence=sentence), sys.stderr)
    if output is not None:
        _write(output, text)
        reports.emit(Written(str(output)))
        if not json:
            print_text(_("written: {path}").format(path=output), sys.stderr)
    elif not json:
        typer.echo(text, nl=False)
    servers = [(one.address, server) for one in chosen for server in one.servers]
    for owner, server in servers:
        login = "password" if server.password else "oauth2"
        security = "tls" if server.tls.value == "implicit" else "starttls"
        reports.emit(
            ClientServer(owner, server.protocol.value, server.host, server.port, security, server.user, login)
        )
    count = len(chosen)
    raise typer.Exit(
        reports.end(0, ngettext("{count} account", "{count} accounts", count).format(count=count))
    )


def _states(read: Inventory, addresses: Collection[str]) -> dict[str, list[str]]:
    """Who may not log in, and the like: sentences by address."""
    from mailprov.plan import states

    now = time.time()
    every = (account for domain in read.domains for account in domain.accounts)
    less = (each for each in every if each.address in addresses and each.says_what_it_may)
    return {account.address: list(states.of_account(account, now)) for account in less}


def _form(form: str, sheet: bool, qr: bool) -> str:
    asked = {*([form] if form != "table" else []), *(["sheet"] if sheet else []), *(["qr"] if qr else [])}
    if form not in FORMS:
        what = _('"{form}" is not a form').format(form=form)
        raise _wrong("--form", what, "", _("Use one of {forms}").format(forms=", ".join(FORMS)))
    if len(asked) > 1:
        what = _("only one form can be given, not {forms}").format(forms=", ".join(sorted(asked)))
        raise _wrong("--form", what, "", _("Run the command once for each"))
    return asked.pop() if asked else "table"


def _wrong(where: str, what: str, form: str, advice: str = "") -> Exception:
    from mailprov.errors import InputError

    if not advice:
        advice = (
            _("Give it with --{form}, or leave it out").format(form=form)
            if form
            else _("Give an address, or --sheet for a page of each account")
        )
    return InputError(where, what, advice)


def _checked(address: str) -> str:
    from mailprov.errors import InputError
    from mailprov.schema.names import BadName
    from mailprov.schema.names import address as checked

    try:
        return checked(address)
    except BadName as error:
        raise InputError(f'client "{address}"', str(error), _("Give one whole address")) from None


def _all(read: Inventory) -> list[str]:
    from mailprov.errors import InputError

    found = [account.address for domain in read.domains for account in domain.accounts]
    if not found:
        raise InputError("client", _("this inventory has no accounts"), _("See domains.NAME.accounts"))
    return found


def _passwords(read: Inventory, chosen: list[Settings]) -> dict[str, str]:
    from mailprov.errors import InputError

    by_address = {account.address: account for domain in read.domains for account in domain.accounts}
    found = {}
    for one in chosen:
        account = by_address.get(one.address)
        if account is None:
            continue
        if account.password is None:
            raise InputError(
                f'client "{one.address}"',
                _("the inventory has only a hash of its password"),
                _("Leave --with-password out"),
            )
        found[one.address] = account.password.reveal()
    return found


def _few(names: list[str]) -> str:
    shown, more = all_of(names[:5]), len(names) - 5
    return _("{names} and {count} more").format(names=shown, count=more) if more > 0 else shown


def _text(
    form: str,
    chosen: list[Settings],
    passwords: dict[str, str],
    own: frozenset[str],
    said: Mapping[str, list[str]],
    pop: bool,
) -> str:
    """`own`: accounts whose passwords their users own, so that the given ones are the initial ones. `said`: what an
    account may do less than others.
    """
    if form == "sheet":
        from mailprov.client.sheet import Sheet, sheet
        from mailprov.components.templates import folders

        pages = [
            Sheet(
                one,
                passwords.get(one.address, ""),
                one.address in own,
                tuple(said.get(one.address, ())),
            )
            for one in chosen
        ]
        return sheet(pages, folders())
    one = chosen[0]
    password = passwords.get(one.address, "")
    if form == "autoconfig":
        from mailprov.client.autoconfig import autoconfig

        return autoconfig(one)
    if form == "autodiscover":
        from mailprov.client.autodiscover import autodiscover

        return autodiscover(one)
    if form == "mobileconfig":
        from mailprov.client.mobileconfig import mobileconfig

        return mobileconfig(one, pop, password)
    if form == "pacc":
        from mailprov.client.pacc import pacc
        from mailprov.errors import InputError

        if not (made := pacc(one)):
            what = _("{domain} has no servers that such a file could name").format(domain=one.domain)
            raise InputError("--form", what, _("They are IMAP or POP, and SMTP, with TLS from the start"))
        return made
    if form == "qr":
        from mailprov.client import qr

        return qr.in_terminal(qr.payload(one, pop, password))
    return _table(one)


def _table(one: Settings) -> str:
    from mailprov.cli.streams import at_words
    from mailprov.client.sheet import PURPOSES, SECURITY, notes

    head = (_("for"), _("server"), _("port"), _("security"))
    rows = [head]
    rows += [
        (_(PURPOSES[server.protocol]), server.host, str(server.port), SECURITY[server.tls])
        for server in one.servers
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [_("{address}: user name {user}").format(address=one.address, user=one.servers[0].user), ""]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"  {'  '.join(cells)}".rstrip())
    lines += ["", *(at_words(note, sys.stdout) for note in notes(one))]
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    """It may hold a password."""
    from mailprov.errors import InputError
    from mailprov.report import own_file

    try:
        own_file.write(path, text)
    except OSError as error:
        what = _("cannot be written: {error}").format(error=error.strerror)
        raise InputError(f"--output {path}", what, _("Give a path you may write")) from None
