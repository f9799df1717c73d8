"""A jump host as people write it, in the inventory's `proxy_jump` and in ssh_config's ProxyJump.

    Jump                       user, address and port; what is not said is None
    parse_jumps(text)          "user@bastion:port,second" in the order from here; "none" is ()

Pure. Raises ValueError whose text says what is wrong, for the middle of a sentence.
"""

from __future__ import annotations

import re

from mailprov.i18n import _
from mailprov.model.values import dataclass

_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@\s]+)@)?"
    r"(?:\[(?P<literal>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^\s@:\[\]/,]+)|(?P<bare>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[^\s@/,]*))"
    r"(?::(?P<port>\d{1,5}))?/?"
)


@dataclass(frozen=True)
class Jump:
    """One hop. `address` is a name of the inventory, of ssh_config, or what a connection goes to."""

    address: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return (f"{self.user}@" if self.user else "") + address + (f":{self.port}" if self.port else "")


def parse_jumps(text: str) -> tuple[Jump, ...]:
    """The hops, the nearest first (ssh_config(5), ProxyJump)."""
    if text.strip().lower() == "none":
        return ()
    return tuple(_parse(part.strip()) for part in text.split(","))


def _parse(part: str) -> Jump:
    found = _HOP.fullmatch(part)
    if found is None or part.startswith("-"):
        raise ValueError(
            _('"{part}" is no jump host; write host, user@host, host:port or [IPv6 address]:port').format(
                part=part
            )
        )
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(_('"{part}" has a port that is not from 1 to 65535').format(part=part))
    return Jump(found["literal"] or found["name"] or found["bare"], found["user"], port)
