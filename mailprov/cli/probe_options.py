"""--probe and --skip: which probes run, by their ids."""

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
