"""Which accounts of a domain do not log in, and why.

Public: left_out. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import ngettext
from mailprov.model.findings import Finding
from mailprov.model.inventory import Domain
from mailprov.probe.accounts import chosen, known, names, untried
from mailprov.probe.context import DomainContext, Run
from mailprov.probe.registry import Probe


def left_out(run: Run, probe: Probe, domain: Domain) -> Iterator[Finding]:
    """Nothing where all do, or where each port tells it."""
    context = DomainContext(run, probe.entry, 1.0, domain=domain, name=domain.name)
    able = known(domain)
    trying = chosen(domain, run.ident, run.accounts)
    if len(trying) < len(able):
        yield context.skip(
            ngettext(
                "{count} of {all} accounts of {domain} logs in: {names}, chosen by run {run}; --accounts all "
                "tries all",
                "{count} of {all} accounts of {domain} log in: {names}, chosen by run {run}; --accounts all "
                "tries all",
                len(trying),
            ).format(
                count=len(trying),
                all=len(able),
                domain=domain.name,
                names=names(trying),
                run=run.ident,
            )
        )
    if able:
        yield from map(context.skip, untried(domain))
