"""Finds all records of the messages that are asked for, in one source of a host, and reads no more than it must.

    find(source, keys) -> Found      messages of the past
    follow(source, keys, seconds)    a message that was just sent: reads on until it has left every queue that it was in

The first reading goes through the whole log, or through the time that is asked for, by the programs that can have
written what is sought, and keeps what has one of the ids. Then all that was logged about then is read, until the
message has left the queue: few records on most hosts. Where it stayed for long, or many others went by, what those
records name (a queue id beside a Message-ID, the session of LMTP) is searched for, from where it came in; again, as
long as new ids appear. So a search costs no more than one reading of the log and a little: bench/RESULTS.md, phase
`trace`.

How the own part of a message is read is in whole.py, and how it is found by addresses in addresses.py. Raises
AgentError.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, List, Sequence

from mailprov.agent.maillog.addresses import by_addresses
from mailprov.agent.maillog.found import Found, Keys, Source
from mailprov.agent.maillog.ids import Ids, queue_id
from mailprov.agent.maillog.records import Record
from mailprov.agent.maillog.whole import Hit, learn, part, together

_WAITING = (
    5_000  # records of others that are kept while a message is followed: one may turn out to be its own
)
# Who tells the ids of every message that came into a queue or a mailbox.
_NAMING = ("cleanup", "bounce", "dovecot")


def find(source: Source, keys: Keys) -> Found:
    if keys.by_envelope:
        return by_addresses(source, keys)
    found = Found(Ids(keys.message_ids, keys.queue_ids))
    for some in together(_by_id(source, keys, found)):
        found.merge(part(source, keys, some))
    return found


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
            learn(record, waiting, found)
            if ids.seen() and not ids.open() and not ids.awaited():
                break
    finally:
        records.close()  # type: ignore[attr-defined]
    return found


def out_of_order(records: Sequence[Record]) -> int:
    """How many records are older than one before them by more than a second: the clock was set, or they came late."""
    latest, count = 0, 0
    for record in records:
        count += record.t < latest - 1_000_000
        latest = max(latest, record.t)
    return count
