"""The text by which a provider sees whose a domain is. Others may stand beside it: a domain has several providers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.hosted import Hosted
from mailprov.model.inventory import Domain
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Need, Own, RecordType, Wishes


class Verification(RecordType):
    name = N_("verification")
    need = Need.REQUIRED
    why = N_("the provider sees by it that the domain is yours, and serves it only then")
    key = N_("domains.DOMAIN.hosted: verification")
    places = (("TXT", re.compile(PLAIN)),)

    def of_hosted(self, there: Hosted, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        if there.verification:
            why = _("{provider} sees by it whose {name} is").format(
                provider=_(there.provider.title), name=domain.name
            )
            yield Record(domain.name, "TXT", there.verification, wishes.ttl, why)

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


VERIFICATION = Verification()
