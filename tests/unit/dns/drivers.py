"""What each driver is tried on: a provider with zones that somebody else changes as well, and that can be looked at.

    BACKENDS                   name → context manager that gives one; another driver is one more line
    HEAD, ZONES                the zones of test_contract.py

`memory` is a provider made for these tests: a ZoneDriver as those with an API are, that knows no compare-and-swap and
writes set by set. It shows that nothing outside a driver leans on what RFC 2136 can do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import ClassVar

from mailprov.dns import providers
from mailprov.dns.abilities import Abilities
from mailprov.dns.driver import Driver, Outcome, Result, Say, ZoneDriver
from mailprov.dns.provider import Provider
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot, Stored, after
from mailprov.model.dns import DnsSettings, ProviderSettings
from mailprov.model.values import dataclass, field
from mailprov.records import types
from mailprov.schema.context import Context
from mailprov.schema.entry import Entry
from tests.unit.dns.api_backends import STAND_INS, standing_in
from tests.unit.dns.backend import Backend, Zone
from tests.unit.dns.hetzner_backend import hetzner
from tests.unit.dns.octodns_backend import octodns_cloudflare, octodns_powerdns
from tests.unit.dns.route53_backend import route53
from tests.unit.dns.servers import AT_PROVIDERS, serving, sets_of
from tests.unit.dns.updates_backend import PowerDnsApi, Updates


@contextmanager
def _updates(kind: str, folder: Path) -> Iterator[Backend]:
    with serving(kind, folder) as server:
        yield Updates(server)


@contextmanager
def _powerdns_api(folder: Path) -> Iterator[Backend]:
    with serving("powerdns", folder, AT_PROVIDERS) as server:
        yield PowerDnsApi(server)


Stores = dict[str, dict[Key, tuple[int, tuple[str, ...]]]]


@dataclass(frozen=True)
class MemorySettings(ProviderSettings):
    name: ClassVar[str] = "memory"
    publishes: ClassVar[bool] = True

    stores: Stores = field(default_factory=dict, compare=False, repr=False)

    def credential(self) -> str:
        return "a token"


class MemoryDriver(ZoneDriver):
    where = "provider memory"

    def __init__(self, stores: Stores, abilities: Abilities) -> None:
        self._stores, self.abilities = stores, abilities

    def find_zones(self) -> Collection[str]:
        return list(self._stores)

    def read(self, zone: str, keys: Collection[Key]) -> Snapshot:
        return {
            key: RRset(ttl, tuple(Stored(types.parse(key[1], text), text) for text in texts))
            for key, (ttl, texts) in self._stores[zone].items()
            if key != (zone, "NS")
        }

    def write(
        self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], version: RRset | None, say: Say
    ) -> Outcome:
        store = self._stores[zone]
        for number, edit in enumerate(edits, 1):
            key = (edit.name, edit.type)
            # A set is replaced, as by most APIs: what came since is lost. A marker is in two edits (batches.py).
            made = after(snapshot, edits[:number]).get(key)
            store.pop(key, None)
            if made:
                texts = (one.exact or types.render(edit.type, one.value) for one in made.stored)
                store[key] = (made.ttl, tuple(texts))
        return Outcome(Result.DONE)


class Memory(Provider):
    name = MemorySettings.name
    title = "for tests"
    abilities = Abilities(
        atomic=False, compare_and_swap=False, holds_version=False, lists_zones=True, reads_sets=False
    )

    def entry(self) -> type[Entry]:
        return Entry

    def settings(self, entry: Entry, written: Collection[str], context: Context) -> ProviderSettings:
        return MemorySettings()

    def open(self, settings: ProviderSettings) -> Driver:
        assert isinstance(settings, MemorySettings)
        return MemoryDriver(settings.stores, self.abilities)


PROVIDER = Memory()


class InMemory(Backend):
    driver = MemoryDriver

    def __init__(self) -> None:
        self._stores: Stores = {}
        for zone, text in AT_PROVIDERS.items():
            self._stores[zone] = {
                (name, kind): (ttl, values) for name, kind, ttl, values in sets_of(zone, text)
            }

    def settings(self, ttl: int = 300) -> DnsSettings:
        return DnsSettings(MemorySettings(self._stores), ttl)

    def whole(self, zone: str) -> Zone:
        return {
            key: (ttl, frozenset(texts))
            for key, (ttl, texts) in self._stores[zone].items()
            if key[1] not in ("SOA", "NS") and key[0] != f"ns.{zone}"
        }

    def put(self, zone: str, name: str, ttl: int, kind: str, *texts: str) -> None:
        self._stores[zone].pop((name, kind), None)
        if texts:
            self._stores[zone][name, kind] = (ttl, texts)


@contextmanager
def _memory(folder: Path) -> Iterator[Backend]:
    """Its module is this one, for as long as it is there."""
    before, module = providers.NAMES, f"{providers.__name__}.{Memory.name}"
    providers.NAMES = (*before, Memory.name)
    outer = sys.modules.get(module)  # a test may make one while that of its module is there
    sys.modules[module] = sys.modules[__name__]
    try:
        yield InMemory()
    finally:
        providers.NAMES = before
        if outer is None:
            del sys.modules[module]


BACKENDS: dict[str, Callable[[Path], AbstractContextManager[Backend]]] = {
    **{f"rfc2136-{kind}": partial(_updates, kind) for kind in ("bind", "knot", "powerdns")},
    "powerdns": _powerdns_api,
    "memory": _memory,
    "route53": route53,
    "hetzner": hetzner,
    "octodns-powerdns": octodns_powerdns,
    "octodns-cloudflare": octodns_cloudflare,
    **{name: partial(standing_in, name) for name in STAND_INS},
}
