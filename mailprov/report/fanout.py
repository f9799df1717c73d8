"""Several reports from one stream: the terminal, JSON lines and JUnit all get every event."""

from __future__ import annotations

from collections.abc import Iterable

from mailprov.model.events import Emit, Event


def fan_out(reports: Iterable[Emit]) -> Emit:
    targets = tuple(reports)

    def emit(event: Event) -> None:
        for target in targets:
            target(event)

    return emit
