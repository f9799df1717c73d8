"""`mailprov trace FROM TO`: one message is sent and followed, across the hosts of the inventory.

    trace(inventory, letter, options, start=…, report=…) -> exit code

The order: who may send it, and where; the SMTP session; what the hosts' logs say of it; where its file lies; IMAP and
POP; the way that comes of all that (mailprov/trace/).
Nothing on hosts is changed, and the message is removed at the end.

Raises InputError for senders and recipients of whom nothing could be seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mailprov.i18n import _, ngettext
from mailprov.model.answers import Traced
from mailprov.model.events import Emit, Event, Notice, Progress
from mailprov.model.inventory import Inventory
from mailprov.model.trace import Outcome, Trace
from mailprov.model.values import replace
from mailprov.run.event_queue import EventQueue
from mailprov.run.hosts import Start
from mailprov.run.trace_entrance import Entrance, Options, entrance
from mailprov.run.trace_letter import Letter, Ready, make
from mailprov.run.trace_work import Work, run_work

if TYPE_CHECKING:
    from mailprov.run.trace_cleaning import Sent
    from mailprov.run.trace_sending import Desk

_END = 5.0  # seconds for a session that was interrupted
_ARRIVED = (Outcome.DELIVERED, Outcome.HANDED_ON)


def trace(inventory: Inventory, letter: Letter, options: Options, *, start: Start, report: Emit) -> int:
    """0: it arrived at all recipients; 1: not; 3: it is not known, or still on its way."""
    if any(domain.two_sided for domain in inventory.domains):
        from mailprov.run.moves import seen

        inventory = seen(inventory)
    begins = entrance(inventory, letter, options)
    return run_work(
        inventory, report, lambda events: _Work(inventory, letter, options, begins, start, events)
    )


def exit_code(made: Trace) -> int:
    outcomes = {arrival.outcome for arrival in made.arrivals}
    if outcomes and outcomes.issubset(_ARRIVED):
        return 0
    return 3 if outcomes.issubset({*_ARRIVED, Outcome.UNKNOWN, Outcome.DEFERRED, Outcome.HELD}) else 1


def summed_up(made: Trace) -> str:
    there = sum(arrival.outcome in _ARRIVED for arrival in made.arrivals)
    form = ngettext(
        "{there} of {count} copy arrived", "{there} of {count} copies arrived", len(made.arrivals)
    )
    return form.format(there=there, count=len(made.arrivals))


class _Work(Work):
    def __init__(
        self,
        inventory: Inventory,
        letter: Letter,
        options: Options,
        entrance: Entrance,
        start: Start,
        events: EventQueue,
    ) -> None:
        super().__init__(events)
        self._inventory, self._letter, self._options = inventory, letter, options
        self._entrance, self._start = entrance, start
        self.sent: Sent | None = None
        self._desk: Desk | None = None
        self._removed: Callable[[], set[str]] = set
        self.trace: Trace | None = None

    def work(self) -> tuple[int, str]:
        self.trace = made = self._listened(make(self._letter))
        self._events.emit(Traced(made))
        return exit_code(made), summed_up(made)

    def interrupted(self, emit: Emit) -> None:
        """Takes the message back, in sessions of its own, which Ctrl-C ends."""
        sent, desk = self.sent, self._desk
        if sent is None or desk is None or self._options.keep or self.trace is not None:
            return
        # Its session ends within a moment, before the message was said or after it.
        if not desk.handed and self.done.wait(_END) and not desk.handed:
            return
        from mailprov.run.trace_cleaning import take_back
        from mailprov.run.trace_sending import Desk

        emit(
            Progress("trace", _("taking the message out of the mailboxes again (Ctrl-C once more leaves it)"))
        )
        own = Desk(self._inventory, time.time(), threading.Event())
        take_back(self._inventory, sent, own, self._removed(), lambda text: emit(Notice("trace", text)))

    def _listened(self, ready: Ready) -> Trace:
        """With --wire, the hosts' Postfix tells more meanwhile."""
        if not self._options.wire:
            return self._followed(ready)
        from mailprov.run.trace_wire import listening

        self._say(_("letting Postfix tell more about this message"))
        letter, wait = self._letter, self._options.wait
        with listening(
            self._inventory,
            letter.sender,
            letter.recipients,
            self._entrance.host,
            wait=wait,
            emit=self._quietly,
            start=self._start,
        ) as told:
            return told(self._followed(ready))

    def _quietly(self, event: Event) -> None:
        """Of the conversations with hosts, what is worth knowing: whom they wait for."""
        if isinstance(event, (Notice, Progress)):
            self._events.emit(event)

    def _followed(self, ready: Ready) -> Trace:
        from mailprov.run.trace_cleaning import Sent
        from mailprov.run.trace_following import Following
        from mailprov.run.trace_sending import Desk
        from mailprov.trace.way import way

        letter, entrance, options = self._letter, self._entrance, self._options
        began = time.time()
        desk = Desk(self._inventory, began, self.stop)
        following = Following(self._inventory, desk, ready, letter, began, self._start, self._say)
        self.sent, self._desk, self._removed = Sent(letter, ready, entrance.login), desk, following.removed
        self._say(_("handing the message over to {host}").format(host=entrance.host.name))
        dialogue = desk.hand_over(
            entrance.host, entrance.port, letter.sender, letter.recipients, ready.data, entrance.login
        )
        self.sent = replace(self.sent, dialogue=dialogue)
        if dialogue.queue_id or dialogue.taken:
            following.follow(dialogue, options.wait)
        following.read(dialogue, entrance, options)
        return way(following.seen(dialogue, [entrance.why] if entrance.why else [], kept=options.keep))

    def _say(self, text: str) -> None:
        self._events.emit(Progress("trace", text))
