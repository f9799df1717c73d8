"""Several reports from one stream: the terminal, JSON lines and JUnit all get every event, with clean texts.

This is where what hosts, servers and zones said leaves the program. So it is cleaned here, once and whole, whatever an
event holds (model/cleaning.py), and no report has to think of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailprov.model import cleaning
from mailprov.model.events import Emit, Event


def fan_out(reports: Iterable[Emit]) -> Emit:
    targets = tuple(reports)

    def emit(event: Event) -> None:
        event = cleaning.event(event)
        for target in targets:
            target(event)

    return emit
