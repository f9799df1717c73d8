"""The life of a message in one queue: all that one host says under one queue id, until the id is free again.

    lives(records) -> (lives, doubts)

A short queue id is used again once its message has gone. So the lines of one id on one host are read in the order of
that host's clock, and cut where a message was removed and another arrived. That is the only place where times count,
and they are of one clock and one id; lines that stand in another order than they must have been written in are told as
a doubt. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from mailprov.i18n import _
from mailprov.model.values import dataclass, replace
from mailprov.trace import postfix
from mailprov.trace.observed import Record
from mailprov.trace.postfix import Arrival, Delivery, Line, Named, Note, Queued, Refusal, Removed, Report

Key = tuple[str, str, int]  # host, queue id, and which message of that id


@dataclass(frozen=True)
class Life:
    host: str
    queue_id: str
    number: int
    lines: tuple[Line, ...]

    @property
    def key(self) -> Key:
        return self.host, self.queue_id, self.number

    @property
    def arrival(self) -> Line | None:
        return next((line for line in self.lines if isinstance(line.says, Arrival)), None)

    @property
    def service(self) -> str:
        """By what it came in: submission, srs, sieve-redirect; "" for port 25."""
        return self.arrival.service if self.arrival is not None else ""

    @property
    def message_ids(self) -> tuple[str, ...]:
        return tuple(line.says.message_id for line in self.lines if isinstance(line.says, Named))

    @property
    def queued(self) -> Queued | None:
        return next((line.says for line in self.lines if isinstance(line.says, Queued)), None)

    @property
    def deliveries(self) -> tuple[tuple[Line, Delivery], ...]:
        return tuple((line, line.says) for line in self.lines if isinstance(line.says, Delivery))

    @property
    def reports(self) -> tuple[tuple[Line, Report], ...]:
        return tuple((line, line.says) for line in self.lines if isinstance(line.says, Report))

    @property
    def refusals(self) -> tuple[tuple[Line, Refusal], ...]:
        return tuple((line, line.says) for line in self.lines if isinstance(line.says, Refusal))

    @property
    def removed(self) -> Line | None:
        return next((line for line in self.lines if isinstance(line.says, Removed)), None)

    @property
    def deleted(self) -> Line | None:
        """By an administrator."""
        return next(
            (line for line in self.lines if isinstance(line.says, Removed) and line.says.by_hand), None
        )

    @property
    def held(self) -> Line | None:
        """On hold now: by a milter, a table or an administrator, and not released since."""
        found: Line | None = None
        for line in self.lines:
            if isinstance(line.says, Refusal) and line.says.what in ("hold", "quarantine"):
                found = line
            elif isinstance(line.says, Note) and line.says.what in ("hold", "release", "requeue"):
                found = line if line.says.what == "hold" else None
        return found

    @property
    def last(self) -> dict[str, tuple[Line, Delivery]]:
        """What was said last of each recipient: one that was put off may have been delivered since, or given up."""
        found = {delivery.recipient: (line, delivery) for line, delivery in self.deliveries}
        if any(isinstance(line.says, Note) and line.says.what == "expired" for line in self.lines):
            for recipient, (line, delivery) in found.items():
                if delivery.status == "deferred":
                    found[recipient] = (line, replace(delivery, status="expired"))
        return found


def lives(records: Iterable[Record]) -> tuple[tuple[Life, ...], tuple[str, ...]]:
    """In the order of hosts' names and queue ids: that of the records does not count. Same records count once."""
    found: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
    for record in sorted(set(records), key=lambda each: (each.host, each.t, each.ident, each.pid, each.text)):
        if (line := postfix.line(record)) is not None:
            found[record.host, line.queue_id].append(line)
    made: list[Life] = []
    doubts: list[str] = []
    for (host, queue_id), lines in sorted(found.items()):
        parts, muddled = _cut(lines)
        made += [Life(host, queue_id, number, tuple(part)) for number, part in enumerate(parts)]
        if muddled:
            text = _("The log of {host} has its lines about {id} in another order than they were written in")
            doubts.append(text.format(host=host, id=queue_id))
    return tuple(made), tuple(doubts)


def _cut(lines: list[Line]) -> tuple[list[list[Line]], bool]:
    """Into one list for each message that had this id; whether a line came after its message's end."""
    parts: list[list[Line]] = [[]]
    muddled = False
    for line in lines:
        here = parts[-1]
        over = any(isinstance(each.says, Removed) for each in here)
        arrives = isinstance(line.says, Arrival)
        again = arrives and any(isinstance(each.says, Arrival) for each in here)
        named = isinstance(line.says, Named) and over
        if again or (over and (arrives or named)):
            parts.append([])
        elif over:
            muddled = True
        parts[-1].append(line)
    return parts, muddled
