"""What an account with a shell may do on its host, as the inventory means it. Pure."""

from __future__ import annotations

from mailprov.model.values import dataclass

DEFAULT_QUOTA = 500 << 20


@dataclass(frozen=True)
class Shell:
    """`keys` as in authorized_keys(5), without options."""

    user: str  # the system user's name
    password: bool = True  # the mailbox's password is good for SSH, too
    keys: tuple[str, ...] = ()
    restricted: bool = False  # a menu in place of a shell
    home_quota: int = DEFAULT_QUOTA  # bytes in the home and wherever else the user writes; 0: no limit
