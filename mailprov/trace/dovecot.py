"""What Dovecot logs of a message that Postfix gave it over LMTP, in 2.3 and 2.4.

    session(reply) -> str            the LMTP session of Postfix's line: 250 2.0.0 <address> SESSION Saved
    Stored                           what became of it in that session
    stored(records, session) -> Stored

    lmtp(USER)<PID><SESSION>: sieve: msgid=<…>: stored mail into mailbox 'Junk'
    lmtp(USER)<PID><SESSION>: msgid=<…>: saved mail to INBOX
    lmtp(USER)<PID><SESSION>: sieve: msgid=<…>: forwarded to <address>
    imap-login: Login: user=<USER>, … session=<…>          2.4: Logged in:
The session's name is Dovecot's own and at a fixed place, before anything that a stranger wrote. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailprov.model.values import dataclass
from mailprov.trace.observed import Record

_SESSION = r"[A-Za-z0-9+/=:_-]{8,60}"
_REPLY = re.compile(rf"250 2\.[0-9]\.[0-9] .* ({_SESSION})(?::T\d+:[^ ]*)? Saved", re.DOTALL)
_LINE = re.compile(rf"lmtp\(([^)]*)\)<\d+><({_SESSION})(?::[^>]*)?>: (.*)", re.DOTALL)
_INTO = re.compile(r".*: stored mail into mailbox '((?:[^'\\]|\\.)*)'", re.DOTALL)
_SAVED = re.compile(r".*: saved mail to ([^ ]+)", re.DOTALL)
_SENT_ON = re.compile(r".*: (?:redirect action: )?forwarded to <([^<>]*)>.*", re.DOTALL)


@dataclass(frozen=True)
class Stored:
    """`folder`: "" where the log does not say. `sent_on`: addresses to which the user's filter sent it."""

    records: tuple[Record, ...] = ()
    folder: str = ""
    sent_on: tuple[str, ...] = ()


def session(reply: str) -> str:
    found = _REPLY.fullmatch(reply)
    return found[1] if found else ""


def stored(records: Iterable[Record], name: str) -> Stored:
    lines: list[Record] = []
    folder = ""
    sent_on: list[str] = []
    for record in records:
        found = _LINE.fullmatch(record.text) if record.ident == "dovecot" else None
        if found is None or found[2] != name or not name:
            continue
        lines.append(record)
        if match := _INTO.fullmatch(found[3]) or _SAVED.fullmatch(found[3]):
            folder = match[1]
        elif match := _SENT_ON.fullmatch(found[3]):
            sent_on.append(match[1])
    return Stored(tuple(lines), folder, tuple(sent_on))
