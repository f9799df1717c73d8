"""Who may not use our own names: strangers, where this host would vouch for them.

    forwarded(domains, virtual) -> dict      access(5): the addresses whose mail goes on to other hosts
    own_domains_checks(names) -> str       regexp_table(5): senders of our own domains, refused

Mail that goes on leaves under the sender it came with when that is one of ours, because SPF allows this host to use it.
That holds for our users. A stranger who writes our user's address into the envelope would have his mail vouched for at
the next host, SPF and DMARC included. So he is refused: our users log in, and whoever else sends for a domain stands in
no SPF record of it (records/types/spf.py). He is refused there alone. What stays on this host is the filter's to judge,
as mail in our name from outside may be honest: a forwarder elsewhere that keeps senders, a web service of the same
people.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mailprov.components.templates import MANAGED
from mailprov.model.inventory import Domain

# The restriction class of main.cf that strangers' senders go through.
CLASS = "strangers_senders"
_WORDS = "this mail would go on to another host in our name, so log in to send it"


def forwarded(
    domains: Iterable[Domain], virtual: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """`virtual` is where mail for each address goes (addresses.py), and for each name of the operating system. That has
    no domain: it is written to at this host's name, at localhost, and at each of its addresses, so such a name is a row
    for every domain (`root@`), and no form of it is forgotten. A catch-all that leads away stands for every name of its
    domain. What stays here is then named, too: access(5) looks for the whole address first, and for `root@` last.
    """
    names = {name for domain in domains for name in (domain.name, *domain.domain_aliases)}
    known: dict[str, bool] = {}

    def leaves(address: str) -> bool:
        if address.rpartition("@")[2] not in names:
            return "@" in address
        if address not in known:
            known[address] = False  # an address on its own right side is its mailbox
            known[address] = any(leaves(each) for each in virtual.get(address, ()))
        return known[address]

    away = {address: leaves(address) for address in virtual if "@" in address}
    rows: dict[str, tuple[str, ...]] = {
        address.lstrip("@"): (CLASS,) for address, gone in away.items() if gone
    }
    for system in (name for name in virtual if "@" not in name and any(map(leaves, virtual[name]))):
        rows[f"{system}@"] = (CLASS,)
        for address in (f"{system}@{name}" for name in names):
            found = address if address in virtual else f"@{address.rpartition('@')[2]}"
            rows.setdefault(address, (CLASS if leaves(found) else "DUNNO",))
    whole = {address[1:] for address, gone in away.items() if gone and address[0] == "@"}
    stays = (address for address, gone in away.items() if not gone and address[0] != "@")
    rows.update({address: ("DUNNO",) for address in stays if address.rpartition("@")[2] in whole})
    return rows


def own_domains_checks(names: Iterable[str]) -> str:
    """One pattern for each name: a table by domain would take their subdomains, too (parent_domain_matches_subdomains),
    and those are other people's business.
    """
    lines = [
        f"# {MANAGED}",
        "# A sender of our own from a stranger, for an address whose mail goes on to other hosts: it would leave as if",
        "# our user had sent it, and pass SPF and DMARC there. Our users log in on port 587 or 465.",
        *(f"/@{_pattern(name)}$/ REJECT 5.7.1 {name}: {_WORDS}" for name in sorted(set(names))),
    ]
    return "\n".join(lines) + "\n"


def _pattern(name: str) -> str:
    return re.escape(name).replace("\\-", "-")
