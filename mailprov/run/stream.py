"""Events from many threads to one consumer.

Workers call `emit`; the main thread calls `pump`, which hands each event to the report. So a report needs no locks,
and Ctrl-C (which Python delivers to the main thread only) is noticed within a fifth of a second.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from mailprov.model.events import Emit, Event

_TICK = 0.2  # seconds between looks at `done` when nothing happens


class Stream:
    def __init__(self, report: Emit) -> None:
        self._report = report
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def emit(self, event: Event) -> None:
        """From any thread."""
        self._queue.put(event)

    def pump(self, done: Callable[[], bool], deadline: float | None = None) -> bool:
        """Deliver events until `done()` holds and none is left; False when `deadline` (time.monotonic) came first."""
        while True:
            finished = (
                done()
            )  # asked before the queue is emptied: what was emitted before `done` held is delivered
            wait = 0.0 if finished else _TICK
            try:
                while True:
                    self._report(self._queue.get(timeout=wait) if wait else self._queue.get_nowait())
                    wait = 0.0
            except queue.Empty:
                pass
            if finished:
                return True
            if deadline is not None and time.monotonic() > deadline:
                return False

    def wake(self, event: Event | None = None) -> None:
        """Deliver one event from the main thread, behind those already queued."""
        if event is not None:
            self._queue.put(event)
        self.pump(lambda: True)
