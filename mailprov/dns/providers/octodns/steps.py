"""What octoDNS applies: one change of one set, in a plan of its own.

    change(provider, contents, edit, cuts) -> Change      DnsFailed for what this provider cannot hold
    apply(provider, contents, change)

A set keeps what octoDNS has about it besides (a comment, an automatic TTL). Its plan is checked as octoDNS checks one
(raise_if_unsafe, which `apply` leaves to its callers). The NS of the zone itself are in none, and a provider that looks
at more than the change is not let: those write zones as a whole, and with them all that octoDNS has not read.
"""

from __future__ import annotations

import copy
from typing import Any

from mailprov.dns.extras import library
from mailprov.dns.providers.octodns import texts
from mailprov.dns.providers.octodns.contents import Contents
from mailprov.dns.providers.octodns.settings import NAME
from mailprov.dns.rrsets import Edit, values_after
from mailprov.errors import DnsFailed
from mailprov.i18n import _
from mailprov.records import types


def change(provider: Any, contents: Contents, edit: Edit, *, cuts: bool) -> Any:
    """`cuts`: it puts a text in quotes as it is, so the strings are cut here."""
    changes = library(NAME, "octodns.record.change")
    key = (edit.name, edit.type)
    old = contents.records.get(key)
    if old is contents.zone.root_ns and old is not None:
        raise _refused(edit, _("the name servers of a zone are not changed"))
    values = values_after(contents.snapshot, edit)
    if not values:
        return changes.Delete(old)
    there = contents.snapshot.get(key)
    new = _record(contents, edit, edit.ttl if edit.add or there is None else there.ttl, values)
    new.source = provider
    if old is not None:
        new.octodns = copy.deepcopy(old.octodns)
    if edit.type == "TXT":
        kind = type(new.values[0])
        new.values = sorted(kind(texts.cut(value) if cuts else value) for value in values)
    elif old is not None and hasattr(new, "values"):
        kept = dict(zip((one.value for one in contents.snapshot[key].stored), old.values, strict=True))
        made = dict(zip(values, new.values, strict=True))
        new.values = sorted(kept.get(value, made[value]) for value in values)
    if not provider.supports(new):
        raise _refused(edit, _("it has no such records"))
    if edit.type == "PTR" and len(values) > 1 and not provider.SUPPORTS_MULTIVALUE_PTR:
        raise _refused(edit, _("it takes one value at a name"))
    return changes.Create(new) if old is None else changes.Update(old, new)


def _record(contents: Contents, edit: Edit, ttl: int, values: list[str]) -> Any:
    record, rr = library(NAME, "octodns.record").Record, library(NAME, "octodns.record.rr")
    name = contents.zone.hostname_from_fqdn(f"{edit.name}.")
    if edit.type == "TXT":
        if odd := [value for value in values if texts.safe(value) != value]:
            raise _refused(edit, _("octoDNS cannot write every text as it is: {text}").format(text=odd[0]))
        data = {"type": "TXT", "ttl": ttl, "values": values}
        return record.new(contents.zone, name, data, lenient=True)
    made = []
    for value in values:
        rrset = rr.Rrset(f"{edit.name}.", edit.type, ttl, [types.render(edit.type, value)])
        made.append(record.from_rrset(contents.zone, rrset, lenient=True))
    if hasattr(made[0], "values"):
        made[0].values = [one.values[0] for one in made]  # in the order of `values`
    elif len(made) > 1:
        raise _refused(edit, _("it takes one value at a name"))
    return made[0]


def apply(provider: Any, contents: Contents, step: Any) -> None:
    plan = library(NAME, "octodns.provider.plan").Plan(contents.zone, _desired(contents.zone), [step], True)
    plan.raise_if_unsafe()
    if getattr(provider, "apply_disabled", False):
        raise DnsFailed(
            f"zone {_zone(contents)}",
            _("the settings forbid it to write anything (apply_disabled)"),
            _("Leave that out of dns.settings"),
        )
    # As low as it stands there already: a provider would raise the TTL of others together with ours.
    lowest, new = getattr(provider, "min_ttl", None), step.new
    if isinstance(lowest, int) and step.existing is not None and new is not None and new.ttl < lowest:
        provider.min_ttl = new.ttl
    provider.apply(plan)


def _desired(zone: Any) -> Any:
    """The zone as a plan has it, without what is in it."""

    def records(self: Any) -> Any:
        what = _("this provider of octoDNS writes zones as a whole, and with them what octoDNS did not read")
        raise DnsFailed(f"zone {self.decoded_name.removesuffix('.')}", what, _("Publish the records by hand"))

    plain = type(zone)
    return type("OneChange", (plain,), {"records": property(records)})(zone.name, [])


def _zone(contents: Contents) -> str:
    return str(contents.zone.name).removesuffix(".")


def _refused(edit: Edit, why: str) -> DnsFailed:
    return DnsFailed(
        f"zone {edit.name}",
        _("{record} cannot be written: {reason}").format(record=f"{edit.name} {edit.type}", reason=why),
        _("Publish that by hand"),
    )
