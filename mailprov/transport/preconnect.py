"""A connection that is made while the program still loads what it needs to use it.

Preconnect(name, make, end)   calls `make` in a thread of its own
  .take()                     what it gave (None: nothing), or what it raised. Once
  .drop()                     nobody will take it: it is ended (`end`) as soon as it is there
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Preconnect(Generic[T]):
    """`make` may take long: it ends by its own time limits, or when its CancelToken is set."""

    def __init__(self, name: str, make: Callable[[], T | None], end: Callable[[T], None]) -> None:
        self._make, self._end = make, end
        self._made: T | None = None
        self._error: BaseException | None = None
        self._dropped = False
        self._lock = threading.Lock()
        self._done = threading.Event()
        threading.Thread(target=self._run, name=f"preconnect-{name}", daemon=True).start()

    def take(self) -> T | None:
        """Waits for it."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        with self._lock:
            taken, self._made = self._made, None
        return taken

    def drop(self) -> None:
        """Waits for nothing."""
        with self._lock:
            self._dropped = True
            left, self._made = self._made, None
        if left is not None:
            self._end(left)

    def _run(self) -> None:
        try:
            made = self._make()
        except BaseException as error:
            self._error = error
        else:
            with self._lock:
                late = self._dropped
                self._made = None if late else made
            if late and made is not None:
                self._end(made)
        self._done.set()
