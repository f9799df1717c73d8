"""Mailboxes that a probe fills for a moment, and who waits until there is room again.

    Filling()
    .begins(address), .ends(address)    it is filled, or soon will be; it has been emptied
    .wait(addresses, stop)              until none of them is; at once where the run is stopped

From any thread; raises nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

_SLICE = 0.25  # seconds until the stop flag is looked at again


class Filling:
    def __init__(self) -> None:
        self._open: dict[str, threading.Event] = {}

    def begins(self, address: str) -> None:
        self._open[address] = threading.Event()

    def ends(self, address: str) -> None:
        if address in self._open:
            self._open[address].set()

    def wait(self, addresses: Iterable[str], stop: threading.Event) -> None:
        for event in [self._open[each] for each in addresses if each in self._open]:
            while not event.wait(_SLICE) and not stop.is_set():
                pass
