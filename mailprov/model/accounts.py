"""A mailbox and its owner, as the inventory means them. Pure.

`inventory.recipients` makes them and is the only place that does; addresses are `local@domain` in lower case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailprov.model.secret import Secret
from mailprov.model.states import AppPassword, Expiry, State
from mailprov.model.values import dataclass

if TYPE_CHECKING:
    from mailprov.model.shell import Shell


@dataclass(frozen=True)
class Forward:
    """Where an account's mail goes."""

    to: tuple[str, ...]  # addresses
    keep: bool  # also keep a copy in the own mailbox


@dataclass(frozen=True)
class Account:
    """`user@domain` with a mailbox. Exactly one of `password` and `password_hash` is set. Where its user owns the
    password, that is what it begins with, and nobody but the host and the user knows what it is now.
    """

    address: str
    password: Secret | None = None
    password_hash: Secret | None = None  # "{SHA512-CRYPT}$6$…" or another scheme Dovecot knows
    quota: int | None = None  # bytes; None: unlimited
    forward: Forward | None = None
    login: str | None = None  # what it logs in as, where that is not its address: on servers of others alone
    owner: str = "inventory"  # whose the password is: inventory or user
    state: State = State.ACTIVE
    expires: Expiry | None = None
    app_passwords: tuple[AppPassword, ...] = ()
    shell: Shell | None = None  # a system user of its host, for SSH
    probe: bool = False  # for tests: its mailbox may be filled, and mail in it deleted by POP

    @property
    def says_what_it_may(self) -> bool:
        """Whether the inventory says anything of that."""
        return bool(self.state is not State.ACTIVE or self.expires or self.app_passwords)

    def state_at(self, now: float) -> State:
        """`now`: seconds since 1970."""
        over = self.expires is not None and now >= self.expires.at
        return self.state.with_(self.expires.state) if self.expires and over else self.state

    @property
    def may_lose(self) -> tuple[bool, bool]:
        """Whether it cannot log in, and whether it gets no mail: now, or once it has expired."""
        last = self.state.with_(self.expires.state) if self.expires else self.state
        return not last.logs_in, not last.receives

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every password and hash that its host gets."""
        apps = ((app.password, app.password_hash) for app in self.app_passwords)
        every = (self.password, self.password_hash, *(one for pair in apps for one in pair))
        return tuple(one for one in every if one is not None)

    @property
    def login_name(self) -> str:
        return self.login or self.address

    @property
    def local_part(self) -> str:
        return self.address.rpartition("@")[0]

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]
