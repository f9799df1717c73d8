"""`mailprov trace --wire`: what Postfix and Dovecot say to each other while one message passes, TLS or not.

    with Wire(hosts, senders, recipients, …) as wire:     all hosts tell more, or the error of the first that cannot
        …                                                 the message is sent, and its queue ids are looked for
        heard = wire.collect({host: [queue id]})          what was said about these; all hosts are as before
    wire.gaps                                             what could not be heard, a sentence each
    listening(inventory, sender, recipients, first, …)    the same for a trace, as a context manager: a function that
                                                          puts what was heard into the finished Trace

A host where another run is at work refuses, as it refuses an apply; then the others are taken back at once, and no
message is sent. Leaving the block without `collect` takes everything back as well; so does the host itself, when this
program is killed or cut off (agent/modes/wire.py).

Raises MailprovError, and KeyboardInterrupt goes on up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from mailprov.errors import HostFailed
from mailprov.i18n import _
from mailprov.model.events import Emit
from mailprov.model.inventory import Domain, Host, Inventory
from mailprov.model.sentences import shown
from mailprov.model.trace import Source, Trace, TraceLine
from mailprov.run.gate import Gate
from mailprov.run.hosts import HostSession, Start
from mailprov.trace.expected import domain_of, ends
from mailprov.trace.heard import queue_ids, with_heard
from mailprov.trace.observed import Heard

LIMIT = 120  # seconds that hosts wait for this program; then they are as before
_LOOK = 0.2  # seconds between looks at the hosts


class _Tap:
    """The mode `wire` of one host's conversation: it answers `verbose` when the queue ids are known."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.on, self._asked = threading.Event(), threading.Event()
        self.gaps: tuple[str, ...] = ()
        self.dialogues: Sequence[Mapping[str, Any]] = ()
        self._ids: list[str] = []

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if message["t"] == "dialogues":
            self.dialogues = message["dialogues"]
            return None
        self.gaps = tuple(shown(gap["text"]) for gap in message["gaps"])
        self.on.set()
        self._asked.wait()
        return {"t": "collect", "queue_ids": self._ids}

    def go(self) -> dict[str, Any]:
        return {}

    def ask(self, queue_ids: Iterable[str]) -> None:
        self._ids = list(queue_ids)
        self._asked.set()


class Wire:
    """`senders` are those of the envelope, `recipients` all to whom the message may come in the end (aliases, lists and
    forwarding accounts in what they lead to).
    """

    def __init__(
        self,
        hosts: Iterable[Host],
        senders: Iterable[str],
        recipients: Iterable[str],
        *,
        command: str,
        emit: Emit,
        start: Start,
        seconds: int = LIMIT,
    ) -> None:
        job = {
            "mode": "wire",
            "senders": sorted(set(senders)),
            "recipients": sorted(set(recipients)),
            "seconds": seconds,
        }
        self.gaps: tuple[str, ...] = ()
        self._taps: list[tuple[HostSession, _Tap]] = []
        for host in hosts:
            tap = _Tap(dict(job))
            session = HostSession(host, tap, command=command, emit=emit, gate=Gate(), start=start)
            self._taps.append((session, tap))

    def __enter__(self) -> Wire:
        for session, _tap in self._taps:
            session.launch()
        try:
            self._until(lambda session, tap: tap.on.is_set())
            self._raise_failures()
        except BaseException:
            self._take_back()
            raise
        self.gaps = tuple(f"{session.host.name}: {gap}" for session, tap in self._taps for gap in tap.gaps)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._take_back()

    def collect(self, queue_ids: Mapping[str, Iterable[str]]) -> list[Heard]:
        """By host. A host that fails now is a gap and no error: the message has been sent."""
        for session, tap in self._taps:
            tap.ask(queue_ids.get(session.host.name, ()))
        self._until(lambda session, tap: False)
        for session, _tap in self._taps:
            if session.outcome.status != "ok" and session.outcome.error is not None:
                self.gaps = (*self.gaps, str(session.outcome.error))
        return [_heard(session.host.name, told) for session, tap in self._taps for told in tap.dialogues]

    def told(self, trace: Trace) -> Trace:
        """With what was heard in its steps."""
        heard = self.collect(queue_ids(trace))
        return with_heard(trace, heard, self.gaps)

    def _until(self, done: Callable[[HostSession, _Tap], bool]) -> None:
        """Waits in pieces, so that Ctrl-C is heard."""
        while not all(session.ended.is_set() or done(session, tap) for session, tap in self._taps):
            time.sleep(_LOOK)

    def _raise_failures(self) -> None:
        for session, tap in self._taps:
            if not tap.on.is_set():
                raise session.outcome.error or HostFailed(
                    session.host.name, _("it ended before Postfix told more"), ""
                )

    def _take_back(self) -> None:
        for session, tap in self._taps:
            if not session.ended.is_set():
                session.cancel()
                tap.ask(())
        self._until(lambda session, tap: False)


@contextmanager
def listening(
    inventory: Inventory,
    sender: str,
    recipients: Iterable[str],
    first: Host,
    *,
    wait: float,
    emit: Emit,
    start: Start,
) -> Iterator[Callable[[Trace], Trace]]:
    """On `first`, where the message is handed over, and on the hosts of all whom it is to reach."""
    named = list(recipients)
    reached = dict.fromkeys([*named, *(end for each in named for end in ends(inventory, each))])
    domains = [domain for each in reached if (domain := domain_of(inventory, each)) is not None]
    hosts = dict.fromkeys([first.name, *(host for domain in domains for host in _hosts(domain))])
    seconds = LIMIT + int(3 * wait)  # for the logs, the mailbox, and what a slow machine needs
    with Wire(
        map(inventory.host, hosts),
        [sender],
        reached,
        command="trace",
        emit=emit,
        start=start,
        seconds=seconds,
    ) as wire:
        yield wire.told


def _hosts(domain: Domain) -> list[str]:
    """Where its mail comes in, and where it is kept."""
    return [*(each.host for each in domain.exchangers if each.ours), *domain.hosts[:1]]


def _heard(host: str, told: Mapping[str, Any]) -> Heard:
    lines = tuple(TraceLine(Source(line["source"]), line["text"]) for line in told["lines"])
    return Heard(host, told["agent"], told["queue_id"], told["peer"], tuple(told["recipients"]), lines)
