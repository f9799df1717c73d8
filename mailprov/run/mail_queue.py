"""The queues of all hosts, asked at once: looking into them, and doing something to messages that are named.

    look(…) -> exit code      a QueuedMessage for each message that is wanted, a QueueState for each host; only reads
    act(…) -> exit code       plan, ask, do: try again, hold, release, delete

Messages pass on their way to the report as they come, and a host waits where the report is slower: however long a queue
is, what is kept of it is the same. A message is named by its queue id, which two hosts may both have used: then nothing
is done until the host is named, too.
"""

from __future__ import annotations

import dataclasses
import datetime
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mailprov import __version__
from mailprov.i18n import _, ngettext
from mailprov.model.events import Emit, Event, Notice, RunEnded, RunStarted
from mailprov.model.inventory import Host, Inventory
from mailprov.model.queue import QueuedMessage, QueuedRecipient, QueueReason, QueueState
from mailprov.model.values import dataclass
from mailprov.run.deploy import Deployment, Options
from mailprov.run.event_queue import EventQueue
from mailprov.run.exit_code import worst
from mailprov.run.gate import Gate
from mailprov.run.hosts import HostSession, Start
from mailprov.run.ident import run_id
from mailprov.run.listing import with_silent
from mailprov.run.select import Selection

SHOWN = 5  # messages of each host, where not all are wanted
FEW = 2  # of each, where they are many hosts
_MANY = 4
_ON_THE_WAY = 2_000  # messages between the hosts and the report


@dataclass(frozen=True)
class Wanted:
    """Which messages: all of this holds. Texts are looked for anywhere, in any case; `<>` is the empty sender."""

    everything: bool = False  # else the oldest of each host
    ids: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    sender: str = ""
    recipient: str = ""
    reason: str = ""

    def job(self, hosts: int) -> dict[str, Any]:
        limit = FEW if hosts >= _MANY else SHOWN
        narrow = {"ids": list(self.ids), "queues": list(self.queues), "reason": self.reason}
        narrow |= {"sender": self.sender, "recipient": self.recipient}
        return {"mode": "queue", "queue": {"all": self.everything, "limit": limit, **narrow}}


@dataclass(frozen=True)
class Limits:
    """Of one host: how many messages may be deferred, and how old (seconds) one may be; `named` is that age as it was
    given. None: no limit.
    """

    deferred: int | None = None
    age: int | None = None
    named: str = ""

    def over(self, counts: Mapping[str, int], oldest: int, now: float) -> tuple[str, ...]:
        found = []
        if self.deferred is not None and counts["deferred"] > self.deferred:
            form = _("{count} deferred, more than {limit}")
            found.append(form.format(count=counts["deferred"], limit=self.deferred))
        if self.age is not None and oldest and now - oldest > self.age:
            since = datetime.datetime.fromtimestamp(oldest, datetime.timezone.utc)
            form = _("the oldest is of {time}, more than {limit} ago")
            found.append(form.format(time=f"{since:%Y-%m-%d %H:%M} UTC", limit=self.named))
        return tuple(found)


class _Reading:
    """The mode of a conversation in which a host tells its queue."""

    def __init__(self, host: Host, job: dict[str, Any], limits: Limits, emit: Emit) -> None:
        self.job = job
        self.state: QueueState | None = None
        self._host, self._limits, self._emit = host.name, limits, emit

    def answer(self, message: dict[str, Any]) -> None:
        if message["t"] == "queued":
            for told in message["messages"]:
                self._emit(_queued(self._host, told))
            return
        counts, oldest, now = message["counts"], message["oldest"], message["now"]
        self.state = QueueState(
            self._host,
            deferred=counts["deferred"],
            active=counts["active"],
            hold=counts["hold"],
            incoming=counts["incoming"],
            maildrop=counts["maildrop"],
            messages=message["messages"],
            recipients=message["recipients"],
            bytes=message["bytes"],
            oldest=oldest,
            everything=message["all"],
            told=message["told"],
            reasons=tuple(QueueReason(**_only(one)) for one in message["reasons"]),
            other_reasons=message["others"],
            unreadable=message["unreadable"],
            running=message["running"],
            now=now,
            over=self._limits.over(counts, oldest, now),
        )
        if self.state.unreadable:
            form = ngettext(
                "{count} message that postqueue told of could not be understood, and is not counted",
                "{count} messages that postqueue told of could not be understood, and are not counted",
                self.state.unreadable,
            )
            self._emit(Notice(self._host, form.format(count=self.state.unreadable)))
        self._emit(self.state)

    def go(self) -> dict[str, Any]:
        return {}


def _only(told: Mapping[str, Any]) -> dict[str, Any]:
    """A field more than these is passed over (wire/shapes.py)."""
    return {field.name: told[field.name] for field in dataclasses.fields(QueueReason)}


def _queued(host: str, told: Mapping[str, Any]) -> QueuedMessage:
    recipients = tuple(QueuedRecipient(one["address"], one["reason"]) for one in told["recipients"])
    return QueuedMessage(
        host,
        told["id"],
        told["queue"],
        told["arrived"],
        told["size"],
        told["sender"],
        recipients,
        told["total"],
        told["next"],
        told["until"],
        told["instance"],
    )


