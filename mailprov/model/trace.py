"""The way of one message, as `mailprov trace` tells it: steps with their evidence, and what became of each recipient.

A step hangs from the one that it followed (`after`), because a message divides: at an alias, at a list, where it is for
two domains. Steps are joined by what servers say of each other alone (Message-ID, queue id, "queued as"), never by
their times: clocks differ, and two messages of one second are two messages. What is not known stays unknown. Pure.
"""

from __future__ import annotations

from enum import Enum

from mailprov.model.values import dataclass


class Evidence(str, Enum):
    """How a step is known."""

    OBSERVED = "observed"  # by this program itself, at the other end of the connection
    LOGGED = "logged"  # a server's own log line
    RECONSTRUCTED = "reconstructed"  # it follows from other steps, from headers, or from the inventory
    MISSING = "missing"  # it must have happened, and nothing tells of it; `hint` says what would


class Agent(str, Enum):
    """Who acts in a step: a lane of the picture each, in this order."""

    MUA = "mua"  # the mail program that sends: trace itself
    SUBMISSION = "submission"  # the MSA, ports 465 and 587, or sendmail(1)
    QUEUE = "queue"  # Postfix's cleanup and qmgr: the message has a queue id
    DNS = "dns"
    SMTP = "smtp"  # port 25: one MTA to another
    FILTER = "filter"  # milters: Rspamd, OpenDKIM
    ADDRESS = (
        "address"  # an alias, a list, a forwarding account, a domain alias: the recipient becomes another
    )
    LMTP = "lmtp"  # the MTA gives it to the MDA
    MAILBOX = "mailbox"  # the file in the Maildir
    IMAP = "imap"
    POP3 = "pop3"


class Outcome(str, Enum):
    """What became of the message for one recipient."""

    DELIVERED = "delivered"  # in a mailbox
    HANDED_ON = "handed on"  # to a server that is not of the inventory: more is not to be seen from here
    DEFERRED = "deferred"  # a server will try again
    REFUSED = "refused"  # during the SMTP dialogue: it never was in a queue
    BOUNCED = "bounced"  # taken, and returned to the sender
    HELD = "held"  # in the hold queue
    DELETED = "deleted"  # from the queue by an administrator, or discarded
    UNKNOWN = "unknown"  # nothing tells


class Source(str, Enum):
    """Where a line was seen."""

    SENT = "sent"  # this side, in a protocol's dialogue
    RECEIVED = "received"  # the other side
    LOG = "log"
    HEADER = "header"
    FILE = "file"


@dataclass(frozen=True)
class TraceLine:
    source: Source
    text: str  # one line, cleaned (model/cleaning.py); passwords are masked before


@dataclass(frozen=True)
class Delays:
    """Postfix's `delays=a/b/c/d`, seconds (postconf(5), delay_logging_resolution_limit)."""

    before_queue: float  # a: before the queue manager saw it, its reception included
    in_queue: float  # b: until a delivery began
    connecting: float  # c: DNS, TCP, TLS, EHLO
    sending: float  # d


@dataclass(frozen=True)
class Step:
    """`number` counts from 1; `after` is the step that it followed, 0 for the first.

    `host` is a name of the inventory, or the name or address of a server of others; `port` is 0 where there is none.
    `at` is the number of seconds since the start by `clock`, the host whose clock told it ("": this machine's); None:
    not known. `headers` were added here; `recipient` is whom this step is about, where that is one only.
    """

    number: int
    after: int
    agent: Agent
    evidence: Evidence
    text: str  # one sentence, in the user's language: what happened
    host: str = ""
    port: int = 0
    at: float | None = None
    clock: str = ""
    seconds: float | None = None  # how long it took
    queue_id: str = ""
    recipient: str = ""
    delays: Delays | None = None
    lines: tuple[TraceLine, ...] = ()
    headers: tuple[str, ...] = ()
    hint: str = ""  # what to look at, or do, where the evidence is missing


@dataclass(frozen=True)
class Arrival:
    """`recipient` is whom the sender named, `final` where the message came to in the end (after aliases and lists)."""

    recipient: str
    final: str
    outcome: Outcome
    text: str  # one sentence: the answer to "did it arrive?"
    step: int = 0  # that says so
    mailbox: str = ""  # INBOX, Junk
    next: str = ""  # what happens next, or what to look at


@dataclass(frozen=True)
class Clock:
    """How far the clock of `host` is ahead of this machine's, seconds; `known`: measured in this run."""

    host: str
    offset: float
    known: bool = True


@dataclass(frozen=True)
class Trace:
    """`began`: unix seconds by this machine's clock, or by the first host's for a message of the past.

    `gaps`: what could not be looked at (a host without SSH, a log that was rotated), one sentence each.
    `doubts`: what makes the whole less certain: two messages with one Message-ID, records out of order.
    """

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    began: float
    steps: tuple[Step, ...]
    arrivals: tuple[Arrival, ...]
    subject: str = ""
    clocks: tuple[Clock, ...] = ()
    gaps: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
