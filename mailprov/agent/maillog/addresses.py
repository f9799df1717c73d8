"""Messages of a sender or a recipient, or of both, in a host's log.

    by_addresses(source, keys) -> Found

What came to the recipient is found first, by the programs that log deliveries, and refusals by smtpd(8) beside that;
then who sent each, where they are few. Else both addresses are searched for, in all records. Raises AgentError.
"""

from __future__ import annotations

import threading
from enum import Enum
from itertools import islice
from typing import Callable, Iterator, List, Optional

from mailprov.agent.maillog.found import MOST_MESSAGES, MOST_RECORDS, Found, Keys, Source
from mailprov.agent.maillog.ids import Envelope, Ids, of_envelope, queue_id
from mailprov.agent.maillog.records import Record, genuine, service
from mailprov.agent.maillog.whole import Hit, part, together

# Programs that log no delivery; and those that log who sent a message.
_NO_DELIVERY = (
    "smtpd", "cleanup", "qmgr", "pickup", "bounce", "master", "anvil", "scache", "tlsmgr", "trivial-rewrite",
    "postscreen", "dnsblog", "verify", "postfix-script", "dovecot", "rspamd", "opendkim",
)  # fmt: skip
_SENDING = ("qmgr", "pickup")
_FEW = (
    4  # times at which a recipient got something: more, and who sent it is searched for in the same reading
)


def by_addresses(source: Source, keys: Keys) -> Found:
    found = Found(Ids())
    side = _by_one_side(source, keys, found)
    if side is not _Side.FOUND:
        hits = _by_envelope(source, keys, found, any_case_alone=side is _Side.NOTHING)
        for some in together(hits):
            found.merge(part(source, keys, some))
    return found


class _Side(Enum):
    FOUND, NOTHING, TOO_MANY = range(3)


def _by_one_side(source: Source, keys: Keys, found: Found) -> _Side:
    """By the programs that log the recipient, or the sender where he alone is known; letters as they are given."""
    whole = Envelope(keys.sender, keys.recipient)
    both = bool(keys.sender and keys.recipient)
    side = Envelope("" if keys.recipient else keys.sender, keys.recipient)
    among, but = ((), _NO_DELIVERY) if keys.recipient else (_SENDING, ())
    records = source.read(side.pattern(), keys.since, keys.until, among=among, but=but)
    refusals = _Aside(lambda: _refusals(source, keys, whole))
    hits: List[Hit] = []
    many = False
    for own, record in of_envelope(side, _genuine_ones(records, found)):
        if own and len(hits) < MOST_MESSAGES:
            hits.append((own, record))
        elif own:
            found.more = found.more or not both
        many = both and len(list(together(hits))) > _FEW
        if many:
            break
    for record in refusals.told():
        _keep_refusal(record, found)
    if many:
        return _Side.TOO_MANY
    for some in together(hits):
        own_part = part(source, keys, some)
        if both:
            senders = {queue_id(record) for record in own_part.records if whole.says(record)[0]}
            meant = [hit for hit in some if hit[0] in senders]
            if not meant:
                continue
            if len(meant) < len(some):
                own_part = part(source, keys, meant)
        found.merge(own_part)
    return _Side.FOUND if found.records else _Side.NOTHING


def _refusals(source: Source, keys: Keys, envelope: Envelope) -> List[Record]:
    records = source.read(envelope.refusal(), keys.since, keys.until, among=("smtpd",))
    try:
        return list(islice((each for each in records if envelope.refused(each)), MOST_RECORDS))
    finally:
        records.close()  # type: ignore[attr-defined]


def _keep_refusal(record: Record, found: Found) -> None:
    if genuine(record):
        found.add(record)
    elif service(record.ident):
        found.not_genuine(record)


class _Aside:
    """What takes its time in journalctl, beside what is read meanwhile. Its errors are raised by `told`."""

    def __init__(self, work: Callable[[], List[Record]]) -> None:
        self._work, self._made = work, []  # type: Callable[[], List[Record]], List[Record]
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def told(self) -> List[Record]:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._made

    def _run(self) -> None:
        try:
            self._made = self._work()
        except BaseException as error:
            self._error = error


def _by_envelope(source: Source, keys: Keys, found: Found, any_case_alone: bool) -> List[Hit]:
    """Letters as they are given at first: in any case takes half as long again."""
    for any_case in (True,) if any_case_alone else (False, True):
        hits = _of_envelope(source, keys, found, any_case)
        if hits or found.records:
            return hits
    return []


def _of_envelope(source: Source, keys: Keys, found: Found, any_case: bool) -> List[Hit]:
    envelope = Envelope(keys.sender, keys.recipient)
    hits: List[Hit] = []
    records = source.read(envelope.pattern(), keys.since, keys.until, any_case=any_case)
    for own, record in of_envelope(envelope, _genuine_ones(records, found)):
        if not own:
            found.add(record)
        elif len(hits) >= MOST_MESSAGES:
            found.more = True
        else:
            hits.append((own, record))
    return hits


def _genuine_ones(records: Iterator[Record], found: Found) -> Iterator[Record]:
    try:
        for record in records:
            if genuine(record):
                yield record
            elif service(record.ident):
                found.not_genuine(record)
    finally:
        records.close()  # type: ignore[attr-defined]