class _Narrows:
    """Between the hosts' threads and the report: no more than so many messages at a time."""

    def __init__(self, report: Emit) -> None:
        self._report = report
        self._room = threading.BoundedSemaphore(_ON_THE_WAY)
        self.queue = EventQueue(self._deliver)

    def emit(self, event: Event) -> None:
        if isinstance(event, QueuedMessage):
            self._room.acquire()
        self.queue.emit(event)

    def _deliver(self, event: Event) -> None:
        try:
            self._report(event)
        finally:
            if isinstance(event, QueuedMessage):
                self._room.release()


def look(
    inventory: Inventory,
    selection: Selection,
    wanted: Wanted,
    limits: Limits,
    *,
    start: Start,
    report: Emit,
) -> int:
    """1 where a limit is passed; of hosts that cannot be asked, as everywhere."""
    narrows = _Narrows(report)
    queue = narrows.queue
    began = time.monotonic()
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    queue.emit(RunStarted("queue", inventory.source, __version__, started))
    modes = [
        _Reading(host, wanted.job(len(selection.hosts)), limits, narrows.emit) for host in selection.hosts
    ]
    sessions = [
        HostSession(
            host,
            mode,
            command="queue",
            emit=queue.emit,
            gate=Gate(),
            start=start,
            milestone=queue.milestone,
        )
        for host, mode in zip(selection.hosts, modes, strict=True)
    ]
    try:
        for session in sessions:
            session.launch()
        queue.pump(lambda: all(session.ended.is_set() for session in sessions))
    except KeyboardInterrupt:
        queue.wake(RunEnded(130, _("interrupted"), time.monotonic() - began))
        return 130
    states = [mode.state for mode in modes if mode.state is not None]
    errors = [session.outcome.error for session in sessions if session.outcome.error is not None]
    over = [f"{state.subject}: {text}" for state in states for text in state.over]
    code = worst(1 if over else 0, *(error.exit_code for error in errors))
    text = with_silent(_summary(states) if states or not sessions else _("nothing is known"), sessions)
    queue.wake(RunEnded(code, "; ".join([text, *over]), time.monotonic() - began))
    return code


def _summary(states: Sequence[QueueState]) -> str:
    count, everything = (sum(getattr(one, name) for one in states) for name in ("messages", "everything"))
    if count == everything:
        form = ngettext("{count} message in the queue", "{count} messages in the queue", count)
        return form.format(count=count)
    form = ngettext(
        "{count} of {everything} message in the queue",
        "{count} of {everything} messages in the queue",
        everything,
    )
    return form.format(count=count, everything=everything)


class _Naming:
    """The mode of a conversation about messages that are named."""

    def __init__(self, host: Host, job: dict[str, Any]) -> None:
        self.job, self.host = job, host.name
        self.found: frozenset[str] = frozenset()

    def answer(self, message: dict[str, Any]) -> None:
        self.found |= {told["id"] for told in message["messages"]}

    def go(self) -> dict[str, Any]:
        return {}


class _Acting(Deployment):
    """A deployment whose plan is what becomes of messages. `modes` are the hosts', in their order."""

    def __init__(self, ids: Sequence[str], modes: list[_Naming], **more: Any) -> None:
        super().__init__(**more)
        self._ids, self._modes = ids, modes
        self._missing: list[str] = []

    def _plan(self) -> None:
        super()._plan()
        found = frozenset().union(*(mode.found for mode in self._modes))
        if all(session.outcome.error is None for session in self.sessions):
            self._missing = [name for name in self._ids if name not in found]
        for name in self._missing:
            self.events.emit(Notice("", _("{id} is in no queue").format(id=name)))

    def _twice(self) -> str:
        """The first id that several hosts have, as a clause."""
        for name in self._ids:
            hosts = [mode.host for mode in self._modes if name in mode.found]
            if len(hosts) > 1:
                form = _("{id} is in the queues of {hosts} (--host says which of them is meant)")
                return form.format(id=name, hosts=", ".join(hosts))
        return ""

    def _obstacle(self) -> str:
        return self._twice() or super()._obstacle()

    def _failures(self) -> int:
        return worst(super()._failures(), 1 if self._missing or self._twice() else 0)


def act(
    inventory: Inventory,
    selection: Selection,
    action: str,
    ids: Sequence[str],
    options: Options,
    *,
    start: Start,
    report: Emit,
) -> int:
    """`action`: flush, hold, release or delete; flush without ids is about all that is deferred. 1 where a message that
    was named is in no queue, or in two.
    """
    ident = run_id()
    modes: list[_Naming] = []

    def mode(host: Host, deployment: Deployment) -> _Naming:
        named = {"action": action, "ids": list(ids)}
        modes.append(_Naming(host, {**options.job("queue_act", ident), **named}))
        return modes[-1]

    deployment = _Acting(
        ids,
        modes,
        inventory=inventory,
        selection=selection,
        options=options,
        applies=True,
        ident=ident,
        mode=mode,
        zones=lambda deployment: [],
        start=start,
        report=report,
    )
    return deployment.run()
