"""DKIM: the public keys of the hosts that send a domain's mail (RFC 6376 section 3.6). Pure.

A host that cannot be asked, or is not part of a run, still signs with its keys: their records must not be taken away
(`kept`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

from mailprov.i18n import N_, _
from mailprov.model import dkim
from mailprov.model.dkim import PublicKeys, of_host, record_name
from mailprov.model.hosted import Hosted, same_key, tags
from mailprov.model.inventory import Domain, Inventory
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Follows, Need, Own, RecordType, Wishes, names_of
from mailprov.records.types.cname import CNAME

# In place of a key that is made later: the same in every language, for saved plans are compared by it.
TO_BE_MADE = "(made by the apply)"


class Dkim(RecordType):
    name = N_("DKIM key")
    need = Need.REQUIRED
    follows = Follows.SENDERS
    why = N_("with it receivers check who signed a message")
    otherwise = N_("or give the domain another dkim.selector")
    key = N_("domains.DOMAIN.dkim: algorithms, and what selectors begin with")
    formats = (CNAME,)
    places = tuple(
        (kind, re.compile(rf"[a-z0-9-]{{1,63}}\._domainkey\.{PLAIN}")) for kind in ("TXT", "CNAME")
    )

    def of_name(self, name: str, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        """One for each key that a host of the domain reported. What a plan shows of a key is the same before it is
        made.
        """
        for host in domain.hosts:
            for selector, text in wishes.reported.get((host, domain.name), ()):
                kind = "ed25519" if "-ed25519-" in selector else "rsa"
                why = _("DKIM: the key with which {host} signs mail of {domain}").format(
                    host=host, domain=name
                )
                value = text or f"v=DKIM1; k={kind}; p={TO_BE_MADE}"
                yield Record(record_name(name, selector), "TXT", value, wishes.ttl, why)

    def of_hosted(self, there: Hosted, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        why = _("DKIM: the key with which {provider} signs mail of {name}").format(
            provider=_(there.provider.title), name=domain.name
        )
        for key in there.dkim:
            yield Record(record_name(domain.name, key.selector), key.type, key.value, wishes.ttl, why)

    def serves(self, wanted: Collection[str], stands: Collection[str]) -> bool:
        if len(wanted) != 1 or len(stands) != 1:
            return False
        (one,), (other,) = wanted, stands
        key = tags(one).get("p")
        return same_key(one, other) or (key is not None and tags(other).get("p") == key)

    def alone(self, name: str, kind: str, value: str) -> bool:
        # Whatever it says: a verifier may take any of the texts there for the key (RFC 6376 section 3.6.2.2).
        return kind in ("TXT", "CNAME") and name.partition(".")[2].startswith("_domainkey.")

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        first, __, rest = name.partition(".")
        if kind != "TXT" or not rest.startswith("_domainkey."):
            return False
        whose = dkim.owner(first, own.everybody)
        mine = not whose or whose in own.hosts
        return mine and rest.partition(".")[2] in own.domains and not dkim.flaw(first, value)


def kept(inventory: Inventory, keys: PublicKeys) -> Callable[[str], bool]:
    """Of a name at which mailprov has written and nothing is desired now."""
    unknown = [host.name for host in inventory.hosts if host.name not in keys]
    served = {
        f"_domainkey.{name}"
        for domain in inventory.domains
        if set(domain.hosts) & set(unknown)
        for name in names_of(domain)
    }

    def test(name: str) -> bool:
        return name.partition(".")[2] in served and any(of_host(name, host) for host in unknown)

    return test


DKIM = Dkim()
