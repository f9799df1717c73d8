"""Who waits for whom, where probes of wrong passwords run beside the others.

    Turns()
    .begins(key), .begun(key), .all_begun()    wrong passwords run beside the others, which wait until it has shown
                                               whether they would be kept waiting; .beside(key): whether they do
    .restless(key), .wait_quiet(host)          whoever logs in there has to wait: other wrong passwords come after these
    .controls(host), .controlled(host)         one more probe of right passwords on it is to end; it has ended
    .opening(key, run), .controlling(host, run)    a job that tells so at its end
    .wait_controlled(host)                     until all of those have
    .finish(), .wait_finished(stop)            until everything else is done; whether that was still to come

Everybody who is waited for ends, also in a run that was stopped: what would wait is told so at once. Raises nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from mailprov.model.findings import Finding, Target

Run = Callable[[], Iterator[Finding]]

_SLICE = 0.25  # seconds until the stop flag is looked at again


class Turns:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, int] = {}
        self._begun: dict[Target, threading.Event] = {}
        self._ended: dict[Target, threading.Event] = {}
        self._restless: set[Target] = set()
        self._controlled: dict[str, threading.Event] = {}
        self._finished = threading.Event()

    def begins(self, key: Target) -> None:
        self._begun[key], self._ended[key] = threading.Event(), threading.Event()

    def beside(self, key: Target) -> bool:
        return key in self._begun

    def begun(self, key: Target) -> None:
        if key in self._begun:
            self._begun[key].set()

    def all_begun(self) -> None:
        for event in self._begun.values():
            event.wait()

    def restless(self, key: Target) -> None:
        """Before `begun`."""
        self._restless.add(key)

    def wait_quiet(self, host: str) -> None:
        for key in [each for each in self._begun if each.host == host]:
            self._begun[key].wait()
            if key in self._restless:
                self._ended[key].wait()

    def controls(self, host: str) -> None:
        with self._lock:
            self._open[host] = self._open.get(host, 0) + 1
            self._controlled.setdefault(host, threading.Event())

    def controlled(self, host: str) -> None:
        with self._lock:
            self._open[host] -= 1
            if not self._open[host]:
                self._controlled[host].set()

    def wait_controlled(self, host: str) -> None:
        if (controlled := self._controlled.get(host)) is not None:
            controlled.wait()

    def opening(self, key: Target, run: Run) -> Run:
        """`run`, which begins by showing that; at its end it has in any case."""

        def opened() -> Iterator[Finding]:
            try:
                yield from run()
            finally:
                self.begun(key)
                if key in self._ended:
                    self._ended[key].set()

        return opened

    def controlling(self, host: str, run: Run) -> Run:
        """`run`, which is a probe of right passwords."""
        self.controls(host)

        def control() -> Iterator[Finding]:
            try:
                yield from run()
            finally:
                self.controlled(host)

        return control

    def finish(self) -> None:
        self._finished.set()

    def wait_finished(self, stop: threading.Event) -> bool:
        if self._finished.is_set():
            return False
        while not self._finished.wait(_SLICE):
            if stop.is_set():
                break
        return True
