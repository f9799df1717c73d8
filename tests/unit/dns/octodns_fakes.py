"""Providers of octoDNS for test_octodns.py, as somebody might write them: their zones are in a table of ours."""

from __future__ import annotations

from logging import getLogger
from typing import Any, ClassVar

from octodns.provider.base import BaseProvider
from octodns.record import Record
from octodns.source.base import BaseSource

# Zone → (name in the zone, type) → (TTL, values as octoDNS has them)
ZONES: dict[str, dict[tuple[str, str], tuple[int, list[Any]]]] = {}
RAISES: dict[str, Exception] = {}  # method → what it raises
CALLS: list[str] = []


class Fake(BaseProvider):
    SUPPORTS_GEO = False
    SUPPORTS: ClassVar[set[str]] = {"A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"}

    def __init__(self, id: str, token: str, *args: Any, **kwargs: Any) -> None:
        self.log = getLogger(f"Fake[{id}]")
        self.log.warning("made with %s", token)
        super().__init__(id, *args, **kwargs)
        if "init" in RAISES:
            raise RAISES["init"]

    def list_zones(self) -> list[str]:
        if "list_zones" in RAISES:
            raise RAISES["list_zones"]
        return list(ZONES)

    def populate(self, zone: Any, target: bool = False, lenient: bool = False) -> bool:
        CALLS.append("populate")
        if "populate" in RAISES:
            raise RAISES["populate"]
        for (name, kind), (ttl, values) in ZONES.get(zone.name, {}).items():
            data = {"type": kind, "ttl": ttl, "values": values, "value": values[0]}
            zone.add_record(Record.new(zone, name, data, source=self, lenient=True), lenient=True)
        return zone.name in ZONES

    def _apply(self, plan: Any) -> None:
        CALLS.append("apply")
        if "apply" in RAISES:
            raise RAISES["apply"]
        for change in plan.changes:
            self.one(plan.desired.name, change)
        if "applied" in RAISES:
            raise RAISES["applied"]

    def one(self, zone: str, change: Any) -> None:
        record = change.record
        ZONES.setdefault(zone, {}).pop((record.name, record._type), None)
        if change.new is not None:
            values = getattr(record, "values", None) or [record.value]
            ZONES[zone][record.name, record._type] = (record.ttl, list(values))


class WithoutList(Fake):
    list_zones = None  # type: ignore[assignment]


class Whole(Fake):
    """Writes all of a zone, each time."""

    def _apply(self, plan: Any) -> None:
        for record in plan.desired.records:
            CALLS.append(f"wrote {record.fqdn}")


class Few(Fake):
    SUPPORTS: ClassVar[set[str]] = {"A", "TXT"}


class Raising(Fake):
    """A TTL is 600 at least."""

    min_ttl = 600

    def one(self, zone: str, change: Any) -> None:
        if change.new is not None:
            change.new.ttl = max(change.new.ttl, self.min_ttl)
        super().one(zone, change)


class OnlySource(BaseSource):
    pass


NO_CLASS = 5
