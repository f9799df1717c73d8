"""What the hosts' logs tell of messages: all hosts are asked at once, and their clocks are measured by the way.

    read_logs(inventory, wanted, …) -> {host name: Told}    one round; `wanted`: host name → keys (wire.messages, job)
    follow_on(inventory, told, wanted) -> wanted            what is to be asked of whom next because of it
    asked_on(inventory, wanted, …) -> {host name: Told}     rounds until nothing new is named

From host to host a message is followed by what servers said: "queued as ID" names it at the host of the inventory to
whose address it was given, and a Message-ID may be anywhere. A host that cannot be asked is a gap in what is known, and
the others are told all the same. From any thread. Raises nothing; `stop` cuts the readings.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Iterable, Mapping
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

_ROUNDS = 6  # a message that goes through more hosts of ours than that goes in circles
_MOST_IDS = 500
_TICK = 0.2
_CLEANUP = re.compile(r"[0-9A-Za-z]+: message-id=(<.+>)")
# As agent/maillog/ids.py reads deliveries.
_QUEUED = re.compile(
    r"[0-9A-Za-z]+: to=<[^<>]*>, (?:orig_to=<[^<>]*>, )?relay=([^\[,]+)\[([0-9A-Fa-f.:]+)\]:\d+, "
    r"[^(]*status=sent \(250 .*queued as ([0-9A-Za-z]{6,24})\)"
)


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


def message_ids(told: Iterable[Told]) -> tuple[str, ...]:
    """Those that Postfix has logged, each once."""
    found: dict[str, None] = {}
    for one in told:
        for record in one.log.records:
            match = _CLEANUP.fullmatch(record.text) if record.ident.endswith("/cleanup") else None
            if match:
                found[match[1]] = None
    return tuple(found)


def follow_on(inventory: Inventory, told: Mapping[str, Told], wanted: Wanted) -> dict[str, dict[str, Any]]:
    """Whole keys for each host that is to be asked again, or first. `wanted`: what was asked until now."""
    everybody = message_ids(told.values())[:_MOST_IDS]
    named: dict[str, dict[str, None]] = {}
    for one in told.values():
        for record in one.log.records:
            match = _QUEUED.fullmatch(record.text)
            host = _host_at(inventory, match[1], match[2]) if match else None
            if match and host is not None and host.name != one.log.host:
                named.setdefault(host.name, {})[match[3]] = None
    more = {}
    for host in inventory.hosts:
        before = wanted.get(host.name, {})
        if told.get(host.name) is not None and told[host.name].error is not None:
            continue
        known = {*before.get("message_ids", ()), *before.get("queue_ids", ())}
        here = _ids_in(told[host.name].log) if host.name in told else set()
        queue_ids = tuple(named.get(host.name, ()))
        if any(each not in known and each not in here for each in (*everybody, *queue_ids)):
            both = dict.fromkeys((*before.get("queue_ids", ()), *queue_ids))
            more[host.name] = {
                "message_ids": list(dict.fromkeys((*before.get("message_ids", ()), *everybody)))[:_MOST_IDS],
                "queue_ids": list(both)[:_MOST_IDS],
            }
    return more


def _ids_in(log: HostLog) -> set[str]:
    """Of a Message-ID that a host has told, it has told all."""
    found: set[str] = set()
    for record in log.records:
        match = _CLEANUP.fullmatch(record.text)
        found.update((record.text.partition(":")[0], *([match[1]] if match else ())))
    return found


def _host_at(inventory: Inventory, name: str, address: str) -> Host | None:
    return next(
        (host for host in inventory.hosts if address in addresses(host)),
        next((host for host in inventory.hosts if name == host.fqdn), None),
    )


def asked_on(
    inventory: Inventory,
    wanted: Wanted,
    *,
    start: Start,
    emit: Emit = lambda event: None,
    stop: threading.Event | None = None,
) -> dict[str, Told]:
    """What all rounds together told, in the order of the inventory."""
    told: dict[str, Told] = {}
    asked: dict[str, Mapping[str, Any]] = {}
    now: Wanted = wanted
    for _round in range(_ROUNDS):
        if not now or (stop is not None and stop.is_set()):
            break
        asked.update(now)
        for name, one in read_logs(inventory, now, start=start, emit=emit, stop=stop).items():
            told[name] = _both(told[name], one) if name in told else one
        now = follow_on(inventory, told, asked)
    return {host.name: told[host.name] for host in inventory.hosts if host.name in told}


def _both(before: Told, after: Told) -> Told:
    """A later round asks for more than the one before; it may meet a host that does not answer any more."""
    if after.error is not None:
        return Told(_with_gaps(before.log, after.log.gaps), before.reach, before.sources, before.more)
    known: Collection[Record] = set(after.log.records)
    # What an earlier round found by addresses and has no id: a refusal.
    records = (*(each for each in before.log.records if each not in known), *after.log.records)
    log = HostLog(
        after.log.host, after.log.fqdn, after.log.addresses, records, after.log.offset,
        tuple(dict.fromkeys((*before.log.gaps, *after.log.gaps))),
    )  # fmt: skip
    return Told(
        log, after.reach, tuple(dict.fromkeys((*before.sources, *after.sources))), before.more or after.more
    )


def _with_gaps(log: HostLog, gaps: tuple[str, ...]) -> HostLog:
    return HostLog(log.host, log.fqdn, log.addresses, log.records, log.offset, (*log.gaps, *gaps))
