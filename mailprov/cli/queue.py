"""mailprov queue: what waits for delivery on the hosts, and why; holds, releases, deletes messages that are named."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Hosts, Inventory, Json, LockTimeout, Quiet, Verbose, Yes
from mailprov.errors import InputError
from mailprov.i18n import N_, _

_MOST = 200  # messages that are named in one command
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_Ids = list[str] | None


def queue(
    inventory: Inventory = USUAL,
    host: Hosts = None,
    all_: Annotated[
        bool, typer.Option("--all", help=N_("Every message, not only the oldest ones of each host."))
    ] = False,
    id_: Annotated[
        _Ids,
        typer.Option(
            "--id", metavar="ID", help=N_("Only this message (may be repeated)."), show_default=False
        ),
    ] = None,
    sender: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help=N_("Only from senders with this in them; <> for bounces."),
            show_default=False,
        ),
    ] = "",
    recipient: Annotated[
        str,
        typer.Option(metavar="TEXT", help=N_("Only to recipients with this in them."), show_default=False),
    ] = "",
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help=N_("Only with this in the reason."), show_default=False)
    ] = "",
    flush: Annotated[
        bool, typer.Option("--flush", help=N_("Try again now: all that is deferred, or what --id names."))
    ] = False,
    hold: Annotated[
        _Ids,
        typer.Option(
            metavar="ID", help=N_("Do not deliver this message until it is released."), show_default=False
        ),
    ] = None,
    release: Annotated[
        _Ids, typer.Option(metavar="ID", help=N_("Deliver this held message after all."), show_default=False)
    ] = None,
    delete: Annotated[
        _Ids,
        typer.Option(
            metavar="ID", help=N_("Delete this message; a copy stays on the host."), show_default=False
        ),
    ] = None,
    max_deferred: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=0,
            help=N_("Exit with 1 when more messages are deferred on a host."),
            show_default=False,
        ),
    ] = None,
    max_age: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help=N_("Exit with 1 when a message is older: 90s, 30m, 2h, 1d."),
            show_default=False,
        ),
    ] = None,
    yes: Yes = False,
    lock_timeout: LockTimeout = 0,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show what waits for delivery on the hosts, and why. With --flush, --hold, --release or --delete: shows what that
    is about, asks, and does it to the messages that are named.
    """
    from mailprov.cli.reports import Reports
    from mailprov.inventory import load
    from mailprov.run import mail_queue as run
    from mailprov.run.deploy import Options
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, quiet=quiet, verbose=verbose)
    ids = _checked("--id", id_)
    named = {
        "hold": _checked("--hold", hold),
        "release": _checked("--release", release),
        "delete": _checked("--delete", delete),
    }
    wanted = run.Wanted(everything=all_ or json, ids=ids, sender=sender, recipient=recipient, reason=reason)
    limits = run.Limits(max_deferred, None if max_age is None else _age(max_age), max_age or "")
    action = _action(flush, named)
    if action:
        _alone(
            action, ids if action != "flush" else (), all_, sender, recipient, reason, max_age, max_deferred
        )
        ids = ids if action == "flush" else named[action]
    confirm = reports.confirm(yes, f"queue --{action}") if action else None
    read = load(inventory)
    chosen = select(read, host, only=["hosts"], asks=True)
    with Connections(chosen.hosts, others=read.hosts) as connections:
        if not action:
            code = run.look(read, chosen, wanted, limits, start=connections.start, report=reports.emit)
            raise typer.Exit(code)
        options = Options(
            command=f"queue --{action}",
            confirm=confirm,
            verify=False,
            lock_timeout=lock_timeout,
            on_interrupt=connections.interrupt,
        )
        code = run.act(read, chosen, action, ids, options, start=connections.start, report=reports.emit)
    raise typer.Exit(code)


def _checked(option: str, ids: _Ids) -> tuple[str, ...]:
    """Each once. No word but a whole queue id passes: not ALL, not -, no pattern."""
    from mailprov.model.queue import is_id

    for word in ids or ():
        if not is_id(word):
            raise InputError(
                option,
                _("{word} is not a queue id").format(word=f'"{word[:80]}"'),
                _("Give one whole id, as mailprov queue shows it; more of them with {option} each").format(
                    option=option
                ),
            )
    found = tuple(dict.fromkeys(ids or ()))
    if len(found) > _MOST:
        raise InputError(
            option,
            _("{count} messages are named; {most} at a time is the most").format(
                count=len(found), most=_MOST
            ),
        )
    return found


def _action(flush: bool, named: dict[str, tuple[str, ...]]) -> str:
    chosen = [*(["flush"] if flush else []), *(name for name, ids in named.items() if ids)]
    if len(chosen) > 1:
        raise InputError(
            f"--{chosen[1]}",
            _("does not go together with {option}").format(option=f"--{chosen[0]}"),
            _("Give one of them, then the other"),
        )
    return "".join(chosen)


def _alone(action: str, ids: tuple[str, ...], *others: object) -> None:
    """What is acted on is named, and not found by what it looks like."""
    if ids or any(not (other is None or other is False or other == "") for other in others):
        raise InputError(
            f"--{action}",
            _("takes the ids of messages, and no option that looks for some"),
            _("Look first (mailprov queue), then name the ids"),
        )


def _age(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,7})([smhd])", text)
    if found is None:
        raise InputError(
            "--max-age",
            _("{text} is not a time").format(text=f'"{text[:40]}"'),
            _("Give a number and a unit: 90s, 30m, 2h, 1d"),
        )
    return int(found[1]) * _SECONDS[found[2]]
