"""What the tests of a driver need of its provider, real or stood in for."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mailprov.dns.driver import Driver
from mailprov.dns.rrsets import Key
from mailprov.model.dns import DnsSettings

Zone = dict[Key, tuple[int, frozenset[str]]]


class Backend(ABC):
    """`driver`: its class, in which faults are put. `cut_at`: octets in the strings of long texts of others."""

    driver: type[Driver]
    redirects = True  # what is below a DNAME
    cut_at = 250

    @abstractmethod
    def settings(self, ttl: int = 300) -> DnsSettings: ...

    @abstractmethod
    def whole(self, zone: str) -> Zone:
        """All that stands there but SOA and NS of the zone itself, as zone file text."""

    @abstractmethod
    def put(self, zone: str, name: str, ttl: int, kind: str, *texts: str) -> None:
        """Somebody else makes this set so; without texts it goes."""

    def make_so(self, zone: str, sets: Zone) -> None:
        """Somebody else makes all of the zone so."""
        for name, kind in self.whole(zone).keys() - sets.keys():
            self.put(zone, name, 0, kind)
        for (name, kind), (ttl, texts) in sets.items():
            self.put(zone, name, ttl, kind, *texts)

    def texts(self, zone: str, name: str, kind: str) -> frozenset[str]:
        return self.whole(zone).get((name, kind), (0, frozenset[str]()))[1]
