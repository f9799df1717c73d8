"""What an account may do: receive mail, log in, both or neither; until when; and passwords for single programs. Pure.

    State            active, no-login, no-receive, suspended
    Expiry           from when on it has another state
    AppPassword      one more password of an account, for some protocols
    APP_PROTOCOLS    what such a password may be for, by the name that the inventory has → the one that Dovecot has
    in_words(at)     "2027-01-01 00:00 UTC"

Times are seconds since 1970, UTC, whole.
"""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING

from mailprov.model.values import dataclass

if TYPE_CHECKING:
    from mailprov.model.secret import Secret

# Submission is Postfix's, which names itself `smtp` to Dovecot; ManageSieve's service is `sieve`.
APP_PROTOCOLS = {"imap": "imap", "pop3": "pop3", "submission": "smtp", "managesieve": "sieve"}


class State(str, Enum):
    ACTIVE = "active"
    NO_LOGIN = "no-login"  # mail arrives, filters and forwards work, nobody logs in
    NO_RECEIVE = "no-receive"  # logs in, reads and sends; mail for it is refused
    SUSPENDED = "suspended"  # both

    @property
    def logs_in(self) -> bool:
        return self in (State.ACTIVE, State.NO_RECEIVE)

    @property
    def receives(self) -> bool:
        return self in (State.ACTIVE, State.NO_LOGIN)

    def with_(self, other: State) -> State:
        """What both allow."""
        login, receive = self.logs_in and other.logs_in, self.receives and other.receives
        if login:
            return State.ACTIVE if receive else State.NO_RECEIVE
        return State.NO_LOGIN if receive else State.SUSPENDED


@dataclass(frozen=True)
class Expiry:
    """From `at` on an account may only do what `state` allows as well."""

    at: int
    state: State = State.SUSPENDED


@dataclass(frozen=True)
class AppPassword:
    """One more password of an account. Exactly one of `password` and `password_hash` is set."""

    name: str
    protocols: tuple[str, ...]  # keys of APP_PROTOCOLS, in its order
    password: Secret | None = None
    password_hash: Secret | None = None
    expires: int | None = None  # from then on it is none

    def holds(self, now: float) -> bool:
        return self.expires is None or now < self.expires


def in_words(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
