"""The records as zone file text (RFC 1035 section 5), for people whose DNS mailprov cannot write. Pure.

    export(inventory, keys, by_hand) -> str
    wanted(inventory, keys, by_hand) -> [Record]    all, or those of zones that mailprov cannot write
    by_domain(inventory, records)       as panel.py and nsupdate.py group them, too
    one_spf() -> sentence               what to do where an SPF record stands already, which nobody looks at here
    comment(text) -> lines              no longer than a terminal of 80 columns

Names and targets are complete with a final dot, so the text may be pasted into any zone whatever its $ORIGIN.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from mailprov.dns.shown import shown
from mailprov.i18n import _
from mailprov.model.dkim import PublicKeys
from mailprov.model.hostnames import inside
from mailprov.model.inventory import Inventory
from mailprov.model.records import NEEDS, Record
from mailprov.model.tls_keys import ServedKeys
from mailprov.records import desired_records, types
from mailprov.records.spf_text import is_spf
from mailprov.records.types import ptr


def wanted(
    inventory: Inventory, keys: PublicKeys, tls: ServedKeys | None = None, *, by_hand: bool
) -> list[Record]:
    records = desired_records(inventory, keys, tls)
    if not by_hand:
        return records
    return [record for record in records if not inventory.dns.at(record.name).provider.publishes]


def export(
    inventory: Inventory,
    keys: PublicKeys | None = None,
    tls: ServedKeys | None = None,
    *,
    by_hand: bool = False,
) -> str:
    """All desired records, grouped by domain in the inventory's order, each under a comment with its
    reason.
    """
    keys = keys or {}
    records = wanted(inventory, keys, tls, by_hand=by_hand)
    groups = by_domain(inventory, records)
    head = _("DNS records for {inventory}, made by mailprov").format(inventory=shown(inventory.source))
    lines = comment(head)
    unknown = [host.name for host in inventory.hosts if host.name not in keys]
    if unknown:
        lines += comment(
            _("without the DKIM keys of {hosts}: `dns export --dkim` asks the hosts for them").format(
                hosts=", ".join(unknown)
            )
        )
    if any(is_spf(record.value) for record in records):
        lines += comment(one_spf())
    for label, why in dict.fromkeys((_(r.label), _(r.purpose)) for r in records):
        if why:
            lines += comment(f"{label}: {why}")
    own = ((address, host.fqdn) for host in inventory.hosts for address in (*host.ipv4, *host.ipv6))
    if task := ptr.task(own, inventory.dns):
        lines += comment(task)
    for name, members in groups.items():
        if members:
            lines += ["", f"; {name}"]
            # What belongs to the domain itself first, then the hosts in it.
            for record in sorted(members, key=lambda r: r.name != name):
                lines += [*_reason(record), _line(record)]
    return "\n".join(lines) + "\n"


def one_spf() -> str:
    """Where mailprov writes a zone it merges the two by itself (foreign_spf.py)."""
    return _(
        "A name can have only one SPF record (v=spf1): where one stands already, leave ours out and add its terms to "
        "that one, before `all`."
    )


def by_domain(inventory: Inventory, records: Iterable[Record]) -> dict[str, list[Record]]:
    """Each domain of the inventory, in its order, with the records in it; those of none under their likely zone."""
    domains = [name for domain in inventory.domains for name in (domain.name, *domain.domain_aliases)]
    groups: dict[str, list[Record]] = {name: [] for name in domains}
    for record in records:
        groups.setdefault(_domain_of(record.name, domains), []).append(record)
    return groups


def _domain_of(name: str, domains: list[str]) -> str:
    """The longest domain of the inventory that `name` is in; else its parent, which is the likely zone."""
    around = [domain for domain in domains if inside(name, domain)]
    return max(around, key=len) if around else name.partition(".")[2] or name


def comment(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        79,
        initial_indent="; ",
        subsequent_indent=";   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _reason(record: Record) -> list[str]:
    need = f" ({_(NEEDS[record.need])})" if record.need else ""
    return comment(f"{shown(record.why)}{need}")


def _line(record: Record) -> str:
    return f"{record.name}. {record.ttl} IN {record.type} {types.render(record.type, record.value)}"
