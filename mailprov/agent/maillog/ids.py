"""Which records belong to a message: by what servers say of each other, never by time.

    Ids(message_ids, queue_ids)     what is known of one or more messages on this host
    ids.take(record) -> bool        whether the record is of one of them; learns the ids that it names
    ids.pattern() -> str            finds all such records, and some others: for Python and for PCRE
    ids.open() -> {queue id}        in the queue as far as records tell
    ids.read_again()                before the same records come once more
    ids.without_beginning() -> {queue id}
    ids.awaited() -> bool           Dovecot has taken a message, and its own record of that has not come
    envelope(sender, recipient)     what a search by addresses looks for: a Pattern and what a record says of them

Postfix names a message by its queue id at the beginning of each record; its cleanup(8) names the Message-ID. Where a
message becomes another on the same host, a record names both ids: a bounce, a copy that local(8) forwards, a message
that comes back from a content filter on a loopback address. What a remote server answers ("queued as") is no id here.
Dovecot's reply to LMTP has the session id that its own records have. Rspamd's record has queue id and Message-ID.

A Message-ID is the sender's text: it finds records, and a queue id beside it in a record of cleanup(8) is Postfix's.
Raises nothing.
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, Iterator, Match, NamedTuple, Optional, Set, Tuple

from mailprov.agent.maillog.records import Record, service

MOST_IDS = 500  # of each kind: a Message-ID that a thousand messages have tells nothing

# postconf(5), enable_long_queue_ids: hexadecimal ones, and those of base 52 (no vowels).
QUEUE_ID = r"(?:[0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,24})"
_HEAD = re.compile(rf"(?:(?:warning|error|fatal): )?({QUEUE_ID}): ")
_MESSAGE_ID = re.compile(r"(?:resent-)?message-id=(.*)")
# bounce(8) says what it made.
_NOTIFICATION = re.compile(rf"[a-z -]+ notification: ({QUEUE_ID})$")
# A delivery: relay and reply. An address with a bracket in it could look like the rest of the line.
_SENT = re.compile(r"to=<[^<>]*>, (?:orig_to=<[^<>]*>, )?relay=([^,]*), [^(]*status=sent \((.*)\)$")
_FORWARDED = re.compile(rf"forwarded as ({QUEUE_ID})$")
_QUEUED = re.compile(rf"250 .*queued as ({QUEUE_ID})$")
_LOOPBACK = re.compile(r"[^\[]*\[(?:127\.[0-9.]+|::1)\]:\d+")
_HERE = re.compile(r"[^\[]*\[(?:private/[^\]]*|/[^\]]*)\]|" + _LOOPBACK.pattern)
# RFC 2033: one reply for each recipient. Dovecot's ends with its session's id.
_SESSION = re.compile(r"250 2\.0\.0 <[^>]*> ([A-Za-z0-9+/:]{8,60}) Saved$")
_ORIGINAL = re.compile(rf"client=[^ ]*\[(?:127\.[0-9.]+|::1)\], orig_queue_id=({QUEUE_ID})(?:,|$)")
_LMTP = re.compile(r"lmtp\([^)]*\)(?:<\d+>)?<([^>]*)>: ")
_MSGID = re.compile(r"(?:sieve: )?msgid=")
_RSPAMD = re.compile(rf"rspamd_task_write_log: id: <([^>]*)>, qid: <({QUEUE_ID})>,")
_VERBOSE = "postfix/wire/"  # what `trace --wire` makes the clients say


def queue_id(record: Record) -> str:
    """At the beginning of the record, as Postfix and milters write it; "" without one."""
    found = _HEAD.match(record.text)
    return found[1] if found else ""


class Ids:
    def __init__(self, message_ids: Iterable[str] = (), queue_ids: Iterable[str] = ()) -> None:
        self.message_ids = set(message_ids)
        self.queue_ids = set(queue_ids)
        self._asked = set(queue_ids)
        self.sessions: Set[str] = set()
        self.many = False  # more than MOST_IDS were named
        self._seen: Set[str] = set()  # queue ids
        self._begun: Set[str] = set()
        self._removed: Set[str] = set()
        self._saved: Set[str] = set()  # sessions of which Dovecot has told

    def count(self) -> int:
        return len(self.message_ids) + len(self.queue_ids) + len(self.sessions)

    def sought(self) -> Tuple[int, int, int]:
        """Another one, where there is more to look for. Of a session whose message was told nothing more is sought."""
        return len(self.message_ids), len(self.queue_ids), len(self.sessions - self._saved)

    def open(self) -> Set[str]:
        """Of the ids that were asked for, those of other hosts are never seen here."""
        return self.queue_ids - (self._asked - self._seen) - self._removed

    def read_again(self) -> None:
        """From the beginning: who has left the queue is to be read once more."""
        self._removed.clear()

    def without_beginning(self) -> Set[str]:
        """Of these no record tells how they came in; bounces and copies are made here, where another record says so."""
        return self.queue_ids - (self._asked - self._seen) - self._begun

    def seen(self) -> bool:
        return bool(self._seen)

    def awaited(self) -> bool:
        return bool(self.sessions - self._saved)

    def merge(self, other: "Ids") -> None:
        for mine, theirs in (
            (self.message_ids, other.message_ids),
            (self.queue_ids, other.queue_ids),
            (self.sessions, other.sessions),
        ):
            for each in theirs:
                self._add(mine, each)
        self.many = self.many or other.many

    def pattern(self) -> str:
        """Texts in it are escaped. A queue id stands alone, so that it is not found within a longer word."""
        parts = [re.escape(each) for each in sorted(self.message_ids | self.sessions)]
        if self.queue_ids:
            ids = "|".join(map(re.escape, sorted(self.queue_ids)))
            parts.append(rf"(?<![0-9A-Za-z])(?:{ids})(?![0-9A-Za-z])")
        return "|".join(parts)

    def take(self, record: Record) -> bool:
        name = service(record.ident)
        if name == "dovecot":
            return self._dovecot(record.text)
        if name == "rspamd":
            return self._rspamd(record.text)
        found = _HEAD.match(record.text)
        if found is None or not name:
            return False
        own, rest = found[1], record.text[found.end() :]
        if name == "postfix":
            self._postfix(record.ident, own, rest)
        if own not in self.queue_ids:
            return False
        self._seen.add(own)
        if rest.startswith(("client=", "uid=")):
            self._begun.add(own)
        if rest == "removed" and record.ident.endswith("/qmgr"):
            self._removed.add(own)
        return True

    def _postfix(self, ident: str, own: str, rest: str) -> None:
        if ident.endswith("/cleanup"):
            found = _MESSAGE_ID.match(rest)
            if found and found[1] not in ("", "<>"):
                self._both(own, self.queue_ids, found[1], self.message_ids)
            return
        if ident.endswith("/bounce"):
            self._made(own, _NOTIFICATION.match(rest))
        elif ident.endswith("/smtpd"):
            found = _ORIGINAL.match(rest)
            if found:
                self._both(own, self.queue_ids, found[1], self.queue_ids)
        else:
            sent = _SENT.match(rest)
            if sent:
                self._delivered(ident, own, sent[1], sent[2])

    def _delivered(self, ident: str, own: str, relay: str, reply: str) -> None:
        if ident.endswith("/local") and relay == "local":
            self._made(own, _FORWARDED.match(reply))
        elif ident.endswith("/smtp") and _LOOPBACK.fullmatch(relay):
            found = _QUEUED.match(reply)
            if found:
                self._both(own, self.queue_ids, found[1], self.queue_ids)
        elif ident.endswith("/lmtp") and own in self.queue_ids and _HERE.fullmatch(relay):
            session = _SESSION.match(reply)
            if session:
                self._add(self.sessions, session[1])

    def _made(self, own: str, found: Optional[Match[str]]) -> None:
        """A message that Postfix itself made of another: nobody brought it."""
        if found:
            self._both(own, self.queue_ids, found[1], self.queue_ids)
            self._begun.add(found[1])

    def _dovecot(self, text: str) -> bool:
        found = _LMTP.match(text)
        if found is None:
            return False
        session, rest = found[1], text[found.end() :]
        message = _MSGID.match(rest)
        if message and any(
            rest.startswith((f"{each}: ", f"{each}, "), message.end()) for each in self.message_ids
        ):
            self._add(self.sessions, session)
        if session not in self.sessions:
            return False
        if message:
            self._saved.add(session)
        return True

    def _rspamd(self, text: str) -> bool:
        found = _RSPAMD.match(text)
        return found is not None and (found[2] in self.queue_ids or f"<{found[1]}>" in self.message_ids)

    def _both(self, one: str, ones: Set[str], other: str, others: Set[str]) -> None:
        """Two names of one message: who knows one of them, knows the other."""
        if one in ones:
            self._add(others, other)
        elif other in others:
            self._add(ones, one)

    def _add(self, ids: Set[str], one: str) -> None:
        if one in ids:
            return
        if len(ids) >= MOST_IDS:
            self.many = True
        else:
            ids.add(one)


class Envelope(NamedTuple):
    """`sender` and `recipient` are addresses, "" for any. Letters count alike: domains have no case (RFC 5321 section
    2.4), and a mailbox whose name differs by case alone would be a surprise anyway.
    """

    sender: str
    recipient: str

    def pattern(self) -> str:
        parts = []
        if self.sender:
            parts.append("from=<" + re.escape(self.sender) + ">")
        if self.recipient:
            parts.append("to=<" + re.escape(self.recipient) + ">")
        return "|".join(parts)

    def refusal(self) -> str:
        """Finds what `refused` is asked about, where letters are as they are given."""
        sender, recipient = (re.escape(each) or "[^>]*" for each in self[:2])
        return f"^NOQUEUE: .*; from=<{sender}> to=<{recipient}> proto="

    def says(self, record: Record) -> Tuple[bool, bool]:
        """Whether the record names the sender, and the recipient, each as Postfix writes it."""
        text = record.text.lower()
        found = _ENVELOPE.match(text)
        if found is None:
            return (False, False)
        fields = found[2]
        return (
            bool(self.sender) and fields.startswith(f"from=<{self.sender.lower()}>"),
            bool(self.recipient)
            and (
                fields.startswith(f"to=<{self.recipient.lower()}>")
                or (
                    _ORIG_TO.match(fields, 0) is not None
                    and f", orig_to=<{self.recipient.lower()}>, relay=" in fields
                )
            ),
        )

    def refused(self, record: Record) -> bool:
        """Whether it is a refusal of this very mail by smtpd(8), which had no queue id."""
        found = _REFUSED.search(record.text.lower()) if record.text.startswith("NOQUEUE: ") else None
        return (
            found is not None
            and (not self.sender or found[1] == self.sender.lower())
            and (not self.recipient or found[2] == self.recipient.lower())
        )


_ENVELOPE = re.compile(rf"({QUEUE_ID.lower()}): (?:uid=\d+ |client=\S+ )?((?:from|to)=<.*)", re.IGNORECASE)
_ORIG_TO = re.compile(r"to=<[^>]*>, orig_to=<")
# The last of the line: what stands before it is the client's text, and helo= comes behind.
_REFUSED = re.compile(r"; from=<([^>]*)> to=<([^>]*)> proto=")


def of_envelope(envelope: Envelope, records: Iterable[Record]) -> Iterator[Tuple[str, Record]]:
    """(queue id, the first record of it) of each message of this envelope; ("", record) of each refusal.

    Keeps what it must: the queue ids that have named one of the two, at most _MOST_HALF.
    """
    halves: Dict[str, Tuple[bool, bool, Record]] = {}
    for record in records:
        if envelope.refused(record):
            yield "", record
            continue
        own = queue_id(record)
        if not own:
            continue
        told = envelope.says(record)
        if not any(told):
            continue
        before = halves.get(own, (not envelope.sender, not envelope.recipient, record))
        now = (before[0] or told[0], before[1] or told[1], before[2])
        if own in halves and now[:2] == before[:2]:
            continue
        if all(now[:2]) and not (own in halves and all(before[:2])):
            yield own, now[2]
        halves[own] = now
        if len(halves) > _MOST_HALF:
            halves.pop(next(iter(halves)))


_MOST_HALF = 20_000
