"""What Postfix logs of a message, line by line: every line that begins with a queue id, and what it says.

    line(record) -> Line | None
    Arrival, Named, Queued, Delivery, Report, Refusal, Note, Removed      what a line may say (Line.says)

Forms: smtpd(8), cleanup(8), qmgr(8), smtp(8), lmtp(8), local(8), virtual(8), error(8), bounce(8), postsuper(1), and the
programs' sources where these do not say. Addresses are logged quoted (info_log_address_format), so what ends one is
known. Everything here was said by strangers: no text of a record is trusted to end where it seems to. Pure.
"""

from __future__ import annotations

import re

from mailprov.model.trace import Delays
from mailprov.model.values import dataclass
from mailprov.trace.observed import Record

# Short ids are hexadecimal, long ones have digits of base 52, without vowels (postconf(5), enable_long_queue_ids).
QUEUE_ID = r"(?:[0-9A-F]{5,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20})"
_BEGINS = re.compile(rf"({QUEUE_ID}): (.*)", re.DOTALL)
_ADDRESS = r'<((?:"(?:[^"\\]|\\.)*"|[^"<>])*)>'
_DELIVERY = re.compile(
    rf"to={_ADDRESS}, (?:orig_to={_ADDRESS}, )?relay=([^,]*), (?:conn_use=\d+, )?delay=([\d.]+), "
    # Postfix 3.11 has `tls=may` before dsn=.
    r"delays=([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+), (?:[a-z_]+=[^,=<>]*, )*?dsn=([245]\.\d+\.\d+), "
    r"status=([a-z-]+)(?: \((.*)\))?",
    re.DOTALL,
)
_QUEUED_AS = re.compile(rf"250 .*queued as <?({QUEUE_ID})>?", re.DOTALL)
_RELAY = re.compile(r"(.*)\[([^\]]*)\](?::(\d+))?")
_CLIENT = re.compile(r"client=([^\[,]*)\[([^\]]*)\](.*)", re.DOTALL)
_LOGIN = re.compile(r", sasl_username=([^,]*)(?:,|$)")
_QUEUED = re.compile(rf"from={_ADDRESS}, size=(\d+), nrcpt=(\d+) \(queue ([a-z]+)\)")
_EXPIRED = re.compile(rf"from={_ADDRESS}, status=(expired|force-expired), returned to sender")
_REPORT = re.compile(rf"(sender|postmaster) (non-delivery|delivery status|delay) notification: ({QUEUE_ID})")
_MILTER = re.compile(r"milter-(reject|hold|discard|quarantine): (.*)", re.DOTALL)
_CHECK = re.compile(r"(reject|discard|hold|redirect|filter|warn|info): (.*)", re.DOTALL)


@dataclass(frozen=True)
class Arrival:
    """Where it came from: the client of a connection, or a user of the host (`uid`), by sendmail(1)."""

    name: str = ""
    address: str = ""
    login: str = ""
    uid: int | None = None


@dataclass(frozen=True)
class Named:
    message_id: str


@dataclass(frozen=True)
class Queued:
    sender: str
    size: int
    recipients: int


@dataclass(frozen=True)
class Delivery:
    """`relay` is the other side's name, `address` and `port` where it was; a socket's path is an address, too."""

    recipient: str
    original: str  # "" where Postfix does not say
    relay: str
    address: str
    port: int
    seconds: float
    delays: Delays
    dsn: str
    status: str  # sent, deferred, bounced, expired, deliverable, undeliverable
    text: str
    queued_as: str  # the id that the other side gave it

    @property
    def stored(self) -> bool:
        """By Postfix itself: local(8), virtual(8)."""
        return self.status == "sent" and self.text.startswith(
            ("delivered to mailbox", "delivered to maildir")
        )


@dataclass(frozen=True)
class Report:
    """A message about this one was written; `queue_id` is its own."""

    kind: str  # non-delivery, delivery status, delay
    queue_id: str


@dataclass(frozen=True)
class Refusal:
    """By a milter or a table: reject, hold, discard, quarantine."""

    what: str
    text: str
    milter: bool


@dataclass(frozen=True)
class Removed:
    by_hand: bool = False


@dataclass(frozen=True)
class Note:
    """Anything else: held, released, requeued, expired, a warning."""

    what: str  # hold, release, requeue, expired, other


Says = Arrival | Named | Queued | Delivery | Report | Refusal | Removed | Note


@dataclass(frozen=True)
class Line:
    """`program` is the daemon, `service` the name that master.cf gives it besides: postfix/SERVICE/PROGRAM."""

    record: Record
    queue_id: str
    service: str
    program: str
    says: Says


def line(record: Record) -> Line | None:
    """None for what is no line about one message."""
    parts = record.ident.split("/")
    begins = _BEGINS.fullmatch(record.text)
    if parts[0] != "postfix" or begins is None:
        return None
    program = parts[-1] if len(parts) > 1 else ""
    service = "/".join(parts[1:-1])
    return Line(record, begins[1], service, program, _says(program, begins[2]))


def _says(program: str, text: str) -> Says:
    if program in ("smtpd", "qmqpd") and (found := _CLIENT.fullmatch(text)):
        login = _LOGIN.search(found[3])
        return Arrival(found[1], found[2], login[1] if login else "")
    if program == "pickup" and (found := re.match(r"uid=(\d+) from=", text)):
        return Arrival(uid=int(found[1]))
    if program in ("cleanup", "pickup") and text.startswith("message-id="):
        return Named(text.removeprefix("message-id="))
    if program in ("qmgr", "nqmgr"):
        if found := _QUEUED.fullmatch(text):
            return Queued(found[1], int(found[2]), int(found[3]))
        if text == "removed":
            return Removed()
        if _EXPIRED.fullmatch(text):
            return Note("expired")
    if program == "cleanup" and text == "removed (canceled)":
        return Removed()
    if program == "postsuper":
        return _by_hand(text)
    if program in ("bounce", "defer", "trace") and (found := _REPORT.fullmatch(text)):
        return Report(found[2], found[3])
    if program in ("smtpd", "cleanup"):
        if found := _MILTER.match(text):
            return Refusal(found[1], found[2], True)
        if found := _CHECK.match(text):
            return Refusal(found[1], found[2], False)
    if found := _DELIVERY.fullmatch(text):
        return _delivery(found)
    return Note("other")


def _by_hand(text: str) -> Says:
    if text == "removed":
        return Removed(by_hand=True)
    words = {"placed on hold": "hold", "released from hold": "release", "requeued": "requeue"}
    return Note(next((what for words_, what in words.items() if text.startswith(words_)), "other"))


def _delivery(found: re.Match[str]) -> Delivery:
    relay = _RELAY.fullmatch(found[3])
    name, address, port = (relay[1], relay[2], int(relay[3] or 0)) if relay else (found[3], "", 0)
    text = found[11] or ""
    queued = _QUEUED_AS.fullmatch(text) if found[10] == "sent" else None
    a, b, c, d = (float(found[number]) for number in range(5, 9))
    return Delivery(
        found[1],
        found[2] or "",
        name,
        address,
        port,
        float(found[4]),
        Delays(a, b, c, d),
        found[9],
        found[10],
        text,
        queued[1] if queued else "",
    )
