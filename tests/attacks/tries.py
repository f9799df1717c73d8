"""Tries of an attack, counted, and told which of them succeeded.

LONG                       whether every try is wanted, or one of each kind
some(list, short)          all of it, or in the short form `short` of them, evenly spread
Tries(area)
    .held(what, ok, seen)  one try; `ok`: the attack came to nothing
    .settle()              fails with every try that succeeded; a form without any try fails, too
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

LONG = os.environ.get("MAILPROV_ATTACKS") == "long"
COUNTS = os.environ.get("MAILPROV_ATTACKS_COUNTS")  # a file that gets a line for each area: its tries
_T = TypeVar("_T")


def some(every: Sequence[_T], short: int) -> Sequence[_T]:
    if LONG or len(every) <= short:
        return every
    return [every[number * len(every) // short] for number in range(short)]


class Tries:
    def __init__(self, area: str) -> None:
        self.area = area
        self.count = 0
        self._broken: list[str] = []
        self._lock = threading.Lock()

    def held(self, what: object, ok: object, seen: object = "") -> None:
        with self._lock:
            self.count += 1
            if not ok:
                self._broken.append(f"{what}: {str(seen)[:300]}")

    def settle(self) -> None:
        if COUNTS:
            with Path(COUNTS).open("a") as file:
                file.write(f"{self.area}\t{self.count}\t{len(self._broken)}\n")
        assert self.count, f"{self.area}: nothing was tried"
        assert not self._broken, f"{self.area}: {len(self._broken)} of {self.count} succeeded:\n" + "\n".join(
            self._broken[:40]
        )
