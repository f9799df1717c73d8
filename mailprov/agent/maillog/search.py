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

from mailprov.agent.maillog.ids import Envelope, Ids, of_envelope
from mailprov.agent.maillog.records import Record, genuine

MOST_RECORDS = 5_000
MOST_OCTETS = 4 << 20
MOST_MESSAGES = 100  # that a search by addresses finds
_MOST_READINGS = 8  # a chain of messages of which each was made of the one before
_WAITING = (
    5_000  # records of others that are kept while a message is followed: one may be its own, as it turns out
)
_AFTER = (
    10  # seconds in which Dovecot's record can come behind that of Postfix: it goes by a process of its own
)


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
        self, pattern: str, since: float = 0, until: float = 0, cursor: str = "", any_case: bool = False
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
        """Whether the record counts. What is not genuine is counted where it would have been taken."""
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

    def _not_genuine(self, record: Record) -> None:
        if record.place in self._forged or len(self._forged) > MOST_RECORDS:
            return
        self._forged[record.place] = who = f"uid {record.user}, {record.program or '?'}"
        self.forged[who] = self.forged.get(who, 0) + 1


def find(source: Source, keys: Keys) -> Found:
    found = Found(Ids(keys.message_ids, keys.queue_ids))
    first = _by_envelope(source, keys, found) if keys.by_envelope else _by_id(source, keys, found)
    if first is not None:
        _whole(source, first, found)
    return found


def _by_id(source: Source, keys: Keys, found: Found) -> Optional[Record]:
    """The first record that has one of the ids."""
    first = None
    for record in source.read(found.ids.pattern(), keys.since, keys.until):
        if found.keep(record) and first is None:
            first = record
    return first


def _by_envelope(source: Source, keys: Keys, found: Found) -> Optional[Record]:
    envelope, first = Envelope(keys.sender, keys.recipient), None

    def genuine_ones() -> Iterator[Record]:
        for record in source.read(envelope.pattern(), keys.since, keys.until, any_case=True):
            if genuine(record):
                yield record
            else:
                found._not_genuine(record)

    for queue_id, record in of_envelope(envelope, genuine_ones()):
        if not queue_id:
            found.add(record)
        elif len(found.ids.queue_ids) >= MOST_MESSAGES:
            found.more = True
        else:
            found.ids.queue_ids.add(queue_id)
            # A recipient's record may come days after the sender's, so the messages do not come in the order of these.
            first = record if first is None or record.received < first.received else first
    return first


def _whole(source: Source, first: Record, found: Found) -> None:
    """All records of the messages known by now, from where the first of them came in."""
    ids = found.ids
    known = -1
    looked: Set[str] = set()
    for _reading in range(_MOST_READINGS):
        if ids.count() == known:
            return
        known = ids.count()
        while ids.without_beginning() - looked:
            sought = "|".join(sorted(ids.without_beginning() - looked))
            began = source.before(rf"^(?:{sought}): (?:client|uid)=", first)
            if began is None or not found.keep(began):
                looked |= ids.without_beginning()
            else:
                first = began
        end = _read_on(source.read(ids.pattern(), cursor=first.place[-1]), found, lambda: not ids.open())
        if end is not None and ids.count() == known and ids.awaited():
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
    found = Found(Ids(keys.message_ids, keys.queue_ids))
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
