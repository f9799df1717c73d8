"""One run of `mailprov trace`: its work is done in a thread of its own, and the main thread tells of it.

    run_work(inventory, report, begun) -> exit code     `begun(events)` gives the Work
    Work                                                subclasses have `work() -> (exit code, summary)`

An error ends the run with its own exit code, and Ctrl-C with 130: then `stop` is set, and `interrupted` called in the
main thread, which a second Ctrl-C ends.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable

from mailprov import __version__
from mailprov.errors import MailprovError, bug
from mailprov.i18n import _
from mailprov.model.events import Emit, Error, RunEnded, RunStarted
from mailprov.model.inventory import Inventory
from mailprov.run.event_queue import EventQueue


class Work:
    """`done` is set when `code` and `summary`, or `error`, are there."""

    def __init__(self, events: EventQueue) -> None:
        self._events = events
        self.stop = threading.Event()
        self.done = events.milestone()
        self.code, self.summary = 3, ""
        self.error: MailprovError | None = None

    def work(self) -> tuple[int, str]:
        raise NotImplementedError

    def interrupted(self, emit: Emit) -> None:
        """Once it was stopped: what is to be put right."""

    def run(self) -> None:
        try:
            self.code, self.summary = self.work()
        except MailprovError as error:
            self.error = error
        except Exception as error:
            self.error = bug("trace", error)
        finally:
            self.done.set()


def run_work(inventory: Inventory, report: Emit, begun: Callable[[EventQueue], Work]) -> int:
    events = EventQueue(report)
    began = time.monotonic()
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    events.emit(RunStarted("trace", inventory.source, __version__, started))
    work = begun(events)
    try:
        threading.Thread(target=work.run, name="trace", daemon=True).start()
        events.pump(work.done.is_set)
    except KeyboardInterrupt:
        work.stop.set()
        try:
            work.interrupted(events.wake)
        except KeyboardInterrupt:  # once more: whoever does not want to wait for that is told what is left
            pass
        events.wake(RunEnded(130, _("interrupted"), time.monotonic() - began))
        return 130
    code, summary = work.code, work.summary
    if work.error is not None:
        events.emit(Error(work.error.where, work.error.what, work.error.advice))
        code, summary = work.error.exit_code, str(work.error)
    events.wake(RunEnded(code, summary, time.monotonic() - began))
    return code
