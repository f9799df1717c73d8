"""The arguments and options of `mailprov account`, said once for its commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailprov.cli import complete
from mailprov.i18n import N_

File = Annotated[
    Path,
    typer.Argument(
        metavar="INVENTORY",
        help=N_("The inventory file (YAML); ./mail.yml if left out."),
        show_default=False,
        autocompletion=complete.inventory_or(complete.accounts),
    ),
]
Address = Annotated[
    str | None,
    typer.Argument(
        metavar="ADDRESS",
        help=N_("Whose account: name@domain."),
        show_default=False,
        autocompletion=complete.accounts,
    ),
]
NewAddress = Annotated[
    str | None,
    typer.Argument(metavar="ADDRESS", help=N_("Of the new account: name@domain."), show_default=False),
]
Env = Annotated[
    str | None,
    typer.Option(
        "--password-env",
        metavar="NAME",
        help=N_("The password is in this environment variable at every apply."),
        show_default=False,
    ),
]
PasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file",
        metavar="PATH",
        help=N_("It is the first line of this file, whose path begins at the inventory's folder."),
        show_default=False,
    ),
]
PasswordCommand = Annotated[
    str | None,
    typer.Option(
        "--password-command",
        metavar="COMMAND",
        help=N_("This command line prints it, such as `pass show mail/ana`."),
        show_default=False,
    ),
]
Hash = Annotated[
    str | None,
    typer.Option(
        "--hash", metavar="HASH", help=N_("Its hash, as `doveadm pw` prints it."), show_default=False
    ),
]
Generate = Annotated[
    bool, typer.Option("--generate", help=N_("Make one up, and show it once; the inventory gets its hash."))
]
Quota = Annotated[
    str | None,
    typer.Option(
        "--quota",
        metavar="SIZE",
        help=N_("The mailbox's size: 200M, 1G, none (default: the domain's)."),
        show_default=False,
    ),
]
ForwardTo = Annotated[
    list[str] | None,
    typer.Option(
        "--forward",
        metavar="ADDRESS",
        help=N_("Send its mail on to this address (may be repeated)."),
        show_default=False,
    ),
]
Keep = Annotated[
    bool | None,
    typer.Option(
        "--keep/--no-keep",
        help=N_("Whether a copy of what is sent on stays in the mailbox (default: yes)."),
        show_default=False,
    ),
]
StateOption = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help=N_("active, no-login (mail arrives), no-receive (logs in), or suspended (neither)."),
        show_default=False,
    ),
]
Expires = Annotated[
    str | None,
    typer.Option(
        "--expires",
        metavar="DATE",
        help=N_("Until when it works: 2027-06-30 (to its end) or 2027-06-30T18:00Z; none: for ever."),
        show_default=False,
    ),
]
Owner = Annotated[
    str | None,
    typer.Option(
        "--owner",
        metavar="user|inventory",
        help=N_("user: it is what the password begins with, and the user changes it (default: inventory)."),
        show_default=False,
    ),
]
NoApply = Annotated[
    bool, typer.Option("--no-apply", help=N_("Edit the inventory alone, without asking; no host is asked."))
]
Verify = Annotated[
    bool | None,
    typer.Option(
        "--verify/--no-verify",
        help=N_("Verify at the end (default: when something was changed)."),
        show_default=False,
    ),
]
