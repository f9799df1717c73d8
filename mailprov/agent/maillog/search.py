"""Finds all records of the messages that are asked for, in one source of a host, and reads no more than it must.

    Source               what is read: a Journal (journald.py) or LogFiles (log_files.py)
    find(source, keys) -> Found      messages of the past
    follow(source, keys, seconds)    a message that was just sent: reads on until it has left every queue that it was in

The first reading goes through the whole log, or through the time that is asked for, and keeps what has one of the ids.
What those records name (a queue id beside a Message-ID, the session of LMTP) is looked for in a second one, which
begins where the message came in and ends when it has left the queue; again, as long as new ids appear. So a search
costs one reading of the log and a little: bench/RESULTS.md, phase `trace`.

Of what is found at most MOST_RECORDS are kept, all together MOST_OCTETS; nothing else grows with the log. Raises
AgentError.
"""

from __future__ import annotations

from collections import deque
from typing import Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Protocol, Sequence, Set, Tuple

from mailprov.agent.maillog.ids import Envelope, Ids, of_envelope, queue_id
from mailprov.agent.maillog.records import Record, genuine, service

MOST_RECORDS = 5_000
MOST_OCTETS = 4 << 20
MOST_MESSAGES = 100  # that a search by addresses finds
_MOST_READINGS = 8  # a chain of messages of which each was made of the one before
_WAITING = (
    5_000  # records of others that are kept while a message is followed: one may turn out to be its own
)
# Who tells the ids of every message that came into a queue or a mailbox.
_NAMING = ("cleanup", "bounce", "dovecot")
_AFTER = 10  # seconds in which Dovecot's record can come behind Postfix's: it goes by a process of its own
_APART = 60  # seconds


class Keys(NamedTuple):
    """As the job has them; `since` and `until` are seconds, 0 for no limit."""

    message_ids: Tuple[str, ...] = ()
    queue_ids: Tuple[str, ...] = ()
    sender: str = ""
    recipient: str = ""
    since: float = 0
    until: float = 0

    @property
    def by_envelope(self) -> bool:
        return not self.message_ids and not self.queue_ids and bool(self.sender or self.recipient)


class Source(Protocol):
    def read(
        self,
        pattern: str,
        since: float = 0,
        until: float = 0,
        cursor: str = "",
        any_case: bool = False,
        among: Sequence[str] = (),
    ) -> Iterator[Record]: ...

    def before(self, pattern: str, record: Record) -> Optional[Record]: ...

    def follow(self, since: float, seconds: float) -> Iterator[Optional[Record]]: ...


class Found:
    """`forged`: records under a mail service's name that somebody else wrote, by who did; they are not in `records`."""

    def __init__(self, ids: Ids) -> None:
        self.ids = ids
        self.forged: Dict[str, int] = {}
        self.more = False  # not all records, or not all messages, are here
        self._kept: Dict[Tuple[object, ...], Record] = {}
        self._forged: Dict[Tuple[object, ...], str] = {}
        self._octets = 0

    @property
    def records(self) -> List[Record]:
        """In the order in which they were logged: by number where one journal has them all, by time of receipt else."""
        kept = list(self._kept.values())
        if len({record.place[0] for record in kept}) > 1:
            return sorted(kept, key=lambda record: record.received)
        return sorted(kept, key=lambda record: record.place[1])

    def keep(self, record: Record) -> bool:
        """Whether the record counts. What others wrote under a mail service's name is counted apart."""
        if not service(record.ident):
            return False
        if not genuine(record):
            self._not_genuine(record)
            return False
        if not self.ids.take(record):
            return False
        self.add(record)
        return True

    def add(self, record: Record) -> None:
        if record.place in self._kept:
            return
        self._octets += len(record.text)
        if len(self._kept) >= MOST_RECORDS or self._octets > MOST_OCTETS:
            self.more = True
            return
        self._kept[record.place] = record

    def merge(self, other: "Found") -> None:
        self.more = self.more or other.more
        self.ids.merge(other.ids)
        for record in other._kept.values():
            self.add(record)
        for place, who in other._forged.items():
            if place not in self._forged:
                self._forged[place] = who
                self.forged[who] = self.forged.get(who, 0) + 1

    def _not_genuine(self, record: Record) -> None:
        if record.place in self._forged or len(self._forged) > MOST_RECORDS:
            return
        self._forged[record.place] = who = f"uid {record.user}, {record.program or '?'}"
        self.forged[who] = self.forged.get(who, 0) + 1


