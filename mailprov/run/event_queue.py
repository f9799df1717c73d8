"""Events from many threads to one consumer, and a sign of life while none comes.

Workers call `emit`; the main thread calls `pump`, which hands each event to the report. So a report needs no locks,
and Ctrl-C (which Python delivers to the main thread only) is noticed within a fifth of a second. What a worker has
done and the main thread waits for is a `milestone`: it is seen at once, where no event follows it as well.

Where for HEARTBEAT seconds nothing came to its end (no change was applied, no host or zone ended, nothing was noted),
and something is being done (Progress tells what), a StillWorking says what. CI systems take long silence for a hang.
Other intervals: the environment variable MAILPROV_HEARTBEAT, in seconds; 0 for none.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable

from mailprov.model.events import (
    Applied,
    Doing,
    Emit,
    Ended,
    Event,
    Notice,
    Planned,
    Progress,
    RunEnded,
    StillWorking,
)

HEARTBEAT = 15.0  # seconds
_TICK = 0.2  # seconds between looks at `done` when nothing happens


class _Milestone(threading.Event):
    """`set` wakes the main thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def set(self) -> None:
        super().set()
        self._wake()


class EventQueue:
    def __init__(self, report: Emit, heartbeat: float | None = None) -> None:
        self._report = report
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()  # None: a milestone
        self._pulse = _Pulse(_interval() if heartbeat is None else heartbeat)

    def emit(self, event: Event) -> None:
        """From any thread."""
        self._queue.put(event)

    def milestone(self) -> threading.Event:
        """One that `done` of `pump` may ask for: once it is set, from any thread, `pump` looks."""
        return _Milestone(lambda: self._queue.put(None))

    def pump(self, done: Callable[[], bool], deadline: float | None = None) -> bool:
        """Deliver events until `done()` holds and none is left; False when `deadline` (time.monotonic) came first."""
        while True:
            finished = (
                done()
            )  # asked before the queue is emptied: what was emitted before `done` held is delivered
            wait = 0.0 if finished else _TICK
            try:
                while True:
                    event = self._queue.get(timeout=wait) if wait else self._queue.get_nowait()
                    wait = 0.0
                    if event is None:
                        continue
                    self._pulse.see(event)
                    self._report(event)
            except queue.Empty:
                pass
            if (beat := self._pulse.beat()) is not None:
                self._report(beat)
            if finished:
                return True
            if deadline is not None and time.monotonic() > deadline:
                return False

    def wake(self, event: Event | None = None) -> None:
        """Deliver one event from the main thread, behind those already queued."""
        if event is not None:
            self._queue.put(event)
        self.pump(lambda: True)


class _Pulse:
    """Knows what is being done, and since when."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._doing: dict[str, tuple[str, float]] = {}
        self._last = time.monotonic()

    def see(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, Progress):
            if self._doing.get(event.subject, ("", 0.0))[0] != event.text:
                self._doing[event.subject] = (event.text, now)
        elif isinstance(event, Applied):
            self._doing[event.change.subject] = (f"{event.change.kind} {event.change.name}", now)
        elif isinstance(event, (Planned, Ended)):  # planned: it waits for the others, or for an answer
            self._doing.pop(event.subject, None)
        if isinstance(event, (Planned, Notice)) and event.subject.startswith(("zone ", "dns")):
            self._doing.pop("dns", None)  # where nobody can say yet which zones there are
        elif isinstance(event, RunEnded):
            self._doing.clear()
        if isinstance(event, (Applied, Ended, Notice)):
            self._last = now

    def beat(self) -> StillWorking | None:
        now = time.monotonic()
        if not self._interval or not self._doing or now - self._last < self._interval:
            return None
        self._last = now
        longest = sorted(self._doing.items(), key=lambda item: item[1][1])
        return StillWorking(
            tuple(Doing(subject, text, round(now - since, 1)) for subject, (text, since) in longest)
        )


def _interval() -> float:
    try:
        return max(0.0, float(os.environ.get("MAILPROV_HEARTBEAT", "")))
    except ValueError:
        return HEARTBEAT
