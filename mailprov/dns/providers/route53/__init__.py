"""Amazon Route 53, by its API of 2013-04-01, which boto3 speaks.

`settings` is what the inventory says, `schema` reads it. `driver` is the driver: `calls` asks Route 53 and tells what
its errors mean, `text` is between its records and what mailprov means.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mailprov.dns.abilities import Abilities
from mailprov.dns.provider import Provider
from mailprov.dns.providers.route53.settings import NAME, Route53Settings
from mailprov.i18n import N_
from mailprov.model.dns import ProviderSettings

if TYPE_CHECKING:
    from mailprov.dns.driver import Driver
    from mailprov.schema.context import Context
    from mailprov.schema.entry import Entry


# API reference, ChangeResourceRecordSets; quotas of the Developer Guide.
ABILITIES = Abilities(
    atomic=True,
    compare_and_swap=True,  # a batch deletes sets as they were read, or does nothing at all
    holds_version=False,
    lists_zones=True,
    reads_sets=True,
    types=frozenset(
        "A AAAA CAA CNAME DS HTTPS MX NAPTR NS PTR SOA SPF SRV SSHFP SVCB TLSA TXT".split()  # noqa: SIM905
    ),
    calls_per_second=5,  # of an account; calls.py keeps to it
    most_in_set=400,
    capacity=32_000,  # characters; see driver.weigh
    capacity_is=N_("one change batch of Route 53 (1,000 records, 32,000 characters)"),
)


class Route53(Provider):
    name = NAME
    title = N_("Amazon Route 53")
    name_servers = r"ns-\d+\.awsdns-\d+\.(com|net|org|co\.uk)"
    abilities = ABILITIES
    extra = True
    libraries = ("boto3",)
    scope = N_(
        "to be allowed route53:ListHostedZones, and on the zones' ARNs route53:ListResourceRecordSets and "
        "route53:ChangeResourceRecordSets"
    )
    example = (
        "provider: route53",
        "access_key_id: AKIAIOSFODNN7EXAMPLE",
        "secret_access_key: {env: MAILPROV_AWS_SECRET}",
    )

    def entry(self) -> type[Entry]:
        from mailprov.dns.providers.route53.schema import Route53Entry

        return Route53Entry

    def settings(self, entry: Entry, written: Collection[str], context: Context) -> ProviderSettings:
        from mailprov.dns.providers.route53 import schema

        assert isinstance(entry, schema.Route53Entry)
        return schema.settings(entry, written, context)

    def open(self, settings: ProviderSettings) -> Driver:
        from mailprov.dns.providers.route53.driver import Route53Driver

        assert isinstance(settings, Route53Settings)
        return Route53Driver(settings, ABILITIES)


PROVIDER = Route53()
