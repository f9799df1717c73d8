"""mailprov explain: what a probe does and what its verdicts mean."""

from __future__ import annotations

import difflib
import sys
from typing import Annotated

import typer

from mailprov.cli import complete
from mailprov.cli.options import Json
from mailprov.cli.streams import at_words


def explain(
    probe_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="A probe's id, such as tls.chain.",
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
        raise typer.Exit(reports.end(0, f"{len(shown)} probe{'' if len(shown) == 1 else 's'}"))
    if probe_id is None:
        width = max(len(name) for name in entries)
        for name, entry in entries.items():
            typer.echo(at_words(f"{name.ljust(width)}  {entry.title}", sys.stdout, width + 2))
        return
    if probe_id not in entries:
        near = difflib.get_close_matches(probe_id, entries, n=1)
        raise InputError(
            "explain",
            f'there is no probe "{probe_id}"',
            probe.new_name(probe_id) or (f"Did you mean {near[0]}" if near else "See mailprov explain"),
        )
    entry = entries[probe_id]
    typer.echo(f"{entry.id}: {entry.title}\n")
    typer.echo(at_words(f"  expected  {entry.expected}", sys.stdout, 12))
    if entry.ports:
        typer.echo(at_words(f"  ports     {', '.join(str(port) for port in entry.ports)}", sys.stdout, 12))
    for number, step in enumerate(entry.steps, start=1):
        typer.echo(at_words(f"  step {number:<4} {step}", sys.stdout, 12))
    for verdict, when in entry.verdicts:
        typer.echo(at_words(f"  {verdict:<9} {when}", sys.stdout, 12))
    typer.echo(at_words(f"  sources   {', '.join(entry.refs)}", sys.stdout, 12))
