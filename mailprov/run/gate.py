"""The one decision of a run: every host has planned and waits here with its session open, until it is go or no."""

from __future__ import annotations

import threading


class Gate:
    def __init__(self) -> None:
        self._decided = threading.Event()
        self._go = False

    def decide(self, go: bool) -> None:
        """Open the gate. The first decision stands: a Ctrl-C after the go does not undo the go."""
        if not self._decided.is_set():
            self._go = go
            self._decided.set()

    @property
    def decided(self) -> bool:
        return self._decided.is_set()

    def wait(self) -> bool:
        """Blocks until decided; True means go."""
        self._decided.wait()
        return self._go
