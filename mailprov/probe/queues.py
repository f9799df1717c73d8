"""Whether what was sent in this run has left a host's queue: then what is not in a mailbox by now never comes.

    Left                           what the host says: whether all is gone, else why that is not known
    Queues(ask, seconds, stop)
    .gone(host, addresses)         waits until nothing for these addresses that came in since the run began is left

Order of arrival proves nothing: Postfix delivers several messages at a time. So the host is asked, over SSH, and only
where a probe needs it. What many threads want to know of one host goes to it in one question. The queue holds
recipients as they are after aliases: of a list, its members. Mail between hosts: ask the sender's host first, then the
recipient's. Raises ProbeError where the run is stopped; a host that cannot be asked is an answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence

from mailprov.i18n import _
from mailprov.model.inventory import Host
from mailprov.model.values import dataclass, field
from mailprov.probe.clients.connection import Deadline


@dataclass(frozen=True)
class Waiting:
    """A message that is still in the queue, for one recipient; `reason` as Postfix tells it, where it was tried."""

    queue_id: str
    queue: str
    address: str
    reason: str


@dataclass(frozen=True)
class Told:
    """A host's answer. `error`: why there is none."""

    whole: bool = False  # else what is not told may be there all the same
    running: bool = True
    waiting: Sequence[Waiting] = ()
    error: str = ""


@dataclass(frozen=True)
class Left:
    """`sure`: nothing is left. Else `why`, as a clause, and what Postfix says of what is `waiting`."""

    sure: bool
    why: str = ""
    waiting: Sequence[Waiting] = ()


# Of one host: recipients, how many seconds ago the run began, how many seconds to wait at most.
Ask = Callable[[Host, Collection[str], float, float], Told]


@dataclass
class _Question:
    """What threads have put together; whoever began it asks."""

    addresses: set[str] = field(default_factory=set)
    told: Told | None = None
    answered: threading.Event = field(default_factory=threading.Event)


class Queues:
    def __init__(self, ask: Ask | None, seconds: float, stop: threading.Event) -> None:
        """`seconds`: how long mail may take to leave a queue."""
        self._ask, self._seconds, self._stop = ask, seconds, stop
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._open: dict[str, _Question] = {}  # not asked yet: more can be put to it
        self._hosts: dict[str, threading.Lock] = {}
        self._failed: dict[str, Told] = {}  # hosts that could not be asked: nobody waits for them again

    def gone(self, host: Host, addresses: Collection[str]) -> Left:
        """From any thread."""
        if not host.managed:
            return Left(
                False, _("{host} has `managed: false`, so its queue is not asked").format(host=host.name)
            )
        if self._ask is None:
            return Left(False, _("the queue of {host} could not be asked").format(host=host.name))
        wanted = {address.lower() for address in addresses}
        with self._lock:
            question = self._open.get(host.name)
            begins = question is None
            if question is None:
                question = self._open[host.name] = _Question()
            question.addresses |= wanted
            turn = self._hosts.setdefault(host.name, threading.Lock())
        if begins:
            try:
                with turn:  # one at a time; meanwhile others may join
                    with self._lock:
                        del self._open[host.name]
                    question.told = self._put(self._ask, host, question)
            finally:
                question.answered.set()
        question.answered.wait()
        Deadline(1.0, self._stop).left()  # an answer to a run that is stopped says nothing
        return _left(host, question.told or Told(error=_("the question broke off")), wanted)

    def _put(self, ask: Ask, host: Host, question: _Question) -> Told:
        if (before := self._failed.get(host.name)) is not None:
            return before
        told = ask(host, sorted(question.addresses), time.monotonic() - self._began, self._seconds)
        if told.error:
            self._failed[host.name] = told
        return told


def _left(host: Host, told: Told, wanted: set[str]) -> Left:
    if told.error:
        form = _("the queue of {host} could not be asked: {reason}")
        return Left(False, form.format(host=host.name, reason=told.error))
    waiting = tuple(one for one in told.waiting if one.address.lower() in wanted)
    if told.whole and not waiting:
        return Left(True)
    if not waiting:
        form = _("Postfix runs on {host}, and its queue could not be read whole")
        if not told.running:
            form = _("Postfix does not run on {host}")
        return Left(False, form.format(host=host.name))
    form = _("{id} for {address} is still in the queue of {host} ({queue})")
    first = waiting[0]
    names = {"id": first.queue_id, "address": first.address, "host": host.name, "queue": first.queue}
    if first.reason:
        form = _("{id} for {address} waits in the queue of {host} ({queue}): {reason}")
        names["reason"] = first.reason
    return Left(False, form.format(**names), waiting)
