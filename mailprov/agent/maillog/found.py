"""What is searched for in a host's log, in what, and what was found.

    Keys      as the job has them
    Source    what is read: a Journal (journald.py) or LogFiles (log_files.py)
    Found     records, and the ids that they name

Of what is found at most MOST_RECORDS are kept, all together MOST_OCTETS; nothing else grows with the log. Raises
nothing.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Protocol, Sequence, Tuple

from mailprov.agent.maillog.ids import Ids
from mailprov.agent.maillog.records import Record, genuine, service

MOST_RECORDS = 5_000
MOST_OCTETS = 4 << 20
MOST_MESSAGES = 100  # that a search by addresses finds


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
        but: Sequence[str] = (),
    ) -> Iterator[Record]: ...

    def near(self, since: float = 0, cursor: str = "") -> Iterator[Record]: ...

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
            self.not_genuine(record)
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

    def not_genuine(self, record: Record) -> None:
        if record.place in self._forged or len(self._forged) > MOST_RECORDS:
            return
        self._forged[record.place] = who = f"uid {record.user}, {record.program or '?'}"
        self.forged[who] = self.forged.get(who, 0) + 1
