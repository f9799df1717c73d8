"""A zone as octoDNS reads it.

    Contents      `snapshot`; and `records`: octoDNS' own, by key; `zone`: all of them
    read(provider, zone, answers) -> Contents | None       None: there is no such zone, or nothing in it
    empty(zone) -> Contents

Sets are `special` that octoDNS has more about than values: what answers differently to different people, what is behind
a proxy, what it makes up of another type. They are `fixed` where octoDNS would not write back all that stands there.
Raises what the provider raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mailprov.dns.api.records import canonical, plain
from mailprov.dns.extras import library
from mailprov.dns.providers.octodns import powerdns, texts
from mailprov.dns.providers.octodns.settings import NAME
from mailprov.dns.rrsets import Key, RRset, Snapshot, Stored
from mailprov.dns.shown import shown
from mailprov.i18n import N_, _
from mailprov.model.values import dataclass, field

_PROXIED = N_("behind the provider's proxy, which takes no mail")
_DYNAMIC = N_("answered differently to different people (a dynamic record)")
_ODD = N_("a text that octoDNS may not write back as it stands ({text})")
_ADDRESSES = ("A", "AAAA")


@dataclass
class Contents:
    zone: Any
    snapshot: Snapshot = field(default_factory=dict)
    records: dict[Key, Any] = field(default_factory=dict)


def read(provider: Any, zone: str, answers: powerdns.Answers) -> Contents | None:
    found = empty(zone)
    made = found.zone
    with texts.hearing() as heard:
        exists = provider.populate(made, target=True, lenient=True)
    # Some do not say whether it is there; what has records is.
    if exists is False or (exists is None and not made.records):
        return None
    others: list[Any] = []
    for record in made.records:
        if "/" in record._type or record._type in ("ALIAS", "URLFWD"):
            others.append(record)
            continue
        key = (plain(record.fqdn), record._type)
        found.records[key] = record
        found.snapshot[key] = _rrset(record, heard)
    for record in others:
        for kind in _made_by(record):
            key = (plain(record.fqdn), kind)
            stored = found.snapshot[key].stored if key in found.snapshot else ()
            what = _("made up by a record of type {type}").format(type=record._type.rpartition("/")[2])
            found.snapshot[key] = RRset(record.ttl, stored, what)
    for key, text in answers.escaped().items():
        if key in found.snapshot:
            found.snapshot[key] = replace(found.snapshot[key], fixed=_(_ODD).format(text=_brief(text)))
    for key, values in answers.disabled().items():
        there = found.snapshot.get(key)
        stored = tuple(one for one in (there.stored if there else ()) if one.value not in values)
        what = _("values that are disabled at the provider ({values})").format(
            values=", ".join(map(_brief, sorted(values)))
        )
        found.snapshot[key] = RRset(there.ttl if there else 0, stored, fixed=what)
    return found


def empty(zone: str) -> Contents:
    return Contents(library(NAME, "octodns.zone").Zone(f"{zone}.", []))


def _rrset(record: Any, heard: Mapping[str, list[str]]) -> RRset:
    special = ""
    if getattr(record, "dynamic", None) or getattr(record, "geo", None):
        special = _(_DYNAMIC)
    elif any(isinstance(one, dict) and one.get("proxied") for one in record.octodns.values()):
        special = _(_PROXIED)
    if record._type != "TXT":
        values = record.to_rrset().rdatas
        return RRset(record.ttl, tuple(Stored(canonical(record._type, one), one) for one in values), special)
    raw = heard.get(record.fqdn) or [str(one) for one in record.values]
    stored = tuple(Stored(texts.canonical(one), one) for one in raw)
    odd = [one for one in raw if texts.safe(one) is None]
    fixed = ""
    if odd:
        fixed = _(_ODD).format(text=_brief(odd[0]))
    return RRset(record.ttl, stored, special, fixed)


def _made_by(record: Any) -> tuple[str, ...]:
    """The types that it makes up."""
    kinds = {str(one._type) for one in getattr(record, "values", ()) if hasattr(one, "_type")}
    return tuple(sorted(kinds)) or _ADDRESSES


def _brief(text: str) -> str:
    text = shown(text)
    return text if len(text) <= 60 else f"{text[:60]}…"
