"""What the hosts' logs tell of messages: all hosts are asked at once, and their clocks are measured by the way.

    read_logs(inventory, wanted, …) -> {host name: Told}    `wanted`: host name → keys (wire.messages, job)

How a message is followed from host to host is in trace_rounds.py. A host that cannot be asked is a gap in what is
known, and the others are told all the same. From any thread. Raises nothing; `stop` cuts the readings.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from mailprov.errors import MailprovError
from mailprov.i18n import _
from mailprov.model import cleaning
from mailprov.model.events import Emit
from mailprov.model.inventory import Host, Inventory
from mailprov.model.sentences import shown
from mailprov.model.values import dataclass
from mailprov.run.gate import Gate
from mailprov.run.hosts import HostSession, Start
from mailprov.run.inquiry import Question
from mailprov.trace.observed import HostLog, Record

Wanted = Mapping[str, Mapping[str, Any]]

_TICK = 0.2


@dataclass(frozen=True)
class Told:
    """`reach`: unix seconds by the host's clock since when its log has records, 0: it has none. `more`: there is more
    than was sent. `error`: the host could not be asked, and the rest is empty.
    """

    log: HostLog
    reach: float = 0.0
    sources: tuple[str, ...] = ()
    more: bool = False
    error: MailprovError | None = None


class _Reading(Question):
    """`ahead`: how far its clock is ahead of ours, at least: the message that was under way for less is nearer."""

    ahead: float | None = None

    def greeted(self, theirs: float) -> None:
        """A clock that is wrong is something to show here, and stops nothing."""
        self._measure(theirs)

    def answer(self, message: dict[str, Any]) -> None:
        self._measure(message["now"])
        super().answer(message)

    def _measure(self, theirs: float) -> None:
        ahead = theirs - time.time()
        self.ahead = ahead if self.ahead is None else max(ahead, self.ahead)


def read_logs(
    inventory: Inventory,
    wanted: Wanted,
    *,
    start: Start,
    follow: float = 0.0,
    emit: Emit = lambda event: None,
    stop: threading.Event | None = None,
    command: str = "trace",
) -> dict[str, Told]:
    """In the order of the inventory."""
    sessions: list[tuple[HostSession, _Reading]] = []
    for host in inventory.hosts:
        if host.name in wanted:
            reading = _Reading(host, {"mode": "maillog", "keys": dict(wanted[host.name]), "follow": follow})
            sessions.append(
                (HostSession(host, reading, command=command, emit=emit, gate=Gate(), start=start), reading)
            )
    for session, _reading in sessions:
        session.launch()
    for session, _reading in sessions:
        while not session.ended.wait(_TICK):
            if stop is not None and stop.is_set():
                session.abandon()
    return {session.host.name: _told(session, reading) for session, reading in sessions}


def _told(session: HostSession, reading: _Reading) -> Told:
    host, told, error = session.host, reading.told, session.outcome.error
    gaps = [f"{host.name}: {shown(gap['text'])}" for gap in told.get("gaps", ())]
    if error is not None:
        gaps.append(_("the log of {host} could not be read: {why}").format(host=host.name, why=error.what))
    records = tuple(
        Record(
            host.name,
            each["t"],
            cleaning.line(each["ident"]),
            each["pid"],
            cleaning.line(each["text"]),
            each["source"],
        )
        for each in told.get("records", ())
    )
    log = HostLog(host.name, host.fqdn, addresses(host), records, reading.ahead, tuple(gaps))
    sources = tuple(map(cleaning.line, told.get("sources", ())))
    return Told(log, told.get("reach", 0.0), sources, told.get("more", False), error)


def addresses(host: Host) -> tuple[str, ...]:
    """All that lead to it, as far as the inventory knows; names among them."""
    return tuple(dict.fromkeys((*host.ipv4, *host.ipv6, host.address)))
