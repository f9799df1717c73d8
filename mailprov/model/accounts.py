"""A mailbox and its owner, as the inventory means them. Pure.

`inventory.recipients` makes them and is the only place that does; addresses are `local@domain` in lower case.
"""

from __future__ import annotations

from mailprov.model.secret import Secret
from mailprov.model.values import dataclass


@dataclass(frozen=True)
class Forward:
    """Where an account's mail goes."""

    to: tuple[str, ...]  # addresses
    keep: bool  # also keep a copy in the own mailbox


@dataclass(frozen=True)
class Account:
    """`user@domain` with a mailbox. Exactly one of `password` and `password_hash` is set."""

    address: str
    password: Secret | None = None
    password_hash: Secret | None = None  # "{SHA512-CRYPT}$6$…" or another scheme Dovecot knows
    quota: int | None = None  # bytes; None: unlimited
    forward: Forward | None = None
    login: str | None = None  # what it logs in as, where that is not its address: on servers of others alone

    @property
    def login_name(self) -> str:
        return self.login or self.address

    @property
    def local_part(self) -> str:
        return self.address.rpartition("@")[0]

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]
