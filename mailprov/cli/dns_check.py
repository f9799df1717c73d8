"""mailprov dns check: zones as the world sees them; also of domains that mailprov does not manage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Domains, Inventory, Json, JUnitFile, Quiet, ReportFiles, Verbose
from mailprov.cli.probe_options import Probes, Profiles, Selectors, SkippedProbes, known, profile_named
from mailprov.i18n import N_, _


def check(
    inventory: Inventory = USUAL,
    domain: Domains = None,
    probes: Probes = None,
    skip: SkippedProbes = None,
    zone: Annotated[
        str,
        typer.Option(
            "--zone",
            metavar="DOMAIN",
            help=N_("A domain that mailprov does not manage; no inventory is read."),
            show_default=False,
        ),
    ] = "",
    selectors: Selectors = None,
    profile: Profiles = "",
    json: Json = False,
    junit: JUnitFile = None,
    report: ReportFiles = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Judge the zones as resolvers and every authoritative server see them: records, delegation, DNSSEC. Asks the hosts
    for the DKIM keys with which they sign; changes nothing.
    """
    from dataclasses import replace

    from mailprov.cli.reports import Reports
    from mailprov.errors import InputError
    from mailprov.inventory import load
    from mailprov.model.inventory import Profile
    from mailprov.run import check_zones
    from mailprov.run.accepting import check
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    reports = Reports(json=json, junit=junit, report=report, reads=inventory, quiet=quiet, verbose=verbose)
    probe_ids, skip_ids = known("--probe", probes), known("--skip", skip)
    if selectors and not zone:
        raise InputError(
            "--selector",
            _("is about a domain that no inventory describes, and none is named"),
            _("Name it with --zone, or leave --selector out: hosts of an inventory are asked for their keys"),
        )
    if zone:
        raise typer.Exit(
            check_zones.check_foreign(
                _domain(zone, domain, inventory),
                tuple(selectors or ()),
                probe_ids=probe_ids,
                skip_ids=skip_ids,
                profile=profile_named(profile, Profile.DEFAULT),
                report=reports.emit,
            )
        )
    read = load(inventory)
    read = replace(read, profile=profile_named(profile, read.profile))
    check(read)
    chosen = select(read, None, domain, verifies=True)
    # Nobody is asked for a passphrase: all but one of the probes need no host.
    with Connections(chosen.hosts, others=read.hosts, asks=False) as connections:
        code = check_zones.check(
            read,
            chosen,
            probe_ids=probe_ids,
            skip_ids=skip_ids,
            start=connections.start,
            report=reports.emit,
        )
    raise typer.Exit(code)


def _domain(zone: str, domains: list[str] | None, inventory: Path) -> str:
    """The one that --zone names. Raises InputError."""
    from mailprov.errors import InputError
    from mailprov.schema import names

    for option, given in (("--domain", bool(domains)), (str(inventory), inventory != USUAL)):
        if given:
            what = _("is about an inventory, and with --zone none is read")
            raise InputError(option, what, _("Leave one of both out"))
    try:
        return names.domain(zone)
    except names.BadName as error:
        what = _("is no domain: it {reason}").format(reason=error)
        advice = _("Write it as in an address, behind the @")
        raise InputError(f"--zone {zone}", what, advice) from None
