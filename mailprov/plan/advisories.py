"""What an inventory may say and its writer may not mean: nothing wrong in the file, and a surprise all the same.

advisories(inventory, domains)   sentences for people, in the file's order; empty for most inventories
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Collection

from mailprov.i18n import _
from mailprov.model.hostnames import inside
from mailprov.model.inventory import Inventory


def advisories(inventory: Inventory, domains: Collection[str] | None = None) -> list[str]:
    """`domains`: only about these."""
    wanted = [domain for domain in inventory.domains if domains is None or domain.name in domains]
    found = [
        _(
            "{domain}: its accounts are on {hosts}, and each host keeps mailboxes of its own: "
            "mail that arrives on {others} while {first} does not answer is not visible to users who "
            "read on {first}; give the domain one host where that is not wanted"
        ).format(
            domain=domain.name,
            hosts=_listed(domain.hosts),
            others=_listed(domain.hosts[1:]),
            first=domain.hosts[0],
        )
        for domain in wanted
        if domain.accounts and len(domain.hosts) > 1
    ]
    found += [
        _(
            "{domain}: no DKIM key of {provider} is in the inventory (`hosted: {{dkim: …}}`), and large receivers want "
            "signed mail; copy what its console shows"
        ).format(domain=domain.name, provider=_(domain.hosted.provider.title))
        for domain in wanted
        if domain.hosted and not domain.hosted.dkim
    ]
    stated = [domain for domain in wanted if any(account.says_what_it_may for account in domain.accounts)]
    if stated:
        from mailprov.plan import states  # few inventories have any

        found += [sentence for domain in stated for sentence in states.advisories(domain, time.time())]
    theirs = [
        host.name
        for host in inventory.hosts
        if not host.managed and (domains is None or any(host.name in domain.hosts for domain in wanted))
    ]
    if theirs:
        found.append(
            _("{hosts}: built by others (`managed: false`), so nothing is changed or asked there").format(
                hosts=_listed(theirs)
            )
        )
    if domains is None:
        found += [
            _(
                "{host}: no domain names this host, so it gets a mail service without mailboxes; put "
                "it into the hosts of a domain, or take it out"
            ).format(host=host.name)
            for host in inventory.hosts
            if host.managed and not inventory.domains_on(host.name)
        ]
        found += [
            _(
                "{host}: its name {fqdn} is a mail domain as well, so mail that it sends on, and its "
                "bounces, leave under {own}; publish the MX and SPF of {own} first (`mailprov dns "
                "export` has them), or other hosts may refuse such mail"
            ).format(host=host.name, fqdn=host.fqdn, own=own)
            for host in inventory.hosts
            if (own := inventory.sender_domain(host)) != host.fqdn
            and not inventory.dns.at(own).provider.publishes
        ]
        found += _unused_zones(inventory)
    return found


def _unused_zones(inventory: Inventory) -> list[str]:
    addresses = (address for host in inventory.hosts for address in (*host.ipv4, *host.ipv6))
    names = {
        *(name for domain in inventory.domains for name in (domain.name, *domain.domain_aliases)),
        *(domain.mail_name for domain in inventory.domains if domain.mail_name),
        *(host.fqdn for host in inventory.hosts),
        *(inventory.sender_domain(host) for host in inventory.hosts),
        *(ipaddress.ip_address(address).reverse_pointer for address in addresses),
    }
    used = {inventory.dns.entry_of(name) for name in names}
    # `_dmarc.example.org` may be a zone of its own, and the names below a domain that have records are many.
    used |= {
        zone
        for zone, __ in inventory.dns.zones
        if zone.startswith("_") and any(inside(zone, n) for n in names)
    }
    return [
        _(
            "{zone} is in `dns.zones`, and no name of the inventory is in that zone; take it out once what mailprov "
            "published there is gone (`mailprov dns plan` says so)"
        ).format(zone=zone)
        for zone, __ in inventory.dns.zones
        if zone not in used
    ]


def _listed(names: Collection[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
