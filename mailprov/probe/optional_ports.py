"""Ports that a server need not have: where nothing answers on one, nothing is looked at there, and nothing is wrong.

    find(run, hosts, ports)     (address, port) → why nobody takes a connection; only where that is no fault

ManageSieve is one everywhere, and so are those that the profile says. A server that no inventory describes may also do
without a port whose like it has: one of 587 and 465 is enough to hand mail in, and one of 993, 995, 143 and 110 to read
it; where nobody is to log in, as nobody's password is known, it may be there to take mail alone. A port that only one
of its addresses has is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mailprov.model.inventory import Host
from mailprov.model.ports import SIEVE_PORT, Port
from mailprov.probe.accounts import known
from mailprov.probe.clients.connection import unanswered
from mailprov.probe.context import Run
from mailprov.probe.targets import has_route

_ALIKE = ((587, 465), (993, 995, 143, 110))
_LOOKERS = 48


def find(run: Run, hosts: Sequence[Host], ports: Sequence[Port]) -> dict[tuple[str, int], str]:
    asked = [
        port
        for port in ports
        if port == SIEVE_PORT or port.number in run.bar.optional or (not run.described and port.number != 25)
    ]
    places = [
        (address, port.number)
        for port in asked
        for host in hosts
        if host.offers(port)
        for address in run.addresses[host.name]
        if has_route(run, address)
    ]

    def look(place: tuple[str, int]) -> str:
        return unanswered(place[0], run.port_map.get(place, place[1]), run.timing.connect, run.way)

    with ThreadPoolExecutor(_LOOKERS) as pool:
        seen = dict(zip(places, pool.map(look, places), strict=True))
    found: dict[tuple[str, int], str] = {}
    for host in hosts:
        own = {place: why for place, why in seen.items() if place[0] in run.addresses[host.name]}
        logins = any(known(domain) for domain in run.inventory.domains_on(host.name))
        needless = _needless(own, logins, run.bar.optional)
        found |= {place: why for place, why in own.items() if why and place[1] in needless}
    return found


def _needless(seen: Mapping[tuple[str, int], str], logins: bool, optional: Sequence[int]) -> set[int]:
    numbers = {number for _, number in seen}
    gone = {each for each in numbers if all(why for (_, number), why in seen.items() if number == each)}
    found = {SIEVE_PORT.number, *gone.intersection(optional)}
    for alike in _ALIKE:
        here = numbers.intersection(alike)
        if here - gone or not logins:
            found |= here & gone
    return found
