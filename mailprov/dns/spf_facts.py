"""What there is to know about others' SPF records before terms of ours are added to them. Reads only.

    gather(driver, inventory, desired, snapshots, resolver) -> Facts

What their records include is asked for, as deep as it goes: of the provider that has the zones, in rounds, and where it
has not, of the resolver of this machine, within SECONDS for all of it. What nobody says in that time is not known, and
the plan says so. Nothing is asked where nothing has to be added. Raises what the driver raises.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mailprov.dns import foreign_spf, spf_merge
from mailprov.dns.driver import Driver
from mailprov.dns.foreign_spf import Facts
from mailprov.dns.rrsets import Snapshot
from mailprov.model.inventory import Inventory
from mailprov.model.records import Record
from mailprov.records import types
from mailprov.records.spf_text import is_spf

if TYPE_CHECKING:
    import dns.resolver

SECONDS = 5.0
_AT_ONCE = 32  # questions to the resolver
# What can be asked for at all (RFC 1035 section 3.1); the rest has no record.
_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")


def gather(
    driver: Driver,
    inventory: Inventory,
    desired: Sequence[Record],
    snapshots: Mapping[str, Snapshot],
    resolver: dns.resolver.Resolver | None = None,
) -> Facts:
    """`snapshots`: what stands, by zone. `resolver`: that of this machine, if it is not given."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for record in desired:
        wanted.setdefault((record.name, record.type), []).append(record.value)
    for name, kind in list(wanted):
        if kind in ("A", "AAAA"):
            wanted.setdefault((name, "A"), [])
            wanted.setdefault((name, "AAAA"), [])
    facts = Facts(_senders(inventory), wanted)
    texts = list(_in_need(desired, snapshots, facts))
    known: dict[str, Sequence[str] | None] = {}
    until = time.monotonic() + SECONDS
    while texts:
        names = {name for text in texts for name in spf_merge.to_ask(text, known)}
        if not names:
            break
        known.update(_ask(driver, names, until, resolver))
    return Facts(facts.senders, facts.wanted, known)


def _senders(inventory: Inventory) -> dict[str, tuple[str, ...]]:
    """By name: mail domains, aliases, and names under which hosts forward. None where an address is not known."""
    found: dict[str, tuple[str, ...]] = {}
    hosts = {host.fqdn: host for host in inventory.hosts}
    for domain in inventory.domains:
        for name in (domain.name, *domain.domain_aliases):
            senders = [inventory.host(one) for one in domain.hosts]
            senders += [hosts[name]] if name in hosts else []
            each = [(*host.ipv4, *host.ipv6) for host in senders]
            found[name] = tuple(one for several in each for one in several) if all(each) else ()
    for host in inventory.hosts:
        found.setdefault(inventory.sender_domain(host), (*host.ipv4, *host.ipv6))
    return found


def _in_need(desired: Sequence[Record], snapshots: Mapping[str, Snapshot], facts: Facts) -> Iterator[str]:
    """Records of others to which something would have to be added, as far as can be said before."""
    for record in desired:
        if record.type != "TXT" or not record.asked or not is_spf(record.value):
            continue
        sets = (snapshot.get((record.name, "TXT")) for snapshot in snapshots.values())
        there = [value for rrset in sets if rrset for value in rrset.values if is_spf(value)]
        if len(there) != 1 or there[0] == record.value:
            continue
        if foreign_spf.missing(there[0], record.value, (), record.name, facts):
            yield there[0]


def _ask(
    driver: Driver, names: set[str], until: float, resolver: dns.resolver.Resolver | None
) -> dict[str, Sequence[str] | None]:
    found: dict[str, Sequence[str] | None] = {name: () for name in names if not _NAME.fullmatch(name)}
    told = driver.query([(name, "TXT") for name in sorted(names - found.keys())]).answers
    rest: list[str] = []
    for (name, kind), answer in told.items():
        if answer.authoritative and answer.error is None and not _leads_away(answer.sets):
            rrset = answer.sets.get((name, kind))
            found[name] = rrset.values if rrset else ()
        else:
            rest.append(name)
    return {**found, **_resolved(rest, until, resolver)}


def _leads_away(sets: Snapshot) -> bool:
    return any(kind in ("CNAME", "DNAME") for __, kind in sets)


def _resolved(
    names: Sequence[str], until: float, resolver: dns.resolver.Resolver | None
) -> dict[str, Sequence[str] | None]:
    if not names:
        return {}
    import dns.exception
    import dns.resolver

    def texts(name: str) -> Sequence[str] | None:
        left = until - time.monotonic()
        if left <= 0:
            return None
        try:
            asked = resolver or dns.resolver.Resolver()
            answer = asked.resolve(f"{name}.", "TXT", lifetime=left, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.DNSException, OSError):
            return None
        return [types.parse("TXT", rdata.to_text()) for rdata in answer]

    with ThreadPoolExecutor(min(len(names), _AT_ONCE)) as pool:
        return dict(zip(names, pool.map(texts, names), strict=True))
