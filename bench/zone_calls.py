"""What planning and writing zones costs with each driver of DNS: calls to the provider, questions to the name server.

    measure(folder) -> lines     of Markdown

BIND and PowerDNS are real, on loopback ports; the others are the stand-ins of the tests, with the pages and limits of
the providers. An inventory with one domain, with ten zones, with 100 domains in one zone, and with one domain in a zone
with many other records (50,000 on the real servers, 5,000 on the stand-ins: calls that read page by page grow with
them): each is planned, written, and planned again without changes. The classes of octoDNS are left out: what each of
them calls is its own affair. A call waits for the one before
it; questions to a name server travel together (zones.py counts their rounds). Each domain has MX, SPF, DMARC and one
DKIM key. Such numbers do not depend on the machine.
Raises BenchFailed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

from bench.measure import BenchFailed
from mailprov import dns
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Dmarc, Domain, Host, Inventory, SshSettings, Tls
from tests.unit.dns import api_server, wires
from tests.unit.dns.api_backends import ApiBackend
from tests.unit.dns.between import Between, listening
from tests.unit.dns.drivers import PowerDnsApi, Updates
from tests.unit.dns.servers import KINDS, serving

OTHERS = 50_000
OTHERS_OF_STAND_INS = 5_000
TEN = tuple(f"zone{number}.test" for number in range(10))
LARGE = "large.test"
INVENTORIES = {
    "one domain": ("mx1.one.test", ("one.test",)),
    "ten zones": ("mx1.zone0.test", TEN),
    "100 domains in one zone": ("mx1.many.test", tuple(f"d{number}.many.test" for number in range(100))),
    "one domain in a large zone": (f"mx1.{LARGE}", (LARGE,)),
}
EMPTY = ("one.test", *TEN, "many.test")
_KEY = "v=DKIM1; k=ed25519; p=" + "A" * 44
Counts = tuple[int, int, int]  # plan, write, plan again


def measure(folder: Path) -> list[str]:
    lines = [
        "Calls to the provider, or questions to the name server, by driver (phase `zones`): of a plan, of writing it, "
        f"of a plan without changes. A large zone has {OTHERS:,} records on real servers (rfc2136, powerdns), and "
        f"{OTHERS_OF_STAND_INS:,} elsewhere:",
        "",
        f"| driver | {' | '.join(INVENTORIES)} |",
        f"|---|{'---|' * len(INVENTORIES)}",
    ]
    for name in wires.WIRES:
        if name in ("rfc2136-knot", "rfc2136-powerdns") or name.startswith("octodns"):
            continue  # the former get the same questions as BIND
        here = folder / name
        here.mkdir(parents=True)
        with _wire(name, here) as wire:
            cells = [" / ".join(f"{one:,}" for one in _counted(wire, label)) for label in INVENTORIES]
        lines.append(f"| {name.removesuffix('-bind')} | {' | '.join(cells)} |")
    return [*lines, ""]


@contextmanager
def _wire(name: str, folder: Path) -> Iterator[wires.Wire]:
    """Of the driver, with the zones."""
    if name in ("rfc2136-bind", "powerdns"):
        kind = name.removeprefix("rfc2136-")
        if missing := KINDS[kind].missing():
            raise BenchFailed(f"bench: zones: {missing}")
        large = "".join(f"h{number} A 192.0.2.1\n" for number in range(OTHERS))
        with serving(kind, folder, {**dict.fromkeys(EMPTY, ""), LARGE: large}) as server:
            if kind == "bind":
                between = Between(server.port)
                with listening(between) as port:
                    yield wires.UpdatesWire(Updates(server), between, port)
            else:
                through = wires.Through(server.api())
                with api_server.serving(through):
                    yield wires.PowerDnsWire(PowerDnsApi(server), through, [])
        return
    with wires.WIRES[name](folder) as wire:
        for zone in (*EMPTY, LARGE):
            _made(wire, zone)
        wire.fill(LARGE, range(OTHERS_OF_STAND_INS))
        yield wire


def _made(wire: wires.Wire, zone: str) -> None:
    if isinstance(wire.backend, ApiBackend):
        wire.backend.api.add(zone)
        wire.backend.api.published()
    else:
        assert isinstance(wire, wires.Route53Wire | wires.HetznerWire)
        wire.server.add(zone)


def _counted(wire: wires.Wire, label: str) -> Counts:
    fqdn, names = INVENTORIES[label]
    inventory = _inventory(fqdn, names, wire.settings())
    plan = partial(dns.plan, inventory, False, {"mx1": {f"{name}.mx1-ed25519-1": _KEY for name in names}})
    at = [wire.asked()]
    plans = plan()
    at.append(wire.asked())
    for one in plans:
        dns.apply(one, lambda event: None)
    at.append(wire.asked())
    if any(one.changes for one in plan()):
        raise BenchFailed(f"bench: {label}: the second plan has changes")
    at.append(wire.asked())
    first, second, third = (after - before for before, after in pairwise(at))
    return first, second, third


def _inventory(fqdn: str, names: tuple[str, ...], settings: DnsSettings) -> Inventory:
    host = Host("mx1", "192.0.2.1", fqdn, SshSettings(), Tls(), ("192.0.2.1",))
    domains = tuple(Domain(name, ("mx1",), dmarc=Dmarc("quarantine", None)) for name in names)
    return dataclasses.replace(Inventory("bench", (host,), domains), dns=settings)
