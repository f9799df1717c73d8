"""The arguments and options that several commands share, said once so that they mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailprov.cli import complete
from mailprov.i18n import N_

Inventory = Annotated[
    Path,
    typer.Argument(
        metavar="INVENTORY", help=N_("The inventory file (YAML); ./mail.yml if left out."), show_default=False
    ),
]
InventoryOrPlan = Annotated[
    Path,
    typer.Argument(
        metavar="INVENTORY",
        help=N_("The inventory file (YAML), or a plan saved with `plan --out`; ./mail.yml if left out."),
        show_default=False,
    ),
]
# Of commands with an argument behind it, which stands first where the inventory is left out.
InventoryOrHost = Annotated[
    Path,
    typer.Argument(
        metavar="INVENTORY",
        help=N_("The inventory file (YAML); ./mail.yml if left out."),
        show_default=False,
        autocompletion=complete.inventory_or(complete.hosts),
    ),
]
InventoryOrDomain = Annotated[
    Path,
    typer.Argument(
        metavar="INVENTORY",
        help=N_("The inventory file (YAML); ./mail.yml if left out."),
        show_default=False,
        autocompletion=complete.inventory_or(complete.domains),
    ),
]
Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="HOST",
        help=N_("Only this host (may be repeated)."),
        show_default=False,
        autocompletion=complete.hosts,
    ),
]
Domains = Annotated[
    list[str] | None,
    typer.Option(
        "--domain",
        metavar="DOMAIN",
        help=N_("Only this domain and its hosts (may be repeated)."),
        show_default=False,
        autocompletion=complete.domains,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="PART", help=N_("Only one part: hosts or dns."), show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help=N_("Events on stdout, one JSON object per line."))]
JUnitFile = Annotated[
    Path | None,
    typer.Option(
        "--junit", metavar="FILE", help=N_("Also write the results as JUnit XML."), show_default=False
    ),
]
ReportFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="KIND=FILE",
        help=N_(
            "Also write a report (may be repeated; - is stdout): json, junit, tap, markdown, github, nagios, "
            "prometheus, sarif, html."
        ),
        show_default=False,
        autocompletion=complete.report_kinds,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help=N_("Only errors and the last line."))]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help=N_("Whole diffs, every step, every finding with its evidence.")),
]
ExitCode = Annotated[bool, typer.Option("--exit-code", help=N_("Exit with 4 when changes are pending."))]
Diff = Annotated[
    bool,
    typer.Option(
        "--diff", help=N_("Whole diffs, also of new files (without it: only short ones, of changes).")
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help=N_("Do not ask."))]
LockTimeout = Annotated[
    float,
    typer.Option(
        "--lock-timeout",
        metavar="SECONDS",
        min=0,
        help=N_("Wait this long for another run on a host (default: do not wait)."),
        show_default=False,
    ),
]
AcceptDrift = Annotated[
    bool,
    typer.Option(
        "--accept-drift",
        help=N_("Overwrite what was edited by hand since the last apply; the host keeps a copy."),
    ),
]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help=N_("Replace MX and SPF records that mailprov did not write."))
]
TakeOverHost = Annotated[
    bool,
    typer.Option(
        "--take-over-host",
        help=N_(
            "Also where a first apply hides mail or replaces settings that a host has of its own (see the plan)."
        ),
    ),
]
LabName = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help=N_("The lab's name (default: the inventory's)."),
        show_default=False,
        autocompletion=complete.labs,
    ),
]
