"""Options of the commands that probe: which probes run (--probe, --skip), by which bar they judge (--profile), and
where DKIM keys are (--selector).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailprov.cli import complete
from mailprov.i18n import N_, _

if TYPE_CHECKING:
    from mailprov.model.inventory import Profile

Probes = Annotated[
    list[str] | None,
    typer.Option(
        "--probe",
        metavar="ID",
        help=N_("Only these probes, by id, family or pattern: dns.mx, tls, web.*."),
        show_default=False,
        autocompletion=complete.probe_families,
    ),
]
SkippedProbes = Annotated[
    list[str] | None,
    typer.Option(
        "--skip",
        metavar="ID",
        help=N_("Not these probes, by id, family or pattern."),
        show_default=False,
        autocompletion=complete.probe_families,
    ),
]
Profiles = Annotated[
    str,
    typer.Option(
        "--profile",
        metavar="NAME",
        help=N_(
            "By which bar findings are judged: default, strict, lab, deliverability or exam; in place of the "
            "inventory's `verify.profile`."
        ),
        show_default=False,
        autocompletion=complete.profiles,
    ),
]
Selectors = Annotated[
    list[str] | None,
    typer.Option(
        "--selector",
        metavar="NAME",
        help=N_(
            "A DKIM selector of a domain that no inventory describes (--server, --zone); may be repeated."
        ),
        show_default=False,
    ),
]


def profile_named(name: str, otherwise: Profile) -> Profile:
    """`otherwise`, where none is named. Raises InputError."""
    from mailprov.errors import InputError
    from mailprov.model.inventory import Profile

    try:
        return Profile(name) if name else otherwise
    except ValueError:
        raise InputError(
            f"--profile {name}",
            _("there is no such profile"),
            _("Name one of these: {names}").format(names=", ".join(each.value for each in Profile)),
        ) from None


def known(option: str, words: list[str] | None) -> tuple[str, ...]:
    """Raises InputError for one that means no probe."""
    from mailprov import probe
    from mailprov.errors import InputError

    ids = [entry.id for entry in probe.catalogue()] if words else []
    for word in words or []:
        if not any(probe.selects(word, probe_id) for probe_id in ids):
            raise InputError(
                option,
                _('no probe or family of probes is "{word}"').format(word=word),
                probe.new_name(word) or _("See mailprov explain for all of them"),
            )
    return tuple(words or ())
