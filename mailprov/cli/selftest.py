"""mailprov selftest: every probe against servers that are broken in exactly its way, and against sound ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mailprov.cli.options import Json, JUnitFile, Quiet, Verbose
from mailprov.cli.probe_options import Probes, SkippedProbes, known
from mailprov.i18n import _, ngettext

if TYPE_CHECKING:
    from mailprov.model.answers import Tried
    from mailprov.selftest.fixture import Outcome


def selftest(
    probes: Probes = None,
    skip: SkippedProbes = None,
    json: Json = False,
    junit: JUnitFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Try every probe against scripted servers on this machine: red on what is broken, green on what is sound."""
    from mailprov import probe
    from mailprov.cli.reports import Reports
    from mailprov.cli.streams import print_text
    from mailprov.errors import InputError
    from mailprov.model.answers import Untried
    from mailprov.selftest import matrix

    wanted, left_out = known("--probe", probes), known("--skip", skip)
    ids = [
        entry.id
        for entry in probe.catalogue()
        if (not wanted or any(probe.selects(word, entry.id) for word in wanted))
        and not any(probe.selects(word, entry.id) for word in left_out)
    ]
    if not ids:
        raise InputError("--skip", _("no probe is left"))
    reports = Reports(json=json, junit=junit, text=False)
    reports.begin("selftest", "")
    found: list[Tried] = []

    def emit(outcome: Outcome) -> None:
        event = _event(outcome)
        found.append(event)
        reports.emit(event)

    fixtures = matrix.fixtures()
    if not json and not quiet:
        print_text(
            ngettext(
                "Trying {count} probe on this machine …", "Trying {count} probes on this machine …", len(ids)
            ).format(count=len(ids))
            + "\n"
        )
    matrix.tried(fixtures, ids, emit)
    rank = {each.name: number for number, each in enumerate(fixtures)}
    found.sort(key=lambda each: rank[each.fixture])
    without = [Untried(name, why, test) for name, (why, test) in matrix.untried().items() if name in ids]
    for each in without:
        reports.emit(each)
    bad = [each for each in found if not each.good]
    code = 1 if bad else 0 if found else 3
    summary = _summary(found, bad, len(without))
    if not json:
        from mailprov.report import kill_matrix
        from mailprov.report.text import console

        out = console()
        if not quiet:
            out.print(kill_matrix.table(ids, found, every=verbose))
            out.print()
        for line in kill_matrix.flaws(bad):
            print_text(line, indent=4)
        for line in kill_matrix.gaps(without):
            print_text(line, indent=4)
        print_text(summary)
    raise typer.Exit(reports.end(code, summary))


def _event(outcome: Outcome) -> Tried:
    from mailprov.model.answers import Tried

    return Tried(
        outcome.wanted.probe,
        outcome.fixture.name,
        outcome.fixture.what,
        outcome.wanted.verdict.value,
        tuple(sorted({item.verdict.value for item in outcome.seen})),
        outcome.good,
        tuple(dict.fromkeys(item.observed for item in outcome.seen)),
    )


def _summary(found: list[Tried], bad: list[Tried], without: int) -> str:
    if not found:
        return _("nothing of what was asked for has a scripted server: see above which tests have it red")
    probes = len({each.probe for each in found})
    counted = ngettext(
        "{count} probe tried against {things} scripted servers",
        "{count} probes tried against {things} scripted servers",
        probes,
    ).format(count=probes, things=len({each.fixture for each in found}))
    if bad:
        wrong = len({each.probe for each in bad})
        result = ngettext(
            "{count} of them cannot be trusted", "{count} of them cannot be trusted", wrong
        ).format(count=wrong)
    else:
        result = _("red on everything that is broken, green on what is sound")
    parts = [counted, result]
    if without:
        parts.append(
            ngettext("{count} not tried here", "{count} not tried here", without).format(count=without)
        )
    return "; ".join(parts)
