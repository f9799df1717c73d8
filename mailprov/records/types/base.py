"""What a type of record is to mailprov.

    Format         how the data of one DNS type (A, MX, TXT) is written in a zone file, and what mailprov makes of it
    RecordType     one thing that mailprov publishes (SPF), where it is wanted, and how much
    Need           how much

A `value` is that of model.records.Record: one spelling for each meaning, names lower case without a final dot. A `text`
is zone file text (RFC 1035 section 5.1): names absolute, with a final dot. Every provider speaks one or the other.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import Enum
from functools import cached_property

from mailprov.model.dkim import PublicKeys
from mailprov.model.hosted import Hosted
from mailprov.model.inventory import Domain, Host, Inventory
from mailprov.model.records import Record
from mailprov.model.tls_keys import ServedKeys
from mailprov.model.values import dataclass, field


class Need(str, Enum):
    REQUIRED = "required"  # without it mail is not delivered, or large receivers refuse it
    RECOMMENDED = "recommended"
    OPTIONAL = "optional"


def _same(value: str) -> str:
    return value


@dataclass(frozen=True)
class Format:
    """`parse(text)` -> value, `render(value)` -> text. `rank(value)`: by which a set is sorted, before the value.
    `valid(value)`: whether it can be one at all, whoever wrote it.
    """

    type: str
    parse: Callable[[str], str] = _same
    render: Callable[[str], str] = _same
    rank: Callable[[str], int] = field(default=lambda value: 0)
    valid: Callable[[str], bool] = field(default=lambda value: True)


@dataclass(frozen=True)
class Wishes:
    """What the types look at. `keys`: the DKIM keys that hosts reported, `tls`: those of their certificates."""

    inventory: Inventory
    keys: PublicKeys
    tls: ServedKeys = field(default_factory=dict)

    @property
    def ttl(self) -> int:
        return self.inventory.dns.ttl

    @cached_property
    def reported(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """(host, domain) → (selector, text of the record) of each key."""
        found: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for host, keys in self.keys.items():
            for key, text in keys.items():
                domain, _, selector = key.rpartition(".")
                found.setdefault((host, domain), []).append((selector, text))
        return found

    @cached_property
    def ehlo_names(self) -> frozenset[str]:
        return frozenset(host.fqdn for host in self.inventory.hosts)

    def hosts(self, domain: Domain) -> list[Host]:
        return [self.inventory.host(name) for name in domain.hosts]

    @cached_property
    def with_dmarc(self) -> frozenset[str]:
        """Those of mail_names that have a DMARC record."""
        domains = (one for one in self.inventory.domains if (one.hosts or one.hosted) and one.dmarc)
        return frozenset(name for domain in domains for name in names_of(domain))

    @cached_property
    def mail_names(self) -> frozenset[str]:
        """All mail domains that hosts of ours or a provider serve, and their aliases."""
        domains = (domain for domain in self.inventory.domains if domain.hosts or domain.hosted)
        return frozenset(name for domain in domains for name in names_of(domain))


@dataclass(frozen=True)
class Own:
    """Of the hosts that tell what a zone was before: their names with addresses, the mail domains they serve.
    `targets`: all hosts' names. `hosts` and `everybody`: the tellers, and all hosts.
    """

    addresses: frozenset[str]
    domains: frozenset[str]
    targets: frozenset[str]
    hosts: frozenset[str]
    everybody: Collection[str]


class Follows(str, Enum):
    """Of a domain that moves between own hosts and a provider (model/moving.py), where a type is wanted."""

    DOMAIN = "domain"  # of both sides, all the time
    SENDERS = "senders"  # of each side that sends
    MAIL = "mail"  # of the side to which mail goes


class RecordType(ABC):
    """`name`: as people call it. `why`: what it is for, in one sentence. `formats`: those it brings along; TXT is there
    anyway. `alone`: at a name only one of it may stand (RFC 7208 section 3.2 of SPF); then a foreign one is a conflict,
    and `otherwise` says what else could be done about it, in a clause of its own.

    `key`: what the inventory can say of it, for `explain`.

    Of records that the inventory did not ask for (Record.asked): `note` says what to know when they come, of `{names}`;
    `instead` what to write where one gives way to what stands there, of which `judge` says what it is worth.

    `follows`: which side of a domain that moves has it.

    `name`, `why`, `otherwise`, `key`, `note` and `instead` are marked with N_ (i18n.py).
    """

    name: str
    need: Need
    why: str
    formats: tuple[Format, ...] = ()
    otherwise: str = ""
    key: str = ""
    note: str = ""
    instead: str = ""
    # Where mailprov writes it, by type: what a host tells to have been elsewhere is a lie (run/believed.py).
    places: tuple[tuple[str, re.Pattern[str]], ...] = ()
    follows: Follows = Follows.DOMAIN
    at_domains: bool = (
        True  # False: never at a mail domain itself, so no marker is believed that it is ours there
    )

    signed: bool = False  # True: it is worth nothing in a zone without DNSSEC, and not published there

    def of_host(self, host: Host, wishes: Wishes) -> Iterable[Record]:
        return ()

    def of_domain(self, domain: Domain, wishes: Wishes) -> Iterable[Record]:
        """Once for each domain that hosts of ours serve."""
        return ()

    def of_name(self, name: str, domain: Domain, wishes: Wishes) -> Iterable[Record]:
        """For such a domain, and for each of its aliases."""
        return ()

    def of_hosted(self, there: Hosted, domain: Domain, wishes: Wishes) -> Iterable[Record]:
        """For a domain whose mail is at a provider."""
        return ()

    def alone(self, name: str, kind: str, value: str) -> bool:
        """Whether this value is one of those of which there may be only one set at this name."""
        return False

    def above(self, name: str) -> Iterable[str]:
        """Names whose records hold for this name, too, where it has none."""
        return ()

    def judge(self, values: Sequence[str], wanted: str) -> str:
        """What these values of somebody else do, in a few words, in place of the wanted one; empty where there is
        nothing to say.
        """
        return ""

    def serves(self, wanted: Collection[str], stands: Collection[str]) -> bool:
        """Whether these other values do the same as the wanted ones, so that they may stay."""
        return False

    @abstractmethod
    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        """Whether mailprov itself might have written this for these hosts: so much is believed of an image without a
        seal (dns/unsealed.py). A type that came after 0.1.0, whose images alone have none, says no.
        """


def names_of(domain: Domain) -> tuple[str, ...]:
    return domain.names
