"""A domain that moves between own hosts and a provider: how far it is, and what that means for both sides. Pure.

    Step, Moving                    one state of a move; `text` is what stands in the zone, `read(text)` its inverse
    record_name(domain)             where it stands there, a TXT
    order(to), following(moving), turned(moving)    the steps

The inventory says both sides of such a domain (`hosts` and `hosted`), the zone how far the move is. There all machines
that work with the inventory read the same, it changes in one write with the records that it is about, and a rollback of
these takes it back with them. After a move there is no such record, and where the MX lead says where the mail is.

To a provider: TTLS, BOTH, MX, AWAY. To own hosts: TTLS, BOTH, MX; hosts that do not serve the domain any more are no
step there.
"""

from __future__ import annotations

import calendar
import re
import time
from enum import Enum

from mailprov.model.values import dataclass

HOSTS = "hosts"
LOW_TTL = 300  # seconds, of the domain's records during a move
_FORM = re.compile(
    r"v=mailprov-move1; to=(?P<to>[a-z0-9-]{1,40}); step=(?P<step>[a-z]{1,10}); "
    r"since=(?P<since>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z); ttl=(?P<ttl>[0-9]{1,10})"
)


class Step(str, Enum):
    TTLS = "ttls"  # the domain's records have a low TTL
    BOTH = "both"  # SPF and DKIM are those of both sides
    MX = "mx"  # mail goes to the new side; the old one still takes what arrives there
    AWAY = "away"  # hosts do not take mail of the domain any more; its users still reach their old mailboxes


@dataclass(frozen=True)
class Moving:
    """`to`: HOSTS or the provider's name. `since`: when the step was planned, unix seconds. `ttl`: how long caches may
    keep what it replaced, in seconds.
    """

    to: str
    step: Step
    since: int
    ttl: int

    @property
    def text(self) -> str:
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.since))
        return f"v=mailprov-move1; to={self.to}; step={self.step.value}; since={since}; ttl={self.ttl}"

    @property
    def mail_at_hosts(self) -> bool:
        """Where the MX lead."""
        return (self.to == HOSTS) == (self.step in (Step.MX, Step.AWAY))

    @property
    def both_send(self) -> bool:
        return self.step is not Step.TTLS

    @property
    def hosts_take_mail(self) -> bool:
        """Whether the hosts put mail for the domain into their mailboxes. If not, they send it on to its MX, and what
        still arrives from outside is put off, so that its sender looks the MX up again.
        """
        return self.step is Step.MX if self.to == HOSTS else self.step is not Step.AWAY


def record_name(domain: str) -> str:
    return f"_mailprov-move.{domain}"


def read(text: str) -> Moving | None:
    """None for something else."""
    found = _FORM.fullmatch(text)
    try:
        since = calendar.timegm(time.strptime(found["since"], "%Y-%m-%dT%H:%M:%SZ")) if found else 0
        return Moving(found["to"], Step(found["step"]), since, int(found["ttl"])) if found else None
    except ValueError:
        return None


def order(to: str) -> tuple[Step, ...]:
    return (Step.TTLS, Step.BOTH, Step.MX) if to == HOSTS else tuple(Step)


def following(moving: Moving) -> Step | None:
    """The step behind this one; None: the last one, after which the old side's records go."""
    steps = order(moving.to)
    number = steps.index(moving.step) + 1
    return steps[number] if number < len(steps) else None


def turned(moving: Moving) -> Step | None:
    """The next step on the way back to where the mail came from; None: the old records, all at once, since nothing but
    their TTLs was changed.
    """
    if moving.step is Step.TTLS:
        return None
    other = "" if moving.to == HOSTS else HOSTS
    return order(other)[-1] if moving.step is Step.BOTH else Step.MX
