"""Which records an inventory wants. Pure.

    desired_records(inventory, keys) -> list[Record]

Order: hosts as in the inventory (A, AAAA, SPF of the EHLO name; MX and SPF of a name of its own for what it sends on,
where the first is a mail domain), then domains as in the inventory (the addresses of
their mail_name), each followed by its domain aliases (MX by preference, SPF, DMARC, DKIM). No value appears twice.

Each kind of record is one small function that yields; another kind (MTA-STS, …) is one more function here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from mailprov.model.dkim import PublicKeys
from mailprov.model.inventory import Domain, Host, Inventory
from mailprov.model.records import Record
from mailprov.records import dkim, policy


def desired_records(inventory: Inventory, keys: PublicKeys | None = None) -> list[Record]:
    """Every record the inventory wants, with `dns.ttl` and a reason each; deterministic, without
    duplicates. `keys`: what hosts told of their DKIM keys; of other hosts there are no DKIM records here.
    """
    found: dict[tuple[str, str, str], Record] = {}
    for record in _all(inventory, keys or {}):
        found.setdefault((record.name, record.type, record.value), record)
    return list(found.values())


def _all(inventory: Inventory, keys: PublicKeys) -> Iterator[Record]:
    ttl = inventory.dns.ttl
    mail_names = {name for domain in inventory.domains if domain.hosts for name in _names(domain)}
    told = dkim.by_domain(keys)
    helo_names = {host.fqdn for host in inventory.hosts}
    for host in inventory.hosts:
        yield from _addresses(host.fqdn, host, ttl)
        if host.fqdn not in mail_names:
            why = f"SPF of the name {host.name} says in EHLO: mail comes from its own addresses only"
            yield Record(host.fqdn, "TXT", policy.helo_spf(), ttl, why)
        own = inventory.sender_domain(host)
        if own != host.fqdn:
            yield Record(own, "MX", f"10 {host.fqdn}", ttl, f"bounces to what {host.name} sends on go to it")
            why = f"SPF of the name under which {host.name} sends on what others wrote"
            yield Record(own, "TXT", policy.domain_spf([host]), ttl, why)
    for domain in inventory.domains:
        hosts = [inventory.host(name) for name in domain.hosts]
        if not hosts:
            continue  # no host of ours serves it: nothing of it is ours to publish
        if domain.mail_name:
            yield from _addresses(domain.mail_name, hosts[0], ttl)
        for name in _names(domain):
            yield from _mx(name, domain, inventory, ttl)
            yield _spf(name, domain, hosts, name in helo_names, ttl)
            yield from _dmarc(name, domain, mail_names, ttl)
            yield from dkim.records(name, domain, told, ttl)


def _names(domain: Domain) -> tuple[str, ...]:
    return (domain.name, *domain.domain_aliases)


def _addresses(name: str, host: Host, ttl: int) -> Iterator[Record]:
    for kind, addresses in (("A", host.ipv4), ("AAAA", host.ipv6)):
        for address in addresses:
            # One spelling per address (RFC 5952), or a record read back would look different.
            yield Record(name, kind, str(ipaddress.ip_address(address)), ttl, f"address of {host.name}")


def _mx(name: str, domain: Domain, inventory: Inventory, ttl: int) -> Iterator[Record]:
    # RFC 5321 section 5.1: the lowest preference is tried first; steps of ten leave room for others.
    for each in domain.exchangers:
        target = inventory.host(each.host).fqdn if each.ours else each.host
        why = f"mail for {name} goes to {each.host}{'' if each.ours else ', which is not of this inventory'}"
        yield Record(name, "MX", f"{each.preference} {target}", ttl, why)


def _spf(name: str, domain: Domain, hosts: list[Host], is_host: bool, ttl: int) -> Record:
    sent_by = ", ".join(
        [*(host.name for host in hosts), *(f"whom {one} names" for one in domain.spf.include)]
    )
    are_mx = {each.host for each in domain.exchangers} == set(domain.hosts)
    text = policy.domain_spf(hosts, is_host, are_mx=are_mx, others=domain.spf)
    return Record(name, "TXT", text, ttl, f"SPF: mail of {name} is sent by {sent_by}")


def _dmarc(name: str, domain: Domain, mail_names: set[str], ttl: int) -> Iterator[Record]:
    if domain.dmarc is None:
        return
    rua = domain.dmarc.rua
    if rua:
        local, _, at = rua.rpartition("@")
        if at == domain.name and name != at:
            # Every user of a domain has the same name in its domain alias: reports stay in the domain they
            # are about and need no consent of another one.
            rua, at = f"{local}@{name}", name
        if at in mail_names and not _related(name, at):
            # RFC 9990: reports about one domain go to another only where that one consents.
            why = f"DMARC: {at} takes reports about {name}"
            yield Record(f"{name}._report._dmarc.{at}", "TXT", "v=DMARC1", ttl, why)
    why = f"DMARC: what receivers do with mail of {name} that fails SPF and DKIM"
    yield Record(f"_dmarc.{name}", "TXT", policy.dmarc(domain.dmarc.policy, rua), ttl, why)


def _related(one: str, other: str) -> bool:
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")
