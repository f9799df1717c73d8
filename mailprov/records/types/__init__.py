"""All types of records that mailprov publishes, each a module of this package. Pure.

    TYPES                                     in the order in which a domain's records are listed and published
    desired(wishes) -> records                of hosts, then of domains
    formats() -> {DNS type: Format}           of all that is published, and of what is met beside it
    parse(kind, text), render(kind, value), rank(kind, value), valid(kind, value)
    named(label) -> RecordType | None         by what people call it
    needs_signing(record) -> bool             whether it is for zones with DNSSEC alone
    above(record) -> (name, DNS type) …       whose values may hold for its name, too
    alone(name, kind, value) -> RecordType | None      the type of which there may be only one set at that name
    writes_at(name, kind) -> bool             whether any type is ever published there
    at_domains(kind) -> bool                  whether it may be at a mail domain itself
    may_return(own, name, kind, value) -> bool

To add one: a module here with a RecordType (base.py says what that is), and its line in TYPES. Planning, writing,
reading back, undoing and the zone file need nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

from mailprov.model.inventory import Domain
from mailprov.model.records import Record
from mailprov.records.types.addresses import ADDRESSES
from mailprov.records.types.autodiscover import AUTODISCOVER
from mailprov.records.types.base import Follows, Format, Own, RecordType, Wishes, names_of
from mailprov.records.types.caa import CAA
from mailprov.records.types.dkim import DKIM
from mailprov.records.types.dmarc import DMARC
from mailprov.records.types.move import MOVE
from mailprov.records.types.mta_sts import MTA_STS
from mailprov.records.types.mx import MX
from mailprov.records.types.pacc import PACC
from mailprov.records.types.ptr import PTR
from mailprov.records.types.spf import SPF
from mailprov.records.types.srv import SRV
from mailprov.records.types.text import TXT
from mailprov.records.types.tls_rpt import TLS_RPT
from mailprov.records.types.tlsa import TLSA
from mailprov.records.types.verification import VERIFICATION
from mailprov.records.types.web_names import WEB_NAMES

TYPES: list[RecordType] = [
    ADDRESSES,
    PTR,
    CAA,
    TLSA,
    MX,
    SPF,
    DMARC,
    DKIM,
    WEB_NAMES,
    AUTODISCOVER,
    VERIFICATION,
    TLS_RPT,
    MTA_STS,
    PACC,
    SRV,
    MOVE,
]


def _name(text: str) -> str:
    return text.lower().removesuffix(".") or "."


def _absolute(value: str) -> str:
    return f"{value.removesuffix('.')}."


_MET = (TXT, Format("DNAME", _name, _absolute))


def desired(wishes: Wishes) -> Iterator[Record]:
    for host in wishes.inventory.hosts:
        for each in TYPES:
            yield from _labelled(each, each.of_host(host, wishes))
    for domain in wishes.inventory.domains:
        records = _of_domain(domain, wishes)
        if domain.moving is not None:
            from mailprov.model.moving import LOW_TTL  # few domains move

            records = (replace(record, ttl=min(record.ttl, LOW_TTL)) for record in records)
        yield from records


def _of_domain(domain: Domain, wishes: Wishes) -> Iterator[Record]:
    """Nothing of a domain that neither a host of ours nor a provider serves."""
    if domain.hosted:
        for each in TYPES:
            if _wanted(each, domain, domain.provider_sends, at_hosts=False):
                yield from _labelled(each, each.of_hosted(domain.hosted, domain, wishes))
    here = [
        each for each in TYPES if domain.hosts and _wanted(each, domain, domain.hosts_send, at_hosts=True)
    ]
    for each in here:
        yield from _labelled(each, each.of_domain(domain, wishes))
    for name in names_of(domain) if here else ():
        for each in here:
            yield from _labelled(each, each.of_name(name, domain, wishes))


def _wanted(each: RecordType, domain: Domain, sends: bool, *, at_hosts: bool) -> bool:
    """Of one side of a domain."""
    if domain.moving is None or each.follows is Follows.DOMAIN:
        return True
    return sends if each.follows is Follows.SENDERS else domain.moving.mail_at_hosts is at_hosts


def _labelled(each: RecordType, records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        need, purpose = record.need or each.need.value, record.purpose or each.why
        yield replace(record, label=each.name, need=need, purpose=purpose)


def named(label: str) -> RecordType | None:
    """By what people call it."""
    return next((each for each in TYPES if each.name == label), None)


def needs_signing(record: Record) -> bool:
    sort = named(record.label)
    return sort is not None and sort.signed


def above(record: Record) -> Iterator[tuple[str, str]]:
    """Names and types whose values may hold for this record's name as well, if it is a default of ours."""
    sort = None if record.asked else named(record.label)
    return ((name, record.type) for name in (sort.above(record.name) if sort else ()))


def formats() -> dict[str, Format]:
    return _formats(tuple(TYPES))


@cache
def _formats(all_types: tuple[RecordType, ...]) -> dict[str, Format]:
    return {one.type: one for each in all_types for one in each.formats} | {one.type: one for one in _MET}


def _format(kind: str) -> Format:
    return formats().get(kind) or Format(kind)


def parse(kind: str, text: str) -> str:
    """The canonical value of zone file text; of a type that is unknown the text as it is."""
    return _format(kind).parse(text)


def render(kind: str, value: str) -> str:
    return _format(kind).render(value)


def rank(kind: str, value: str) -> int:
    return _format(kind).rank(value)


def valid(kind: str, value: str) -> bool:
    return _format(kind).valid(value)


def published() -> frozenset[str]:
    """The DNS types in which mailprov publishes anything."""
    return frozenset({"TXT", *(one.type for each in TYPES for one in each.formats)})


def alone(name: str, kind: str, value: str) -> RecordType | None:
    return next((each for each in reversed(TYPES) if each.alone(name, kind, value)), None)


def writes_at(name: str, kind: str) -> bool:
    return any(kind == one and place.fullmatch(name) for each in TYPES for one, place in each.places)


def at_domains(kind: str) -> bool:
    """Whether records of this DNS type are ever published at a mail domain itself."""
    return all(each.at_domains for each in TYPES if any(one.type == kind for one in each.formats))


def may_return(own: Own, name: str, kind: str, value: str) -> bool:
    return any(each.may_return(own, name, kind, value) for each in TYPES)
