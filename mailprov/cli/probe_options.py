"""--probe and --skip: which probes run, by the beginning of their ids."""

from __future__ import annotations

from typing import Annotated

import typer

from mailprov.cli import complete
from mailprov.i18n import N_, _

Probes = Annotated[
    list[str] | None,
    typer.Option(
        "--probe",
        metavar="ID",
        help=N_("Only probes whose id starts with this: tls, auth, delivery, dns.mx."),
        show_default=False,
        autocompletion=complete.probe_families,
    ),
]
SkippedProbes = Annotated[
    list[str] | None,
    typer.Option(
        "--skip",
        metavar="ID",
        help=N_("No probes whose id starts with this."),
        show_default=False,
        autocompletion=complete.probe_families,
    ),
]


def known(option: str, prefixes: list[str] | None) -> tuple[str, ...]:
    """Raises InputError for one that is the beginning of no id."""
    from mailprov import probe
    from mailprov.errors import InputError

    ids = [entry.id for entry in probe.catalogue()] if prefixes else []
    for prefix in prefixes or []:
        if not any(probe_id.startswith(prefix) for probe_id in ids):
            raise InputError(
                option,
                _('no probe has an id that starts with "{prefix}"').format(prefix=prefix),
                probe.new_name(prefix) or _("See mailprov explain for all of them"),
            )
    return tuple(prefixes or ())
