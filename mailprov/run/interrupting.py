"""Ctrl-C while a run is going: hosts come to a safe end.

interrupted(events, sessions, gates, on_interrupt, began) -> exit code
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from mailprov.i18n import _
from mailprov.model.events import Notice, RunEnded
from mailprov.run.event_queue import EventQueue
from mailprov.run.gate import Gate
from mailprov.run.hosts import HostSession

SAFE_END = 120.0  # seconds the agents get to come to a safe end after Ctrl-C


def interrupted(
    events: EventQueue,
    sessions: Sequence[HostSession],
    gates: Iterable[Gate],
    on_interrupt: Callable[[], None] | None,
    began: float,
) -> int:
    """First Ctrl-C: every agent stops at its next safe point. Second: the connections are cut."""
    events.emit(Notice("", _("stopping at the next safe point (Ctrl-C again cuts the connections)")))
    for session in sessions:
        session.stopping()
    for gate in gates:
        gate.decide(False)
    try:
        for session in sessions:
            session.cancel()
        if on_interrupt is not None:
            on_interrupt()
        events.pump(lambda: all(s.ended.is_set() for s in sessions), deadline=time.monotonic() + SAFE_END)
    except KeyboardInterrupt:
        for session in sessions:
            session.abandon()
        cut = _("connections cut: the agents undo or finish on their own; the next run says which")
        events.emit(Notice("", cut))
    events.wake(RunEnded(130, _("interrupted"), time.monotonic() - began))
    return 130
