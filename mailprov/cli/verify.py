"""mailprov verify: probe from outside; also servers that mailprov did not build, and with --server without an
inventory.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Domains, Hosts, Inventory, Json, JUnitFile, Quiet, ReportFiles, Verbose
from mailprov.cli.probe_options import Probes, Profiles, Selectors, SkippedProbes, known, profile_named
from mailprov.i18n import N_, _

if TYPE_CHECKING:
    from mailprov.model import inventory as model


class FailOn(str, Enum):
    fail = "fail"
    warn = "warn"


class LoginAs(str, Enum):
    address = "address"
    name = "name"


def verify(
    inventory: Inventory = USUAL,
    host: Hosts = None,
    domain: Domains = None,
    probes: Probes = None,
    skip: SkippedProbes = None,
    profile: Profiles = "",
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
    via: Annotated[
        str,
        typer.Option(
            "--via",
            metavar="HOST",
            help=N_(
                "Look from this host of the inventory: its agent carries the connections, the probes stay here."
            ),
            show_default=False,
        ),
    ] = "",
    server: Annotated[
        str,
        typer.Option(
            "--server",
            metavar="NAME",
            help=N_(
                "A mail server that no inventory describes, by its name; --domain or --account says whose mail it has."
            ),
            show_default=False,
        ),
    ] = "",
    account: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            metavar="ADDRESS[=PASSWORD]",
            help=N_(
                "With --server: log in as this account (may be repeated). The password is asked for, or is where "
                "PASSWORD says: env:NAME, file:PATH, command:COMMAND."
            ),
            show_default=False,
        ),
    ] = None,
    probe_account: Annotated[
        list[str] | None,
        typer.Option(
            "--probe-account",
            metavar="ADDRESS[=PASSWORD]",
            help=N_(
                "With --server: as --account, of an account for tests alone: its mailbox is filled, mail in it is "
                "deleted by POP, and what was put there is taken out again."
            ),
            show_default=False,
        ),
    ] = None,
    login_as: Annotated[
        LoginAs | None,
        typer.Option(
            "--login-as",
            help=N_(
                "With --server: accounts log in by the whole address, or by the name before the @, as they do in the "
                "profile exam."
            ),
            show_default=False,
        ),
    ] = None,
    address: Annotated[
        str,
        typer.Option(
            "--address",
            metavar="IP",
            help=N_("With --server: where it is, if its name has no address in DNS."),
            show_default=False,
        ),
    ] = "",
    selectors: Selectors = None,
    name_server: Annotated[
        str,
        typer.Option(
            "--name-server",
            metavar="ADDRESS",
            help=N_("With --server: ask this name server first, not this machine's resolver."),
            show_default=False,
        ),
    ] = "",
    ca_file: Annotated[
        Path | None,
        typer.Option(
            "--ca-file",
            metavar="FILE",
            help=N_("With --server: trust these authorities, too (PEM)."),
            show_default=False,
        ),
    ] = None,
    self_signed: Annotated[
        bool,
        typer.Option(
            "--self-signed",
            help=N_("With --server: its certificate is meant to be self-signed; passwords are sent to it."),
        ),
    ] = False,
    intrusive: Annotated[
        bool,
        typer.Option(
            "--intrusive",
            help=N_(
                "Also what others notice: mail to addresses outside of the inventory, and probes that try limits."
            ),
        ),
    ] = False,
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
    from dataclasses import replace

    from mailprov.cli.reports import Reports
    from mailprov.errors import InputError
    from mailprov.inventory import load
    from mailprov.run.accepting import check
    from mailprov.run.select import domain_named, looked_from, select
    from mailprov.run.verify import verify as run_verify
    from mailprov.transport.connections import Connections

    reports = Reports(
        json=json,
        junit=junit,
        report=report,
        reads=None if server else inventory,
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
    given = {
        "--account": account,
        "--probe-account": probe_account,
        "--address": address,
        "--selector": selectors,
        "--name-server": name_server,
        "--ca-file": ca_file,
        "--self-signed": self_signed,
        "--login-as": login_as,
    }
    if server:
        _refuse({"--host": host, "--partner": partner, "--via": via, str(inventory): inventory != USUAL})
        read = _of_server(
            server,
            domain or [],
            account or [],
            probe_account or [],
            by_name=_by_name(login_as, profile),
            address=address,
            name_server=name_server,
            ca_file=ca_file,
            self_signed=self_signed,
            json=json,
        )
        domain = None
    else:
        _need_server(given)
        read = load(inventory)
    read = replace(read, profile=profile_named(profile, read.profile))
    check(read)
    selection = select(read, host, domain, verifies=True)
    seen_from = looked_from(read, "--via", via, selection) if via else None
    # Nobody is asked for a passphrase: what probes ask of hosts only makes their answers better.
    with Connections(others=read.hosts, asks=False) as connections:
        code = run_verify(
            read,
            selection,
            probe_ids=probe_ids,
            skip_ids=skip_ids,
            fail_on_warn=fail_on is FailOn.warn,
            accounts=None if accounts == "all" else int(accounts),
            partner=domain_named(read, "--partner", partner) if partner else "",
            start=connections.start,
            direct=connections.direct,
            report=reports.emit,
            selectors=tuple(selectors or ()) if server else None,
            intrusive=intrusive,
            via=seen_from,
        )
    raise typer.Exit(code)


def _by_name(login_as: LoginAs | None, profile: str) -> bool:
    from mailprov.probe.profiles import RULES

    if login_as is None:
        return any(each.value == profile and rules.bar.by_name for each, rules in RULES.items())
    return login_as is LoginAs.name


def _refuse(given: dict[str, Any]) -> None:
    """What is about an inventory, beside --server. Raises InputError."""
    from mailprov.errors import InputError

    for option, value in given.items():
        if value:
            what = _("is about an inventory, and with --server none is read")
            raise InputError(option, what, _("Leave one of both out"))


def _need_server(given: dict[str, Any]) -> None:
    """Raises InputError for what is about no inventory, where one is read."""
    from mailprov.errors import InputError

    for option, value in given.items():
        if value:
            what = _("is about a server that no inventory describes, and none is named")
            raise InputError(
                option, what, _("Name it with --server, or leave {option} out").format(option=option)
            )


def _of_server(
    server: str,
    domains: list[str],
    accounts: list[str],
    probe_accounts: list[str],
    *,
    by_name: bool,
    address: str,
    name_server: str,
    ca_file: Path | None,
    self_signed: bool,
    json: bool,
) -> model.Inventory:
    from mailprov.inventory.of_server import of_server, parse_login

    return of_server(
        server,
        domains,
        [*map(parse_login, accounts), *(parse_login(each, probe=True) for each in probe_accounts)],
        by_name=by_name,
        address=address,
        name_server=name_server,
        ca_file=ca_file,
        self_signed=self_signed,
        ask=lambda whose: _asked(whose, json=json),
    )


def _asked(address: str, *, json: bool) -> str:
    """The password, on a terminal. Raises InputError where there is none, KeyboardInterrupt for Ctrl-C."""
    import sys

    from mailprov.errors import InputError

    if json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(
            f"--account {address}",
            _("there is no terminal to ask for the password on"),
            _("Say where it is: {address}=env:NAME, {address}=file:PATH").format(address=address),
        )
    try:
        question = _("Password of {address}").format(address=address)
        return str(typer.prompt(question, hide_input=True, err=True))
    except typer.Abort:
        raise KeyboardInterrupt from None
