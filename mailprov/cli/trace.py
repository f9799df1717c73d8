"""mailprov trace: the way of one message, from its sender into the mailboxes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailprov.cli import complete
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Json, Quiet, Verbose
from mailprov.cli.streams import print_text
from mailprov.i18n import N_, _

if TYPE_CHECKING:
    from mailprov.report.trace_page import TracePage
    from mailprov.run.trace_past import Search

_MOST = 40 * 2**20  # bytes of an attachment


def trace(
    inventory: Annotated[
        Path,
        typer.Argument(
            metavar="INVENTORY",
            help=N_("The inventory file (YAML); ./mail.yml if left out."),
            show_default=False,
            autocompletion=complete.inventory_or(complete.accounts),
        ),
    ] = USUAL,
    sender: Annotated[
        str | None,
        typer.Argument(
            metavar="FROM",
            help=N_("Who sends the message: an account, or an address elsewhere."),
            show_default=False,
            autocompletion=complete.accounts,
        ),
    ] = None,
    recipient: Annotated[
        str | None,
        typer.Argument(
            metavar="TO",
            help=N_("Whom it is for: an account, an alias, a list, or an address elsewhere."),
            show_default=False,
            autocompletion=complete.accounts,
        ),
    ] = None,
    cc: Annotated[
        list[str] | None,
        typer.Option("--cc", metavar="ADDRESS", help=N_("Also to (may be repeated)."), show_default=False),
    ] = None,
    bcc: Annotated[
        list[str] | None,
        typer.Option(
            "--bcc",
            metavar="ADDRESS",
            help=N_("Also to, and the others do not see it (may be repeated)."),
            show_default=False,
        ),
    ] = None,
    attach: Annotated[
        list[Path] | None,
        typer.Option(
            "--attach", metavar="FILE", help=N_("Attach this file (may be repeated)."), show_default=False
        ),
    ] = None,
    password: Annotated[bool, typer.Option("--password", help=N_("Ask for the sender's password."))] = False,
    keep: Annotated[bool, typer.Option("--keep", help=N_("Leave the message in the mailboxes."))] = False,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=1,
            help=N_("How long the message may take (default: 30)."),
            show_default=False,
        ),
    ] = 30.0,
    wire: Annotated[
        bool,
        typer.Option(
            "--wire",
            help=N_(
                "Also show what the servers say to each other: their Postfix logs more about this message for a moment."
            ),
        ),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help=N_(
                "Also write the way as a page with lanes and steps to play; other people's addresses are masked."
            ),
            show_default=False,
        ),
    ] = None,
    show_addresses: Annotated[
        bool, typer.Option("--show-addresses", help=N_("Mask no addresses in the page of --html."))
    ] = False,
    message_id: Annotated[
        str | None,
        typer.Option(
            "--message-id",
            metavar="ID",
            help=N_("Send nothing: show what became of the message with this Message-ID."),
            show_default=False,
        ),
    ] = None,
    queue_id: Annotated[
        str | None,
        typer.Option(
            "--queue-id",
            metavar="ID",
            help=N_("The same, by the name that a host's Postfix gave it."),
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="HOST", help=N_("The host of --queue-id."), show_default=False),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="ADDRESS", help=N_("The same, by its sender."), show_default=False),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="ADDRESS", help=N_("And by its recipient."), show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help=N_('Logged from then on: 2026-11-30, "2026-11-30 10:15", 10:15, 2h, 3d, yesterday.'),
            show_default=False,
        ),
    ] = None,
    headers: Annotated[
        bool,
        typer.Option(
            "--headers",
            help=N_("Also show the header of that message, from the mailboxes in which it still is."),
        ),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Send one message and show its way: every server that it passes, what they say, and where it ends."""
    from mailprov.cli.reports import Reports
    from mailprov.errors import InputError
    from mailprov.inventory import load
    from mailprov.run import trace as run
    from mailprov.run.trace_entrance import Options
    from mailprov.run.trace_letter import Letter
    from mailprov.transport.connections import Connections

    asked = _past(message_id, queue_id, host, from_, to, since, headers)
    if asked is not None and sender is not None:
        raise InputError(
            "trace",
            _("it is to send a message, and to look for one"),
            _("Give FROM and TO, or --message-id, --queue-id, --from and --to"),
        )
    named = [each for each in (sender, recipient, from_, to, *(cc or ()), *(bcc or ())) if each is not None]
    page = _page(html, named, show_addresses)
    reports = Reports(json=json, quiet=quiet, verbose=verbose, also=page)
    read = load(inventory)
    if asked is not None:
        from mailprov.run.trace_past import past

        with Connections(others=read.hosts) as connections:
            code = past(read, asked, start=connections.start, report=reports.emit)
        if page is not None and page.written and not json:
            print_text(_("written: {path}").format(path=html), sys.stderr)
        raise typer.Exit(code)
    if sender is None or recipient is None:
        raise InputError(
            "trace",
            _("who sends the message to whom is not given"),
            _("Give two addresses: mailprov trace FROM TO"),
        )
    letter = Letter(
        _checked(sender),
        (_checked(recipient),),
        tuple(map(_checked, cc or ())),
        tuple(map(_checked, bcc or ())),
        tuple(map(_attached, attach or ())),
    )
    options = Options(_asked(letter.sender, json) if password else None, keep, wait, wire)
    with Connections(others=read.hosts) as connections:
        code = run.trace(read, letter, options, start=connections.start, report=reports.emit)
    if page is not None and page.written and not json:
        print_text(_("written: {path}").format(path=html), sys.stderr)
    raise typer.Exit(code)


