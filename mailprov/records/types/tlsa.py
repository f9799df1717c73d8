"""TLSA: the key that a host shows on port 25, so that senders need no authority to trust it (RFC 6698, 7671, 7672).

`3 1 1`: the host's own key (RFC 7672 section 3.1.1), which stays the same when its certificate is renewed. For hosts
that are the MX of a domain, and only where the zone is signed: elsewhere nobody may believe it (dns/signing.py). Of a
host that has not told its key the records stay as they are (`kept`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from mailprov.i18n import N_, _
from mailprov.model.inventory import Host, Inventory
from mailprov.model.records import PLAIN, Record
from mailprov.model.tls_keys import ServedKeys, record_name, value
from mailprov.records.types.base import Format, Need, Own, RecordType, Wishes


def _parse(text: str) -> str:
    usage, selector, matching, *data = text.split()
    return f"{int(usage)} {int(selector)} {int(matching)} {''.join(data).lower()}"


class Tlsa(RecordType):
    name = "TLSA"
    need = Need.RECOMMENDED
    why = N_("senders that check it (DANE) deliver over TLS alone, to the host with that key and no other")
    formats = (
        Format(
            "TLSA",
            _parse,
            valid=lambda value: bool(re.fullmatch(r"(\d{1,3} ){3}([0-9a-f]{2})+", value)),
        ),
    )
    key = N_("tls.tlsa: off publishes none")
    instead = N_("`tls: {tlsa: off}` leaves it at that")
    places = (("TLSA", re.compile(rf"_25\._tcp\.{PLAIN}")),)
    at_domains = False
    signed = True

    def of_host(self, host: Host, wishes: Wishes) -> Iterator[Record]:
        told = wishes.tls.get(host.name)
        if told is None or told.changes or not concerns(host, wishes.inventory):
            return
        why = _("TLSA: the key that {host} shows on port 25").format(host=host.name)
        for one in told.published:
            yield Record(record_name(host.fqdn), "TLSA", value(one), wishes.ttl, why, asked=False)

    def alone(self, name: str, kind: str, value: str) -> bool:
        # Whoever publishes it for this host decides which keys senders take.
        return kind == "TLSA" and name.startswith("_25._tcp.")

    def judge(self, values: Sequence[str], wanted: str) -> str:
        if wanted in values:
            return _("the key of this host is among them")
        return _("the key of this host is not among them as 3 1 1")

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        return False


def concerns(host: Host, inventory: Inventory) -> bool:
    """Whether senders look for TLSA records of this host, and it is to have some."""
    return host.tls.tlsa and exchanges(host, inventory)


def exchanges(host: Host, inventory: Inventory) -> bool:
    """Whether it is an MX."""
    return any(
        each.ours and each.host == host.name for domain in inventory.domains for each in domain.exchangers
    )


def kept(inventory: Inventory, tls: ServedKeys) -> Callable[[str], bool]:
    """Of a name at which mailprov has written and nothing is desired now."""
    waiting = {
        record_name(host.fqdn)
        for host in inventory.hosts
        if concerns(host, inventory) and (host.name not in tls or tls[host.name].changes)
    }
    return waiting.__contains__


TLSA = Tlsa()
