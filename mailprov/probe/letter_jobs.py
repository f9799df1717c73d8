"""The probes of a few messages to one account of a domain, one after the other: they share what was sent.

Public: look_at_letters. Raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailprov.model.findings import Finding
from mailprov.probe.context import Run
from mailprov.probe.deliveries import Partner
from mailprov.probe.guarding import guarded
from mailprov.probe.letters import LETTERS, LetterContext
from mailprov.probe.registry import Probe


def look_at_letters(run: Run, probes: Sequence[Probe], partner: Partner) -> Iterator[Finding]:
    """Only what these probes need is sent; nothing where the mailbox cannot be read."""
    if not (probes and partner.recipient and partner.reads):
        return
    context = LetterContext(run, probes[0].entry, partner=partner, kinds=())
    able = [probe for probe in probes if probe.applies(context)]
    context.kinds = tuple(dict.fromkeys(kind for probe in able for kind in LETTERS[probe.entry.id]))
    for probe in able:
        context.entry = probe.entry
        context.seconds = probe.seconds(run.timing)
        context.transcript.lines.clear()
        yield from guarded(probe, context)