def _past(
    message_id: str | None,
    queue_id: str | None,
    host: str | None,
    sender: str | None,
    recipient: str | None,
    since: str | None,
    headers: bool,
) -> Search | None:
    """None where a message is to be sent."""
    import time

    from mailprov.cli.moments import moment
    from mailprov.errors import InputError
    from mailprov.run.trace_past import Search

    ways = [message_id is not None, queue_id is not None, sender is not None or recipient is not None]
    if not any(ways):
        for name, value in (("--host", host), ("--since", since), ("--headers", headers or None)):
            if value is not None:
                what = _("it is about a message of the past, and none is named")
                raise InputError(name, what, _("Add --message-id, --queue-id, or --from and --to"))
        return None
    if sum(ways) > 1:
        what = _("a message is named in more than one way")
        raise InputError("trace", what, _("Give --message-id, or --queue-id, or --from and --to"))
    if host is not None and queue_id is None:
        what = _("a queue id is a name on one host, and all hosts are asked about all else")
        raise InputError("--host", what, _("Leave it out, or give --queue-id"))
    return Search(
        _bracketed(message_id) if message_id is not None else "",
        _word("--queue-id", queue_id) if queue_id is not None else "",
        host or "",
        _checked(sender) if sender is not None else "",
        _checked(recipient) if recipient is not None else "",
        moment("--since", since, time.time()) if since is not None else 0.0,
        headers=headers,
    )


def _bracketed(text: str) -> str:
    """With or without its brackets (RFC 5322 section 3.6.4); mail programs show both."""
    word = _word("--message-id", text)
    return word if word.startswith("<") else f"<{word}>"


def _word(option: str, text: str) -> str:
    from mailprov.errors import InputError

    word = text.strip()
    if not word.isprintable() or " " in word or not word.strip("<>"):
        raise InputError(
            f'{option} "{text}"', _("is no id"), _("Give it as it stands in a header or in a log")
        )
    return word


def _page(html: Path | None, named: list[str], show_addresses: bool) -> TracePage | None:
    from mailprov.components.templates import folders
    from mailprov.errors import InputError
    from mailprov.report.trace_page import TracePage

    if html is None:
        if show_addresses:
            what = _("only a page masks addresses, and none is written")
            raise InputError("--show-addresses", what, _("Give --html FILE as well, or leave it out"))
        return None
    return TracePage(html, folders(), named=named, show_addresses=show_addresses)


def _checked(text: str) -> str:
    from mailprov.errors import InputError
    from mailprov.schema.names import BadName, address

    try:
        return address(text)
    except BadName as error:
        raise InputError(f'trace "{text}"', str(error), _("Give one whole address")) from None


def _attached(path: Path) -> tuple[str, bytes]:
    from mailprov.errors import InputError

    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"--attach {path}", _("cannot be read: {error}").format(error=error.strerror or error)
        ) from None
    if len(data) > _MOST:
        raise InputError(
            f"--attach {path}",
            _("has more than {limit} MiB").format(limit=_MOST >> 20),
            _("A smaller file goes the same way"),
        )
    return path.name, data


def _asked(sender: str, json: bool) -> str:
    """Hidden, from a terminal."""
    import getpass

    from mailprov.errors import InputError

    if json or not sys.stdin.isatty():
        raise InputError(
            "--password",
            _("there is no terminal to ask on"),
            _("Leave it out: then the message begins at port 25, as a stranger's"),
        )
    return getpass.getpass(_("Password of {sender}: ").format(sender=sender))
