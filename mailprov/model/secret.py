"""A value of the inventory that nobody may see by accident, with where it came from.

`Secret.reveal()` is the only way to it. Pure.
"""

from __future__ import annotations

from mailprov.model.values import dataclass, field


@dataclass(frozen=True)
class Secret:
    """A value that must not be seen: repr and str never show it, only `origin`, such as `env:ANA_PASSWORD`."""

    origin: str
    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return f"<secret {self.origin}>"
