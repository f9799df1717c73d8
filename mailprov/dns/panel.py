"""The records as web panels take them: each field by itself. Pure.

    fields(inventory, keys, by_hand) -> [PanelRecord]
    export(inventory, keys, by_hand) -> str

Names are relative to the zone, `@` for the zone itself; a preference stands apart; texts are without quotes. A panel
may take a long text (a DKIM key) whole, or only in strings of at most 255 octets (RFC 1035 section 3.3.14): both are
given. Nobody is asked which zones there are: the domain of the inventory that a name is in is taken for its zone.
"""

from __future__ import annotations

from mailprov.dns.shown import shown
from mailprov.dns.zonefile import by_domain, one_spf, wanted
from mailprov.i18n import _
from mailprov.model.answers import PanelRecord
from mailprov.model.dkim import PublicKeys
from mailprov.model.hostnames import below
from mailprov.model.inventory import Inventory
from mailprov.model.records import NEEDS, Record
from mailprov.model.tls_keys import ServedKeys
from mailprov.records.types.text import quoted, text_chunks

# Types whose value begins with a number that panels have a field for: MX (RFC 1035), SRV (RFC 2782).
_WITH_PRIORITY = ("MX", "SRV")


def fields(
    inventory: Inventory,
    keys: PublicKeys | None = None,
    tls: ServedKeys | None = None,
    *,
    by_hand: bool = False,
) -> list[PanelRecord]:
    groups = by_domain(inventory, wanted(inventory, keys or {}, tls, by_hand=by_hand))
    return [
        _record(zone, record)
        for zone, members in groups.items()
        for record in sorted(members, key=lambda each: each.name != zone)
    ]


def export(
    inventory: Inventory,
    keys: PublicKeys | None = None,
    tls: ServedKeys | None = None,
    *,
    by_hand: bool = False,
) -> str:
    lines = [
        _("DNS records for {inventory}, made by mailprov").format(inventory=shown(inventory.source)),
        _("Where your panel's zone is another one than here, names are relative to that."),
        _("Some panels want a final dot behind the host name in the value of an MX."),
        one_spf(),
    ]
    unknown = [host.name for host in inventory.hosts if host.name not in (keys or {})]
    if unknown:
        without = _("without the DKIM keys of {hosts}: `dns export --dkim` asks the hosts for them")
        lines.append(without.format(hosts=", ".join(unknown)))
    zone = None
    for one in fields(inventory, keys, tls, by_hand=by_hand):
        if one.zone != zone:
            zone = one.zone
            lines += ["", _("zone {zone}").format(zone=zone)]
        lines += ["", *_lines(one)]
    return "\n".join(lines) + "\n"


def _record(zone: str, record: Record) -> PanelRecord:
    value, priority = record.value, ""
    if record.type in _WITH_PRIORITY:
        priority, _space, value = record.value.partition(" ")
    parts = text_chunks(value) if record.type == "TXT" else []
    return PanelRecord(
        zone,
        record.name.removesuffix(f".{zone}") if below(record.name, zone) else "@",
        record.type,
        value,
        record.ttl,
        priority,
        tuple(part.decode("utf-8", "backslashreplace") for part in parts) if len(parts) > 1 else (),
        record.why,
        record.need,
    )


def _lines(one: PanelRecord) -> list[str]:
    rows = [(_("name"), one.name), (_("type"), one.type), (_("value"), shown_whole(one))]
    if one.parts:
        rows.append((_("or split"), quoted(one.value)))
    if one.priority:
        rows.append((_("priority"), one.priority))
    rows.append((_("TTL"), str(one.ttl)))
    width = max(len(label) for label, text in rows)
    need = f" ({_(NEEDS[one.need])})" if one.need else ""
    return [f"# {shown(one.why)}{need}", *(f"{label.ljust(width)}  {text}" for label, text in rows)]


def shown_whole(one: PanelRecord) -> str:
    """A key is not cut short here, as it is where people only compare."""
    return one.value if one.value.isprintable() else shown(one.value)
