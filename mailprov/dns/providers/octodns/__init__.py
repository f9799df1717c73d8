"""Providers of octoDNS, for those that mailprov has no driver of its own for.

octoDNS (Python, MIT) is made for whole zones that it alone writes; its provider classes can be called for one record
set as well, and then most of what protects a zone has to be done here, around them.

`settings` and `schema` are what the inventory says. `loading` gets an instance of the class, and `sessions` sees to its
HTTP connections; `failures` says what an exception means. `texts` is about TXT, which octoDNS cannot always give back
as they were; `contents` reads a zone, `steps` makes of an edit what octoDNS applies, `driver` puts it together.
`powerdns` is what only one of the classes needs.
Source: octoDNS documentation, "Providers", "Zone lifecycle"; tried with octodns 1.22, octodns-powerdns 1.2,
octodns-cloudflare 1.2.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mailprov.dns.abilities import Abilities
from mailprov.dns.provider import Provider
from mailprov.dns.providers.octodns.settings import NAME, OctodnsSettings
from mailprov.i18n import N_
from mailprov.model.dns import ProviderSettings

if TYPE_CHECKING:
    from mailprov.dns.driver import Driver
    from mailprov.schema.context import Context
    from mailprov.schema.entry import Entry

# At most; which types and TTLs a class takes is known when it is there.
ABILITIES = Abilities(
    atomic=False,
    compare_and_swap=False,
    holds_version=False,
    lists_zones=True,
    reads_sets=False,
    types=frozenset(
        "A AAAA CAA CNAME DNAME DS HTTPS LOC MX NAPTR NS PTR SRV SSHFP SVCB TLSA TXT".split()  # noqa: SIM905
    ),
    ttls=(0, 86_400),  # what all of them take, as far as known
)


class Octodns(Provider):
    name = NAME
    title = N_("others, by the provider classes of octoDNS, with weaker guarantees")
    abilities = ABILITIES
    extra = True
    libraries = ("octodns",)
    scope = N_("what the documentation of the class says, for the zones that it writes")
    limits = N_(
        "types, TTLs and calls a second are those of the class; the whole zone is read anew before each record set "
        "that is written; where a text of somebody else has quotes, backslashes or its own cuts, nothing is written "
        "beside it"
    )
    example = (
        "provider: octodns",
        "class: octodns_desec.DesecProvider",
        "settings: {token: {env: DNS_TOKEN}}",
    )

    def entry(self) -> type[Entry]:
        from mailprov.dns.providers.octodns.schema import OctodnsEntry

        made: type[Entry] = OctodnsEntry
        return made

    def settings(self, entry: Entry, written: Collection[str], context: Context) -> ProviderSettings:
        from mailprov.dns.providers.octodns import schema

        return schema.settings(entry, written, context)

    def open(self, settings: ProviderSettings) -> Driver:
        from mailprov.dns.providers.octodns.driver import OctodnsDriver

        assert isinstance(settings, OctodnsSettings)
        return OctodnsDriver(settings, ABILITIES)


PROVIDER = Octodns()
