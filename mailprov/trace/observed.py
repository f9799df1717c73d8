"""What a trace is made of: what this program saw itself, and what hosts said of it.

    Record, HostLog        lines of a host's logs
    Dialogue               the SMTP session in which the message was handed over
    Visit                  a session with the recipient's mailbox, by IMAP or POP
    Look                   the message's file, as a host found it
    Question               what DNS answers to one question
    Heard                  what one server and the next said, as the first one's client logged it (--wire)
    Seen                   all of it, about one message

`at` is in seconds since the start (`Seen.began`) by this machine's clock. Texts are of strangers: who makes a line of a
Trace of them cleans it (model/cleaning.py). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from mailprov.model.inventory import Inventory
from mailprov.model.trace import TraceLine
from mailprov.model.values import dataclass, field


@dataclass(frozen=True)
class Record:
    """One record of a log. `t`: microseconds since 1970 by the host's clock; `source`: journal, or a file's path."""

    host: str
    t: int
    ident: str  # postfix/smtpd, dovecot, rspamd
    pid: int
    text: str
    source: str = "journal"


@dataclass(frozen=True)
class HostLog:
    """What a host told. `addresses`: every one that leads to it; `offset`: seconds that its clock is ahead of ours.

    `fqdn` is its name in the inventory, which stands in the Received lines that it writes.
    """

    host: str
    fqdn: str
    addresses: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    offset: float | None = None  # None: not measured
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dialogue:
    """One SMTP session of ours. `taken` and `refused` are about RCPT TO; `queue_id`: from the reply to the message.

    `code` and `reply` are the last answer, to `command`. `error`: why it came to no answer.
    """

    host: str
    port: int
    at: float
    seconds: float
    lines: tuple[TraceLine, ...] = ()
    login: str = ""  # as whom; "": as a stranger
    tls: str = ""  # version and cipher; "": in the clear
    taken: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()  # recipient, reply
    command: str = ""
    code: int = 0
    reply: str = ""
    queue_id: str = ""
    error: str = ""


@dataclass(frozen=True)
class Visit:
    """A look into `account`'s mailbox. `folder`: where the message was, "" if it was not there.

    `headers`: those of the message, unfolded, from the top. `removed`: it is gone from there now, by us.
    """

    host: str
    port: int
    protocol: str  # imap, pop3
    account: str
    at: float
    seconds: float
    lines: tuple[TraceLine, ...] = ()
    tls: str = ""
    folder: str = ""
    headers: tuple[str, ...] = ()
    removed: bool = False
    error: str = ""


@dataclass(frozen=True)
class Look:
    """The file of the message in `account`'s mailbox on `host`. `t`: when it got there, microseconds by its clock.

    `headers`: its lines, unfolded, from the top, where they were asked for.
    """

    host: str
    account: str
    path: str
    folder: str
    size: int
    t: int
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """What DNS answers. `values` as model.records writes them; `answer` is the code: NOERROR, NXDOMAIN.

    `observed`: the host `host` asked its own resolver; else this machine asked, as the host would.
    """

    host: str
    name: str
    type: str
    server: str
    values: tuple[str, ...] = ()
    answer: str = "NOERROR"
    ttl: int = 0
    observed: bool = False
    at: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Heard:
    """One delivery, as the client on `host` logged it. `agent`: smtp or lmtp; `peer`: the server, with its address and
    port; `recipients`: whom the delivery was for.
    """

    host: str
    agent: str
    queue_id: str
    peer: str
    recipients: tuple[str, ...]
    lines: tuple[TraceLine, ...]


@dataclass(frozen=True)
class Seen:
    """Everything about one message. `began`: unix seconds. `settings`: host → names and values of its Postfix."""

    inventory: Inventory
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    began: float
    subject: str = ""
    size: int = 0  # bytes of the message, as it was written
    dialogue: Dialogue | None = None
    logs: tuple[HostLog, ...] = ()
    visits: tuple[Visit, ...] = ()
    looks: tuple[Look, ...] = ()
    questions: tuple[Question, ...] = ()
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    kept: bool = False  # the message stays where it is
    gaps: tuple[str, ...] = ()
