"""Ctrl-C while connecting: what is under way ends at once, and no thread has to be waited for.

    CancelToken                   one for a run
      .set()                      end everything that is registered, and refuse what comes
      .closing(where, close)      a context: `close` is called when it is cancelled inside
      .waiting_for(where, work)   work() in a thread that nobody waits for when it is cancelled
      .check(where)

A name service or a server can keep a call busy for a minute, and nothing can interrupt the call itself: such calls
run in `waiting_for`. Raises HostUnreachable "interrupted while connecting".
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from mailprov.errors import HostUnreachable
from mailprov.i18n import _

T = TypeVar("T")
TICK = 0.1  # seconds between looks at whether it is over


class CancelToken:
    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._closers: dict[object, Callable[[], None]] = {}

    def set(self) -> None:
        with self._lock:
            self._event.set()
            closers = list(self._closers.values())
        for close in closers:
            with contextlib.suppress(Exception):
                close()

    def is_set(self) -> bool:
        return self._event.is_set()

    def check(self, where: str) -> None:
        if self._event.is_set():
            raise HostUnreachable(where, _("interrupted while connecting"))

    @contextlib.contextmanager
    def closing(self, where: str, close: Callable[[], None]) -> Iterator[None]:
        """An error inside, once cancelled, is told as the interruption that it is."""
        mark = object()
        with self._lock:
            self.check(where)
            self._closers[mark] = close
        try:
            yield
        except Exception:
            self.check(where)
            raise
        finally:
            with self._lock:
                self._closers.pop(mark, None)
        self.check(where)

    def waiting_for(self, where: str, work: Callable[[], T]) -> T:
        """What `work` gives or raises; when cancelled, `work` goes on alone and its result is nobody's."""
        results: list[T] = []
        errors: list[BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                results.append(work())
            except BaseException as error:
                errors.append(error)
            done.set()

        threading.Thread(target=run, name=f"connect-{where}", daemon=True).start()
        while not done.wait(TICK):
            self.check(where)
        if errors:
            raise errors[0]
        return results[0]
