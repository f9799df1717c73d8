"""How fast a provider may be called.

    Pace(calls_per_second).wait()             before each call
    shared(key, calls_per_second, burst)      one for all connections to an account, whose zones several threads write

A short run may go at once (`burst` seconds' worth of calls); whoever does more keeps to the limit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache

BURST = 10.0  # seconds


class Pace:
    def __init__(
        self,
        calls_per_second: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        burst: float = BURST,
    ) -> None:
        self._rate, self._clock, self._sleep = calls_per_second, clock, sleep
        self._lock = threading.Lock()
        self._most = self._room = (calls_per_second or 0) * burst
        self._seen = clock()

    def wait(self) -> None:
        if self._rate is None:
            return
        with self._lock:
            now = self._clock()
            self._room = min(self._room + (now - self._seen) * self._rate, self._most) - 1
            self._seen = now
            pause = -self._room / self._rate
        if pause > 0:
            self._sleep(pause)


@cache
def shared(key: str, calls_per_second: float | None, burst: float = BURST) -> Pace:
    return Pace(calls_per_second, burst=burst)
