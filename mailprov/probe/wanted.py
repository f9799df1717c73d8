"""What the inventory wants in DNS, by the mail domain that each record belongs to.

    wanted_records(context)       at the domain's name and below it
    signing_keys(context)         the DKIM keys with which the domain's hosts say that they sign
    ALL_HOSTED, NONE_HOSTED       why a probe of own hosts, or of providers, has nothing to look at

Raises nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from mailprov.i18n import N_
from mailprov.model.dkim import record_name
from mailprov.model.records import Record
from mailprov.probe.context import DomainContext
from mailprov.records import desired_records

ALL_HOSTED = N_("the mail of every domain is at a provider; see the probes hosted.*")
NONE_HOSTED = N_("the mail of every domain is at hosts of the inventory")


def wanted_records(context: DomainContext) -> list[Record]:
    """The inventory's records at this domain's name and below it, as far as no other mail domain is nearer."""
    run = context.run
    with run.lock:
        if not run.wanted:
            names = {
                name for domain in run.inventory.domains for name in (domain.name, *domain.domain_aliases)
            }
            for record in desired_records(run.inventory):
                labels = record.name.split(".")
                parents = (".".join(labels[start:]) for start in range(len(labels)))
                owner = next((name for name in parents if name in names), "")
                run.wanted.setdefault(owner, []).append(record)
    return run.wanted.get(context.name, [])


class SigningKey(NamedTuple):
    """A DKIM key with which a host says that it signs. `text` is empty where it is still to be made."""

    host: str
    name: str  # of the record
    text: str


def signing_keys(context: DomainContext) -> list[SigningKey]:
    """Of this domain, as far as hosts were asked. Its aliases are signed with the same keys."""
    found = []
    for host, keys in (context.run.signing or {}).items():
        for key, text in keys.items():
            domain, __, selector = key.rpartition(".")
            if domain == context.domain.name:
                found.append(SigningKey(host, record_name(context.name, selector), text))
    return found
