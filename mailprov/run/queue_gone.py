"""Asks hosts whether what came into their queues for some recipients has left them; reads only.

    Watchers(command, start, stop)
    .begin(hosts)                                       logs in to them, and waits for nothing
    .ask(host, addresses, age, seconds) -> QueueTold    from any thread, one question to a host at a time; a host that
                                                        cannot be asked says why
    .end()                                              the last thing: no question comes any more

`age`: how many seconds ago the mail came in at the earliest; `seconds`: how long the host waits for it to leave. One
conversation with a host serves all questions of a run: a login takes longer than an answer.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Collection, Mapping
from typing import Any

from mailprov.i18n import _
from mailprov.model.inventory import Host
from mailprov.probe import QueueTold, QueueWaiting
from mailprov.run.gate import Gate
from mailprov.run.hosts import HostSession, Start

_PATIENCE = 60.0  # seconds for an answer over SSH, beside what the host waits for
_SLICE = 0.25  # seconds until the stop flag is looked at again
_FAREWELL = 5.0  # seconds for hosts to end by themselves


class _Watcher:
    """The mode of a conversation in which the agent is asked the same thing again and again."""

    def __init__(self, host: Host, command: str, start: Start) -> None:
        self.job: dict[str, Any] = {"mode": "queue_gone"}
        self._questions: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._turn = threading.Lock()
        self.session = HostSession(
            host, self, command=command, emit=lambda event: None, gate=Gate(), start=start
        )
        self.session.launch()
        threading.Thread(target=self._over, name=f"queue {host.name}", daemon=True).start()

    def _over(self) -> None:
        self.session.ended.wait()
        self._told.put(None)

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """In the thread of the conversation, which waits here until somebody asks."""
        if message["t"] == "asked":
            return self._questions.get()
        self._told.put(message)
        return None

    def go(self) -> dict[str, Any]:
        return {}

    def end(self) -> None:
        self._questions.put({"t": "ask", "recipients": [], "age": 0.0, "seconds": 0.0})

    def ask(
        self, addresses: Collection[str], age: float, seconds: float, stop: threading.Event
    ) -> Mapping[str, Any] | None:
        """None: no answer comes, of this question or another."""
        with self._turn:
            if self.session.ended.is_set():
                return None
            self._questions.put({"t": "ask", "recipients": list(addresses), "age": age, "seconds": seconds})
            until = time.monotonic() + seconds + _PATIENCE
            while not stop.is_set() and time.monotonic() <= until:
                try:
                    return self._told.get(timeout=_SLICE)
                except queue.Empty:
                    continue
            self.cut()
            return None

    def cut(self) -> None:
        self.session.abandon()
        self.end()


class Watchers:
    def __init__(self, *, command: str, start: Start, stop: threading.Event) -> None:
        self._command, self._start, self._stop = command, start, stop
        self._lock = threading.Lock()
        self._watchers: dict[str, _Watcher] = {}

    def begin(self, hosts: Collection[Host]) -> None:
        for host in hosts:
            self._watcher(host)

    def ask(self, host: Host, addresses: Collection[str], age: float, seconds: float) -> QueueTold:
        watcher = self._watcher(host)
        told = watcher.ask(addresses, age, seconds, self._stop)
        if told is None:
            error = watcher.session.outcome.error
            return QueueTold(error=error.what if error is not None else _("no answer over SSH"))
        waiting = tuple(
            QueueWaiting(each["id"], each["queue"], each["address"], each["reason"]) for each in told["left"]
        )
        return QueueTold(told["whole"], told["running"], waiting)

    def end(self) -> None:
        with self._lock:
            watchers = list(self._watchers.values())
        for each in watchers:
            each.end()
        until = time.monotonic() + _FAREWELL
        for each in watchers:
            if not each.session.ended.wait(max(0.0, until - time.monotonic())):
                each.cut()

    def _watcher(self, host: Host) -> _Watcher:
        with self._lock:
            if host.name not in self._watchers:
                self._watchers[host.name] = _Watcher(host, self._command, self._start)
            return self._watchers[host.name]
