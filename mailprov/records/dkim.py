"""DKIM records: the public keys of the hosts that send a domain's mail (RFC 6376 section 3.6). Pure.

    by_domain(keys)                     what hosts told, as `records` takes it
    records(name, domain, keys, ttl)    for a domain, or for a domain alias of it
    kept(inventory, keys)               test of a record name: it may be of a host whose keys are not known now

A host that cannot be asked, or is not part of a run, still signs with its keys: their records must not be taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mailprov.model.dkim import PublicKeys, of_host, record_name
from mailprov.model.inventory import Domain, Inventory
from mailprov.model.records import Record

_TO_BE_MADE = "(made by the apply)"


def by_domain(keys: PublicKeys) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(host, domain) → (selector, text of the record) of each key."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for host, told in keys.items():
        for key, text in told.items():
            domain, _, selector = key.rpartition(".")
            found.setdefault((host, domain), []).append((selector, text))
    return found


def records(
    name: str, domain: Domain, keys: dict[tuple[str, str], list[tuple[str, str]]], ttl: int
) -> Iterator[Record]:
    """One for each key that a host of the domain told of. What a plan shows of a key is the same before it is made."""
    for host in domain.hosts:
        for selector, text in keys.get((host, domain.name), ()):
            kind = "ed25519" if "-ed25519-" in selector else "rsa"
            why = f"DKIM: the key with which {host} signs mail of {name}"
            value = text or f"v=DKIM1; k={kind}; p={_TO_BE_MADE}"
            yield Record(record_name(name, selector), "TXT", value, ttl, why)


def kept(inventory: Inventory, keys: PublicKeys) -> Callable[[str], bool]:
    """Of a name at which mailprov has written and nothing is desired now."""
    unknown = [host.name for host in inventory.hosts if host.name not in keys]
    served = {
        f"_domainkey.{name}"
        for domain in inventory.domains
        if set(domain.hosts) & set(unknown)
        for name in (domain.name, *domain.domain_aliases)
    }

    def test(name: str) -> bool:
        return name.partition(".")[2] in served and any(of_host(name, host) for host in unknown)

    return test
