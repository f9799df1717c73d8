"""All records of a message of which some are known: from where it came in until it has left the queue.

    together(hits)               what lies so far apart that the log between is better not read
    part(source, keys, hits)     Found: all of the messages of these hits
    learn(record, …)             takes a record, and those before it whose ids it tells

All that was logged about then is read at first, without a pattern: of most messages these are few records, and one
start of journalctl. Where it is not enough, ids are searched for, again as long as new ones appear. Raises AgentError.
"""

from __future__ import annotations

from collections import deque
from typing import Callable, Deque, Iterator, List, Optional, Set, Tuple

from mailprov.agent.maillog.found import Found, Keys, Source
from mailprov.agent.maillog.ids import Ids
from mailprov.agent.maillog.records import Record

_AHEAD = 1.0  # seconds in which most messages come in before their Message-ID or delivery is logged
_NEAR = 500  # records of everybody; to search costs less than to read more
_MOST_READINGS = 8  # a chain of messages of which each was made of the one before
_AFTER = 10  # seconds in which Dovecot's record can come behind Postfix's: it goes by a process of its own
_APART = 60  # seconds

Hit = Tuple[str, Record]  # a queue id or "", and a record that has it


def together(hits: List[Hit]) -> Iterator[List[Hit]]:
    """What lies so far apart that the log between is better not read. Whose record is whose, ids alone decide."""
    some: List[Hit] = []
    for hit in sorted(hits, key=lambda each: each[1].received):
        if some and hit[1].received - some[-1][1].received > _APART * 1e6:
            yield some
            some = []
        some.append(hit)
    if some:
        yield some


def part(source: Source, keys: Keys, some: List[Hit]) -> Found:
    made = Found(Ids(keys.message_ids))
    made.ids.queue_ids.update(own for own, _record in some if own)
    _whole(source, some[0][1], some[-1][1], made)
    return made


def _whole(source: Source, first: Record, last: Record, found: Found) -> None:
    """All records of the messages known by now, from where the first of them came in."""
    near = _near(source.near(first.received / 1e6 - _AHEAD), first, last, found)
    looked: Set[str] = set()
    for reading in range(_MOST_READINGS):
        began = _beginning(source, first, found, looked) if near is None else first
        if began is first and (near is not None or reading):
            break
        first = began
        near = _near(source.near(cursor=first.place[-1]), first, last, found)
    if near is False:
        _searched(source, first, last, found)


def _near(records: Iterator[Record], first: Record, last: Record, found: Found) -> Optional[bool]:
    """Whether everybody's records are enough, as far as they go. None: it came in before, or they end before it."""
    ids = found.ids
    ids.read_again()
    others: Deque[Record] = deque()
    end = last.received / 1e6 + _AFTER
    try:
        for number, record in enumerate(records):
            if number >= _NEAR:
                return False if record.received > first.received else None
            learn(record, others, found)
            at = record.received / 1e6
            if not ids.queue_ids and at > end:  # Dovecot alone tells of it
                break
            if record.received >= last.received and ids.seen() and not ids.open():
                if not ids.awaited() or at > end:
                    break
            elif ids.open():
                end = max(end, at + _AFTER)
    finally:
        records.close()  # type: ignore[attr-defined]
    return None if ids.without_beginning() else True


def _beginning(source: Source, first: Record, found: Found, looked: Set[str]) -> Record:
    """The first record of those that are known, or else `first`. `looked`: ids whose beginning is not there."""
    ids = found.ids
    while ids.without_beginning() - looked:
        sought = "|".join(sorted(ids.without_beginning() - looked))
        began = source.before(rf"^(?:{sought}): (?:client|uid)=", first)
        if began is None or not found.keep(began):
            looked |= ids.without_beginning()
        else:
            first = began
    return first


def _searched(source: Source, first: Record, last: Record, found: Found) -> None:
    """Where Dovecot alone tells of it, because the message came from a server elsewhere, there is no end in the log."""
    ids = found.ids
    until = 0.0 if ids.queue_ids else last.received / 1e6 + _AFTER
    known: object = None
    looked: Set[str] = set()
    for _reading in range(_MOST_READINGS):
        if ids.sought() == known:
            return
        known = ids.sought()
        first = _beginning(source, first, found, looked)
        ids.read_again()
        end = _read_on(
            source.read(ids.pattern(), cursor=first.place[-1], until=until), found, lambda: not ids.open()
        )
        if end is not None and ids.sought() == known and ids.awaited():
            late = source.read(ids.pattern(), cursor=end.place[-1], until=end.received / 1e6 + _AFTER)
            _read_on(late, found, lambda: not ids.awaited())


def _read_on(records: Iterator[Record], found: Found, enough: Callable[[], bool]) -> Optional[Record]:
    """The record with which it is enough; None where the log ended before."""
    try:
        for record in records:
            if found.keep(record) and found.ids.seen() and enough():
                return record
        return None
    finally:
        records.close()  # type: ignore[attr-defined]


def learn(record: Record, waiting: Deque[Record], found: Found) -> None:
    """Also of those before it whose ids were not known yet, as long as that makes more known."""
    known = found.ids.count()
    if not found.keep(record):
        waiting.append(record)
    while found.ids.count() != known:
        known = found.ids.count()
        for _each in range(len(waiting)):
            other = waiting.popleft()
            if not found.keep(other):
                waiting.append(other)
