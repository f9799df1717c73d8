"""Events of `mailprov queue`: what Postfix still has on hosts, and why. Part of the same stream as model/answers.py.

`queue` is Postfix's own name (qmgr(8)): active, deferred, hold, incoming, maildrop. What people read says `held` for
hold, as a trace does (model/trace.py, Outcome.HELD).

    is_id(text) -> bool     a whole queue id, as agent/mail_queue/ids.py says, which holds once more on the host
"""

from __future__ import annotations

import re

from mailprov.model.values import dataclass

QUEUES = ("deferred", "active", "hold", "incoming", "maildrop")
WORDS = {name: "held" if name == "hold" else name for name in QUEUES}

_BASE_52 = "0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-"  # without vowels, and its last digit, z
_ID = re.compile(rf"[0-9A-F]{{6,24}}|[{_BASE_52}z]{{10}}z[{_BASE_52}y]{{1,16}}")


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True)
class QueuedRecipient:
    address: str
    reason: str  # why it is still in the queue; empty where no delivery was tried yet


@dataclass(frozen=True)
class QueuedMessage:
    """A message in the queue of host `subject`. `sender` is empty for a bounce. `recipients` are at most a thousand of
    all `recipient_count`. `next_try`: unix seconds, not before then; `given_up`: when it goes back to its sender; both
    0 where there is no such time. `instance`: directory of the configuration, if it is not the host's own Postfix.
    """

    subject: str
    queue_id: str
    queue: str
    arrived: int
    size: int
    sender: str
    recipients: tuple[QueuedRecipient, ...]
    recipient_count: int
    next_try: int = 0
    given_up: int = 0
    instance: str = ""


@dataclass(frozen=True)
class QueueReason:
    """`text`: of which ids, addresses and waiting times were left out. `oldest`: when the oldest one arrived."""

    text: str
    messages: int
    recipients: int
    oldest: int


@dataclass(frozen=True)
class QueueState:
    """The numbers of host `subject`: of all messages, or of those that were asked for. Comes after its messages.

    `everything`: how many are in the queue; `told`: of how many there is an event. `other_reasons`: messages with
    reasons rarer than those in `reasons`. `oldest` and `now` are unix seconds by the host's clock. `over`: what is more
    than the limits of the command line, a clause each.
    """

    subject: str
    deferred: int
    active: int
    hold: int
    incoming: int
    maildrop: int
    messages: int
    recipients: int
    bytes: int
    oldest: int
    everything: int
    told: int
    reasons: tuple[QueueReason, ...]
    other_reasons: int
    unreadable: int
    running: bool
    now: float
    over: tuple[str, ...] = ()
