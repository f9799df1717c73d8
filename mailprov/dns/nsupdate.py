"""The records as a script of nsupdate (BIND 9, nsupdate(1); RFC 2136), for people who send updates by themselves. Pure.

    export(inventory, keys, by_hand) -> str

Two updates for each domain, its hosts' addresses first (which are there already as a rule); each is done as a whole or
not at all. The prerequisites: no record set of this name and type is there yet, nor a CNAME; so nothing of anybody is
added to or replaced. Not of a TXT where those of others stand beside ours (SPF, at the names of domains and hosts): a
prerequisite cannot say "no SPF", so the script says to look, and what to do, for it cannot add terms to a record
either. It is for the first time: what stands already is met by the prerequisites, and then nothing of that update is
done.
"""

from __future__ import annotations

from mailprov.dns.shown import shown
from mailprov.dns.zonefile import by_domain, comment, wanted
from mailprov.i18n import _
from mailprov.model.dkim import PublicKeys
from mailprov.model.inventory import Inventory
from mailprov.model.records import Record
from mailprov.model.tls_keys import ServedKeys
from mailprov.records import types


def export(
    inventory: Inventory,
    keys: PublicKeys | None = None,
    tls: ServedKeys | None = None,
    *,
    by_hand: bool = False,
) -> str:
    keys = keys or {}
    lines = [
        line
        for text in (
            _("DNS records for {inventory}, made by mailprov").format(inventory=shown(inventory.source)),
            _("`nsupdate -k KEYFILE FILE` sends them to the zones' primary servers."),
            _("It is for zones without these records: an update that meets one of them changes nothing."),
        )
        for line in comment(text)
    ]
    unknown = [host.name for host in inventory.hosts if host.name not in keys]
    if unknown:
        without = _("without the DKIM keys of {hosts}: `dns export --dkim` asks the hosts for them")
        lines += comment(without.format(hosts=", ".join(unknown)))
    for zone, members in by_domain(inventory, wanted(inventory, keys, tls, by_hand=by_hand)).items():
        if members:
            lines += ["", f"; {zone}"]
            addresses = [record for record in members if record.type in ("A", "AAAA")]
            for part in (addresses, [record for record in members if record not in addresses]):
                lines += _update(part) if part else []
    return "\n".join(lines) + "\n"


def _update(records: list[Record]) -> list[str]:
    sets = dict.fromkeys((record.name, record.type) for record in records)
    aliases = {
        name for name, kind in sets if kind == "CNAME"
    }  # passed over beside anything: nothing may be there
    names = dict.fromkeys(name for name, __ in sets)
    lines = [
        f"prereq nxdomain {name}." if name in aliases else f"prereq nxrrset {name}. CNAME" for name in names
    ]
    for name, kind in sets:
        if kind != "CNAME" and not _shared(name, kind, records):
            lines.append(f"prereq nxrrset {name}. {kind}")
    look = [name for name, kind in sets if _shared(name, kind, records)]
    if look:
        lines += comment(
            _(
                "look first that there is no other SPF record (v=spf1) at: {names}; where there is one, leave ours out "
                "and add its terms to that one, before `all`"
            ).format(names=", ".join(look))
        )
    for record in records:
        text = types.render(record.type, record.value)
        lines.append(f"update add {record.name}. {record.ttl} {record.type} {text}")
    return [*lines, "send"]


def _shared(name: str, kind: str, records: list[Record]) -> bool:
    """Whether values of others stand there as a rule: where an SPF record does (RFC 7208 section 3)."""
    return kind == "TXT" and any(
        record.value.lower().startswith("v=spf1")
        for record in records
        if (record.name, record.type) == (name, kind)
    )