def find(source: Source, keys: Keys) -> Found:
    found = Found(Ids(keys.message_ids, keys.queue_ids))
    hits = _by_envelope(source, keys, found) if keys.by_envelope else _by_id(source, keys, found)
    for some in _together(hits):
        part = Found(Ids(keys.message_ids))
        part.ids.queue_ids.update(own for own, _record in some if own)
        for _own, record in some:
            part.keep(record)  # what they name is looked for at once
        _whole(source, some[0][1], some[-1][1], part)
        found.merge(part)
    return found


Hit = Tuple[str, Record]  # a queue id or "", and a record that has it


def _together(hits: List[Hit]) -> Iterator[List[Hit]]:
    """What lies so far apart that the log between is better not read. Whose record is whose, ids alone decide."""
    some: List[Hit] = []
    for hit in sorted(hits, key=lambda each: each[1].received):
        if some and hit[1].received - some[-1][1].received > _APART * 1e6:
            yield some
            some = []
        some.append(hit)
    if some:
        yield some


def _by_id(source: Source, keys: Keys, found: Found) -> List[Hit]:
    for among in (_NAMING, ()):
        hits = []
        for record in source.read(found.ids.pattern(), keys.since, keys.until, among=among):
            if found.keep(record):
                hits.append((queue_id(record), record))
                if found.more:
                    break
        if hits:
            return hits
    return []


def _by_envelope(source: Source, keys: Keys, found: Found) -> List[Hit]:
    """Letters as they are given at first: in any case takes half as long again."""
    for any_case in (False, True):
        hits = _of_envelope(source, keys, found, any_case)
        if hits or found.records:
            return hits
    return []


def _of_envelope(source: Source, keys: Keys, found: Found, any_case: bool) -> List[Hit]:
    envelope = Envelope(keys.sender, keys.recipient)
    hits: List[Hit] = []

    def genuine_ones() -> Iterator[Record]:
        for record in source.read(envelope.pattern(), keys.since, keys.until, any_case=any_case):
            if genuine(record):
                yield record
            elif service(record.ident):
                found._not_genuine(record)

    for own, record in of_envelope(envelope, genuine_ones()):
        if not own:
            found.add(record)
        elif len(hits) >= MOST_MESSAGES:
            found.more = True
        else:
            hits.append((own, record))
    return hits


def _whole(source: Source, first: Record, last: Record, found: Found) -> None:
    """All records of the messages known by now, from where the first of them came in.

    Where Dovecot alone tells of it, because the message came from a server elsewhere, there is no end in the log.
    """
    ids = found.ids
    until = 0.0 if ids.queue_ids else last.received / 1e6 + _AFTER
    known: object = None
    looked: Set[str] = set()
    for _reading in range(_MOST_READINGS):
        if ids.sought() == known:
            return
        known = ids.sought()
        while ids.without_beginning() - looked:
            sought = "|".join(sorted(ids.without_beginning() - looked))
            began = source.before(rf"^(?:{sought}): (?:client|uid)=", first)
            if began is None or not found.keep(began):
                looked |= ids.without_beginning()
            else:
                first = began
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


def follow(source: Source, keys: Keys, seconds: float) -> Found:
    found = Found(Ids(keys.message_ids))
    found.ids.queue_ids.update(
        keys.queue_ids
    )  # of this host: each is waited for, until it has been seen to leave
    ids = found.ids
    waiting: Deque[Record] = deque(maxlen=_WAITING)
    records = source.follow(keys.since, seconds)
    try:
        for record in records:
            if record is None:
                continue
            known = ids.count()
            if not found.keep(record):
                waiting.append(record)
            while ids.count() != known:
                known = ids.count()
                _again(waiting, found)
            if ids.seen() and not ids.open() and not ids.awaited():
                break
    finally:
        records.close()  # type: ignore[attr-defined]
    return found


def _again(waiting: Deque[Record], found: Found) -> None:
    for _each in range(len(waiting)):
        record = waiting.popleft()
        if not found.keep(record):
            waiting.append(record)


def out_of_order(records: Sequence[Record]) -> int:
    """How many records are older than one before them by more than a second: the clock was set, or they came late."""
    latest, count = 0, 0
    for record in records:
        count += record.t < latest - 1_000_000
        latest = max(latest, record.t)
    return count
