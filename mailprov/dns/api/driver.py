"""The base of drivers over HTTP: what went wrong in a write is an Outcome, and zones are listed once.

    ApiDriver          list_zones, read and change are a provider's own
    RecordsDriver      for those that have an id for each record, and write one after the other: make, alter, remove

What a provider's record sets were read as last is what `change` goes by: just before a write guard.py reads all of them
once more, so that this is as new as can be where there is no compare-and-swap.
"""

from __future__ import annotations

import os
import traceback
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from mailprov.dns.abilities import Abilities
from mailprov.dns.api.client import Client
from mailprov.dns.api.records import Item, steps
from mailprov.dns.driver import Outcome, Proof, Reading, Result, Say, ZoneDriver
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot
from mailprov.errors import DnsFailed, DnsUnreachable
from mailprov.i18n import _
from mailprov.records import types


class ApiDriver(ZoneDriver):
    """`zones`: name → what the API calls the zone."""

    def __init__(self, client: Client, abilities: Abilities) -> None:
        self.client, self.abilities, self.where = client, abilities, client.api.where
        self._zones: Mapping[str, str] | None = None
        self._items: dict[tuple[str, Key], list[Item]] = {}

    def close(self) -> None:
        self.client.close()

    @abstractmethod
    def list_zones(self) -> Mapping[str, str]: ...

    @abstractmethod
    def change(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], say: Say) -> bool:
        """False where a set was found changed, and nothing was done. Raises DnsFailed where it was refused,
        DnsUnreachable where it is not known what was done.
        """

    @property
    def zones(self) -> Mapping[str, str]:
        if self._zones is None:
            self._zones = self.list_zones()
        return self._zones

    def find_zones(self) -> Collection[str]:
        return self.zones.keys()

    def query(
        self, keys: Collection[Key] = (), names: Collection[str] = (), proofs: Collection[Proof] = ()
    ) -> Reading:
        with self._sense():
            return super().query(keys, names, proofs)

    @contextmanager
    def _sense(self) -> Iterator[None]:
        """JSON that is not what the API describes is no usable answer, whoever sent it."""
        try:
            yield
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            if os.environ.get("MAILPROV_DEBUG"):
                traceback.print_exception(error)
            server = urlsplit(self.client.api.url).netloc
            raise DnsUnreachable(
                self.where,
                _("its answer is not what its API describes"),
                _("Look whether {server} is the provider's API; if it is, report this").format(server=server),
            ) from None

    def write(
        self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], version: RRset | None, say: Say
    ) -> Outcome:
        try:
            with self._sense():
                done = self.change(zone, snapshot, edits, say)
        except DnsUnreachable as lost:
            return Outcome(Result.UNKNOWN, lost)
        except DnsFailed as lost:
            return Outcome(Result.REFUSED, lost)
        return Outcome(Result.DONE if done else Result.CHANGED)

    def noted(self, zone: str, items: Iterable[Item], keys: Collection[Key]) -> list[Item]:
        """The records that were read, kept for `change`. `keys`: what was asked for, though there may be nothing."""
        found = list(items)
        for key in keys:
            self._items[zone, key] = []
        for one in dict.fromkeys(item.key for item in found):
            self._items[zone, one] = [item for item in found if item.key == one]
        return found

    def standing(self, zone: str, edit: Edit) -> list[Item]:
        return self._items.get((zone, (edit.name, edit.type)), [])


class RecordsDriver(ApiDriver):
    """`about`: what errors name."""

    @abstractmethod
    def make(self, zone: str, edit: Edit, value: str, about: str) -> Item: ...

    @abstractmethod
    def alter(self, zone: str, edit: Edit, item: Item, value: str, about: str) -> None:
        """This record gets this value and the edit's TTL."""

    @abstractmethod
    def remove(self, zone: str, item: Item, about: str) -> None: ...

    def change(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], say: Say) -> bool:
        self.each(zone, edits)
        return True

    def each(self, zone: str, edits: Iterable[Edit]) -> None:
        for edit in edits:
            about = f"{edit.name} {edit.type}"
            standing = self.standing(zone, edit)
            todo = steps(standing, edit)
            for item, value in todo.change:
                self.alter(zone, edit, item, value, about)
            made = [self.make(zone, edit, value, about) for value in todo.make]
            for item in todo.remove:
                self.remove(zone, item, about)
            altered = {item for item, _value in todo.change}
            left = [one for one in standing if one not in altered and one not in todo.remove]
            new = [
                replace(item, text=types.render(edit.type, value), ttl=edit.ttl)
                for item, value in todo.change
            ]
            self._items[zone, (edit.name, edit.type)] = [*left, *new, *made]
