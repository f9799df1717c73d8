"""One key of the inventory that the file's top and each host may have: what it may hold, and what that means."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from mailprov.model.values import dataclass

if TYPE_CHECKING:
    from mailprov.model.inventory import Host, Inventory
    from mailprov.schema.context import Context
    from mailprov.schema.document import KeyPath

V = TypeVar("V")


class Rehearsal(Protocol):
    """What a lab has in place of the world outside."""

    @property
    def inventory(self) -> Inventory:
        """The one that is rehearsed."""

    @property
    def ca_file(self) -> str:
        """A file with the roots of its hosts' certificates."""

    def password(self, address: str) -> Any:
        """A reference to the password that an account has there."""


@dataclass(frozen=True)
class Setting(Generic[V]):
    """A key that stands at the top of the file, for all hosts, or at one host, where it wins.

    `resolve(entry, path, base, context)` gives the value that `entry`, which stands at `path`, means where `base` is in
    force; what is wrong goes to `context.problem`. A key that nobody wrote is never resolved.
    """

    key: str
    kind: Any  # what may be written: a class of schema.entry.Entry, or an annotated scalar
    about: str  # for the reference and for editors
    resolve: Callable[[Any, KeyPath, V, Context], V]
    default: V  # of a host of which neither the file nor its own entry says anything
    if_missing: str = ""  # the same, as the reference tells it: "none if not given"
    wins: str = ""  # "wins as a whole", "wins key by key"
    written: str | int | None = None  # the default as it would be written, where that is one word
    # Where several components and other packages read the value it is a field of model.inventory.Host; else it is its
    # component's own, in Host.settings.
    field: str = ""
    sets_up: bool = (
        False  # it says what mailprov does on a host, so it has no place at one with `managed: false`
    )
    # The same as a lab's inventory says it, in plain data; None: not at all, and so where this is not given.
    rehearse: Callable[[V, Rehearsal], Any] | None = None
    unmanaged: V | None = None  # the default of such a host, where that is another one

    def of(self, host: Host) -> V:
        """What is in force on this host."""
        value: V = getattr(host, self.field) if self.field else host.settings.get(self.key, self.default)
        return value

    def on(self, host: Host, value: V) -> Host:
        """The same host with another value."""
        if self.field:
            changed: dict[str, Any] = {self.field: value}
            return dataclasses.replace(host, **changed)
        return dataclasses.replace(host, settings={**host.settings, self.key: value})
