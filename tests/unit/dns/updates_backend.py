"""Real name servers as Backends (drivers.py): mailprov writes by updates, or over PowerDNS' HTTP API; others write by
updates.
"""

from __future__ import annotations

from dataclasses import dataclass

import dns.update

from mailprov.dns.providers.powerdns.settings import PowerDnsSettings
from mailprov.model.dns import DnsSettings
from mailprov.model.secret import Secret
from tests.unit.dns.backend import Backend, Zone
from tests.unit.dns.servers import API_KEY, NameServer
from tests.unit.dns.transfer import whole


@dataclass
class Updates(Backend):
    """A real name server that takes updates."""

    server: NameServer

    def __post_init__(self) -> None:
        from mailprov.dns.providers.rfc2136.driver import UpdateDriver

        self.driver = UpdateDriver
        self.redirects = self.server.kind != "powerdns"  # its dname-processing is off unless it is told

    def settings(self, ttl: int = 300) -> DnsSettings:
        return self.server.settings(ttl=ttl)

    def whole(self, zone: str) -> Zone:
        return whole(self.server, zone)

    def put(self, zone: str, name: str, ttl: int, kind: str, *texts: str) -> None:
        def edit(message: dns.update.UpdateMessage) -> None:
            message.delete(f"{name}.", kind)
            for text in texts:
                message.add(f"{name}.", ttl, kind, text)

        self.server.change(zone, edit)

    def fill(self, zone: str, numbers: range) -> None:
        """With addresses of others, a thousand in an update."""
        for start in numbers[::1000]:

            def edit(message: dns.update.UpdateMessage, start: int = start) -> None:
                for number in range(start, min(start + 1000, numbers.stop)):
                    message.add(f"h{number}.{zone}.", 600, "A", "192.0.2.1")

            self.server.change(zone, edit)

    def make_so(self, zone: str, sets: Zone) -> None:
        """By one update."""
        there = self.whole(zone)

        def edit(message: dns.update.UpdateMessage) -> None:
            for name, kind in there.keys() | sets.keys():
                message.delete(f"{name}.", kind)
            for (name, kind), (ttl, texts) in sets.items():
                for text in texts:
                    message.add(f"{name}.", ttl, kind, text)

        self.server.change(zone, edit)


@dataclass
class PowerDnsApi(Updates):
    """The same real name server; mailprov writes over HTTP, others by updates."""

    def __post_init__(self) -> None:
        from mailprov.dns.providers.powerdns.driver import PowerDnsDriver

        self.driver = (
            PowerDnsDriver  # and what is below a DNAME counts as such: it may be switched on any time
        )

    def settings(self, ttl: int = 300) -> DnsSettings:
        token = Secret("env:DNS_TOKEN", API_KEY)
        return DnsSettings(PowerDnsSettings(token, self.server.api()), ttl)
