"""Autodiscover: where Outlook finds the mailboxes of a domain at Exchange Online (the source is in model/hosted.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.hosted import Hosted
from mailprov.model.inventory import Domain
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Follows, Need, Own, RecordType, Wishes
from mailprov.records.types.cname import CNAME


class Autodiscover(RecordType):
    name = N_("autodiscover")
    need = Need.RECOMMENDED
    follows = Follows.MAIL
    why = N_("by it Outlook finds the mailboxes at Exchange Online")
    key = N_("domains.DOMAIN.hosted: provider")
    instead = N_("When the mailboxes are at Exchange Online, let it lead to autodiscover.outlook.com")
    formats = (CNAME,)
    places = (("CNAME", re.compile(rf"autodiscover\.{PLAIN}")),)

    def of_hosted(self, there: Hosted, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        if there.provider.autodiscover:
            why = _("Outlook finds the mailboxes of {name} by it").format(name=domain.name)
            name = f"autodiscover.{domain.name}"
            yield Record(name, "CNAME", there.provider.autodiscover, wishes.ttl, why, asked=False)

    def alone(self, name: str, kind: str, value: str) -> bool:
        return kind == "CNAME" and name.startswith("autodiscover.")

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


AUTODISCOVER = Autodiscover()
