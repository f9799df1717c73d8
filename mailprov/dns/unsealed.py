"""What is believed of a before-image without the controller's seal (seal.py): as far as the zone bears it out. Pure.

    doubts(edits, existing, …) -> [name and type of sets]     empty: all of it is believed

Images of 0.1.0 have no seal, and where the server trusts addresses there is no key to seal with. Going back takes
values away and brings others back, and the two are not the same:

- Taken away (or given another TTL) is only what mailprov's markers in this zone know as its own. Nobody else's values
  can be lost, whatever a host says.
- Brought back is only what mailprov itself might write: what the inventory wants now; addresses of the host that tells;
  and for a domain of that host an MX that leads to hosts of the inventory, the texts of SPF and DMARC as records/types
  has them, a DKIM key under a selector that is no other host's. What --take-over replaced is not of these.
- Of somebody else's SPF record only terms of ours are exchanged: those that the markers know go, those that the
  inventory wants come back.
- A marker goes back only to what it still says or what is brought back with it: else the next apply would
  take somebody's records for its own.

An honest image may fail this (a --take-over, an MX to a host that has left). Then that record set is left as it
is, and told; the rest of the zone goes back.
Raises nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mailprov.dns import ownership, undo_terms
from mailprov.dns.ownership import Identity, is_marker
from mailprov.dns.rrsets import Edit
from mailprov.model.inventory import Inventory
from mailprov.model.records import Record
from mailprov.records import desired_records, types
from mailprov.records.spf_text import records
from mailprov.records.types.base import Own


def doubts(
    edits: Iterable[Edit], existing: Iterable[Record], *, hosts: Collection[str], inventory: Inventory
) -> list[str]:
    """`edits` would undo what `hosts` told, in a zone that stands as `existing`, with the markers that know of it."""
    stand: dict[tuple[str, str], set[str]] = {}
    for record in existing:
        stand.setdefault((record.name, record.type), set()).add(record.value)
    names = tuple(name for domain in inventory.domains for name in (domain.name, *domain.domain_aliases))
    identity = Identity(names, tuple(host.fqdn for host in inventory.hosts))
    texts = {name: values for (name, kind), values in stand.items() if kind == "TXT" and is_marker(name)}
    owned = ownership.gather(texts, identity)
    ours = {(ownership.marker_name(marker.unit), marker.text) for marker in owned.ours}
    wanted = {(record.name, record.type, record.value) for record in desired_records(inventory)}
    own = _own(inventory, hosts)
    found: list[str] = []
    brought: set[ownership.Entry] = set()
    for edit in sorted(
        edits, key=lambda one: is_marker(one.name)
    ):  # markers last: they may say what comes back
        now = stand.get((edit.name, edit.type), set())
        back = [value for value in edit.add if value not in now]
        # What stands and is added again gets another TTL.
        touched = [*edit.remove, *(value for value in edit.add if value in now)]
        if is_marker(edit.name):
            strange = [value for value in touched if (edit.name, value) not in ours]
            for marker in (ownership.parse(edit.name, value) for value in back):
                good = marker is not None and identity.has(marker)
                if marker is None or not good or not marker.entries <= owned.entries | brought:
                    strange.append(edit.name)
        else:
            spf = records(value for name, kind, value in wanted if (name, kind) == (edit.name, "TXT"))
            merged, terms = undo_terms.believed(edit, now, owned, spf)
            brought |= {ownership.term_entry(edit.name, term) for term in terms}
            strange = [
                value
                for value in touched
                if value not in merged and not owned.owns(edit.name, edit.type, value)
            ]
            strange += [
                value
                for value in back
                if value not in merged
                and (edit.name, edit.type, value) not in wanted
                and not types.may_return(own, edit.name, edit.type, value)
            ]
            brought |= {(edit.name, edit.type, ownership.digest(edit.type, value)) for value in back}
        if strange:
            found.append(f"{edit.name} {edit.type}")
    return found


def _own(inventory: Inventory, hosts: Collection[str]) -> Own:
    """What is these hosts' own to bring back."""
    addresses = {host.fqdn for host in inventory.hosts if host.name in hosts}
    addresses |= {name for host in hosts for name in inventory.mail_names(host)}
    domains = {
        name
        for domain in inventory.domains
        if set(domain.hosts) & set(hosts)
        for name in (domain.name, *domain.domain_aliases)
    }
    # Where a host's name is a mail domain, what it sends on has a name with an MX of its own.
    domains |= {inventory.sender_domain(host) for host in inventory.hosts if host.name in hosts} - addresses
    return Own(
        frozenset(addresses),
        frozenset(domains),
        frozenset(host.fqdn for host in inventory.hosts),
        frozenset(hosts),
        [host.name for host in inventory.hosts],
    )
