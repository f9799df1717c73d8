"""How far the move of a domain between own hosts and a provider is: read by whoever works with the inventory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.inventory import Domain
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Need, Own, RecordType, Wishes


class Move(RecordType):
    name = N_("move")
    need = Need.REQUIRED
    why = N_("every machine that works with the inventory reads there how far a domain's move is")
    otherwise = N_("or remove it, if no move of the domain is going on")
    key = N_("domains.DOMAIN: hosts and hosted, while `mailprov dns move` is at work")
    places = (("TXT", re.compile(rf"_mailprov-move\.{PLAIN}")),)

    def of_domain(self, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        if domain.moving is not None:
            from mailprov.model.moving import record_name  # few domains move

            why = _("how far the move of {name} is, for mailprov").format(name=domain.name)
            yield Record(record_name(domain.name), "TXT", domain.moving.text, wishes.ttl, why)

    def alone(self, name: str, kind: str, value: str) -> bool:
        return kind == "TXT" and name.startswith("_mailprov-move.")

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


MOVE = Move()
