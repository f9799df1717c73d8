"""mailprov explain: what a probe does and what its verdicts mean."""

from __future__ import annotations

import difflib
import sys
from typing import Annotated

import typer

from mailprov.cli import complete
from mailprov.cli.options import Json
from mailprov.cli.streams import at_words
from mailprov.i18n import N_, _, ngettext


def explain(
    probe_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help=N_("A probe's id, such as tls.chain."),
            show_default=False,
            autocompletion=complete.probes,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Explain a probe: what it proves, its steps, its verdicts, its sources. Without ID: list all probes."""
    from mailprov import probe
    from mailprov.cli.reports import Reports
    from mailprov.errors import InputError
    from mailprov.model.events import Explained

    reports = Reports(json=json, text=False)
    entries = {entry.id: entry for entry in probe.catalogue()}
    if json and (probe_id is None or probe_id in entries):
        shown = list(entries.values()) if probe_id is None else [entries[probe_id]]
        for one in shown:
            reports.emit(
                Explained(one.id, one.title, one.expected, one.ports, one.steps, one.verdicts, one.refs)
            )
        raise typer.Exit(
            reports.end(0, ngettext("{count} probe", "{count} probes", len(shown)).format(count=len(shown)))
        )
    if probe_id is None:
        width = max(len(name) for name in entries)
        for name, entry in entries.items():
            typer.echo(at_words(f"{name.ljust(width)}  {entry.title}", sys.stdout, width + 2))
        return
    if probe_id not in entries:
        near = difflib.get_close_matches(probe_id, entries, n=1)
        raise InputError(
            "explain",
            _('there is no probe "{probe_id}"').format(probe_id=probe_id),
            probe.new_name(probe_id)
            or (_("Did you mean {near}").format(near=near[0]) if near else _("See mailprov explain")),
        )
    entry = entries[probe_id]
    typer.echo(f"{entry.id}: {entry.title}\n")
    rows = [(_("expected"), entry.expected)]
    if entry.ports:
        rows.append((_("ports"), ", ".join(str(port) for port in entry.ports)))
    rows += [
        (_("step {number}").format(number=number), step) for number, step in enumerate(entry.steps, start=1)
    ]
    rows += [*entry.verdicts, (_("sources"), ", ".join(entry.refs))]
    width = max(9, *(len(name) for name, text in rows))
    for name, text in rows:
        typer.echo(at_words(f"  {name.ljust(width)} {text}", sys.stdout, width + 3))
