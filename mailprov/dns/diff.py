"""What has to change in one zone: existing records against desired ones. Pure; no driver's detail in it.

    plan_zone(zone, existing, desired, identity, take_over, kept, special, answered, wild, facts, fixed) -> ZoneDiff

Rules
- What is at a name and is not ours stays: foreign values are copied into the wanted set before comparing,
  so nothing later can lose them.
- Some things can stand only once (records/types says which: MX, SPF, DMARC, a DKIM key). A foreign value of these is
  a conflict, shown with what to do; `take_over` replaces it. To an SPF record our terms are added (foreign_spf.py).
- What the inventory did not ask for gives way to all of that and is no conflict (defaults.py).
- A foreign value that is equal to a wanted one stays foreign: somebody put it there before mailprov came, so it is
  never removed and never gets another TTL. That is told; `take_over` makes it ours where it can stand only once.
- A value that another inventory wrote too belongs to both: the last one that no longer wants it removes it.
- A value we wrote (ownership.py) that is no longer wanted is removed. Only such values are, and not those at names that
  are `kept`: what belongs there is not known in this run.
- A CNAME tolerates no data beside it (RFC 1034 section 3.6.2) and servers drop such an addition silently
  (RFC 2136 section 3.4.2.2), so it is a conflict, never a silent no-op.
- What is no plain DNS data at the provider (an alias, an address behind its proxy) is never touched, and where
  something is wanted in the same set it is a conflict that `take_over` does not solve either. A set that its driver
  cannot write back is no conflict as long as it stands as is wanted; what is left over there of ours is told.
- All records of a set share one TTL (RFC 2181 section 5.2). Where values of others are in the set, theirs
  stays.

Raises nothing: conflicts are values, so that those of all zones can be shown at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from mailprov.dns import aliases, defaults, foreign_spf, ownership
from mailprov.dns.foreign_spf import Facts, Settled
from mailprov.dns.rrsets import Edit, Key
from mailprov.dns.served import served
from mailprov.dns.shown import ends, listed, refused, shown
from mailprov.i18n import N_, _
from mailprov.model.events import Action, Change
from mailprov.model.records import Record
from mailprov.model.values import dataclass
from mailprov.plan import zone_details
from mailprov.records import types

TAKE_OVER = N_("Delete what is not wanted, or run again with --take-over to replace it")


@dataclass(frozen=True)
class Conflict:
    what: str
    advice: str


@dataclass(frozen=True)
class ZoneDiff:
    """`changes` and `edits` run in parallel: changes[i] is what a person sees of edits[i]."""

    changes: tuple[Change, ...] = ()
    edits: tuple[Edit, ...] = ()
    notices: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    unchanged: int = 0  # desired values that already stand
    compared: int = 0  # desired values
    first_seen: tuple[Record, ...] = ()  # that nobody asked for, and that do not stand yet


def plan_zone(
    zone: str,
    existing: Iterable[Record],
    desired: Iterable[Record],
    identity: ownership.Identity,
    take_over: bool = False,
    kept: Callable[[str], bool] = lambda name: False,
    special: Mapping[Key, str] | None = None,
    answered: Mapping[Key, Sequence[str]] | None = None,
    wild: Collection[str] = (),
    facts: Facts | None = None,
    fixed: Mapping[Key, str] | None = None,
) -> ZoneDiff:
    """Compare. `existing` holds whole RRsets: all that are desired, those in which we own values, the markers there may
    be of them, and CNAMEs met there; all names are in `zone`.

    `identity` is that of the whole inventory: ownership.py tells by it whose markers are ours. `special`, `fixed`: as
    in rrsets. `answered`, `wild`: what defaults.py looks at besides, `facts` what foreign_spf.py does.
    """
    stand = _grouped(existing)
    want = _grouped(desired)
    owned = ownership.gather(texts_in(stand), identity)
    if owned.newer:
        what = _("a marker in {zone} was written by a later mailprov ({beginning}…)").format(
            zone=zone, beginning=shown(owned.newer[:40])
        )
        return ZoneDiff(conflicts=(Conflict(what, _("Use that version of mailprov for this zone")),))

    settled = defaults.settle(want, stand, owned, special or {}, answered or {}, wild)
    want = settled.want
    others = aliases.beyond(stand, want, owned)
    blocked = {key: Conflict(*told) for key, told in aliases.in_the_way(stand, want, owned).items()}
    sets = [
        _Set(
            zone,
            key,
            want=want.get(key, []),
            stand=stand if key[1] == "CNAME" else others,
            owned=owned,
            take_over=take_over,
            special=(special or {}).get(key, ""),
            facts=facts or Facts(),
            fixed=(fixed or {}).get(key, ""),
        )
        for key in _order(want, owned)
        if key not in blocked and (key in want or not kept(key[0]))
    ]
    sets = aliases.in_order(sets, lambda one: one.edit or Edit(one.name, one.type, 0, (), ("",)))
    edits = [one.edit for one in sets if one.edit]
    changes = [one.change for one in sets if one.edit]
    untouched = {entry for entry in owned.entries if entry[:2] not in want and kept(entry[0])}
    entries = frozenset(entry for one in sets for entry in one.entries) | untouched
    ttl = next((r.ttl for records in want.values() for r in records), 3600)
    for edit, change in _markers(zone, stand, owned, entries, identity, ttl):
        edits.append(edit)
        changes.append(change)
    notices = [*settled.notices, *(text for one in sets for text in one.notices)]
    if same := [text for one in sets for text in one.not_ours]:
        notices.append(
            _(
                "stood in {zone} before mailprov and is as wanted, so mailprov never changes or removes it: {records}"
            ).format(zone=zone, records="; ".join(same))
        )
    return ZoneDiff(
        tuple(changes),
        tuple(edits),
        tuple(notices),
        (*(conflict for one in sets for conflict in one.conflicts), *blocked.values()),
        sum(one.unchanged for one in sets),
        sum(len(records) for records in want.values()),
        defaults.first_seen(want, stand),
    )


def texts_in(stand: dict[Key, list[Record]]) -> dict[str, list[str]]:
    """The texts at markers' names, by name."""
    return {
        name: [record.value for record in records]
        for (name, kind), records in stand.items()
        if kind == "TXT" and ownership.is_marker(name)
    }


def _markers(
    zone: str,
    stand: dict[Key, list[Record]],
    owned: ownership.Ownership,
    entries: Iterable[ownership.Entry],
    identity: ownership.Identity,
    ttl: int,
) -> Iterable[tuple[Edit, Change]]:
    """What makes the markers say that we own exactly these entries."""
    units: dict[str, set[ownership.Entry]] = defaultdict(set)
    for entry in entries:
        units[ownership.unit_of(entry[0], zone, identity.units)].add(entry)
    signs = [marker for marker in owned.theirs if marker.unit == zone and not marker.former]
    if units and not signs:
        units[zone]  # without entries if need be: there 0.1.0 looks, and stops
    by_unit: dict[str, list[ownership.Marker]] = defaultdict(list)
    for marker in owned.ours:
        by_unit[marker.unit].append(marker)
    for unit in dict.fromkeys([*units, *by_unit]):
        ours = by_unit[unit]
        told = units.get(unit)
        if told is None and unit == zone and units and any(not marker.former for marker in ours):
            told = set()  # it is a sign for 0.1.0 as well as that of the others
        if told is not None and len(ours) == 1:
            (marker,) = ours
            if marker.entries == told and identity.up_to_date(marker, zone):
                continue
        text = None
        if told is not None:
            text = ownership.render(unit, zone, ownership.named_at(unit, identity), told)
        remove = tuple(marker.text for marker in ours if marker.text != text)
        add = () if text is None or text in (marker.text for marker in ours) else (text,)
        key = (ownership.marker_name(unit), "TXT")
        edit = Edit(*key, next((r.ttl for r in stand.get(key, ())), ttl), remove, add)
        yield edit, _marker_change(zone, edit, ours, told)


class _Set:
    """One RRset judged: what to do with it, and what mailprov owns in it afterwards."""

    def __init__(
        self,
        zone: str,
        key: Key,
        *,
        want: list[Record],
        stand: dict[Key, list[Record]],
        owned: ownership.Ownership,
        take_over: bool,
        special: str,
        facts: Facts,
        fixed: str,
    ) -> None:
        self.name, self.type = key
        self.notices: list[str] = []
        self.not_ours: list[str] = []  # values as wanted that nobody's marker knows
        self.conflicts: list[Conflict] = []
        self.entries: set[ownership.Entry] = set()
        self.edit: Edit | None = None
        self.unchanged = 0
        self._zone, self._want = zone, want

        if want and (dname := stand.get((self.name, "DNAME"))):
            target = shown(dname[0].value)
            what = _("{name} is below a DNAME to {target}, so it cannot have a {type} record").format(
                name=self.name, target=target, type=self.type
            )
            self.conflicts.append(
                Conflict(
                    what, _("Remove the DNAME above {name}, or choose another name").format(name=self.name)
                )
            )
            return
        cname = stand.get((self.name, "CNAME")) if self.type != "CNAME" else None
        if cname:
            if want:
                target = shown(cname[0].value)
                what = _("{name} is a CNAME of {target}, so it cannot have a {type} record too").format(
                    name=self.name, target=target, type=self.type
                )
                self.conflicts.append(
                    Conflict(
                        what, _("Remove the CNAME at {name}, or choose another name").format(name=self.name)
                    )
                )
            return  # nothing of ours can stand beside a CNAME: there is nothing to remove either
        if special:
            if want:
                what = _("{name} {type} is {special}, so {values} cannot stand there").format(
                    name=self.name, type=self.type, special=special, values=listed(r.value for r in want)
                )
                self.conflicts.append(
                    Conflict(what, _("Change that at the provider, or choose another name"))
                )
            return

        before = {record.value: record.ttl for record in stand.get(key, [])}
        wanted = {record.value: record.ttl for record in want}
        only = {types.alone(self.name, self.type, value) for value in wanted} - {None}
        ours = {value for value in before if owned.owns(self.name, self.type, value)}
        if take_over:
            asked = {record.value for record in want if record.asked}
            ours |= {value for value in before if value in asked and types.alone(self.name, self.type, value)}
        merge = foreign_spf.settle(key, before, wanted, ours, owned, facts, take_over)
        self.notices += merge.notices
        if merge.conflict:
            self.conflicts.append(Conflict(*merge.conflict))
            return
        wanted, ours = merge.wanted, ours | merge.replaced
        if not take_over:
            wanted = served(key, before, wanted, ours)
        rivals = [
            v
            for v in before
            if v not in ours and v not in wanted and types.alone(self.name, self.type, v) in only
        ]
        if rivals and take_over:
            ours |= set(rivals)
        elif rivals:
            self._refuse(before, rivals, wanted)
            return
        shared = {value for value in before if owned.shared(self.name, self.type, value)}
        self._settle(before, wanted, ours, shared, merge)
        if self.edit and fixed:
            self._leave(self.edit, fixed, owned)

    def _settle(
        self, before: dict[str, int], wanted: dict[str, int], ours: set[str], shared: set[str], merge: Settled
    ) -> None:
        """`ours`: values that stand and that make way for wanted ones. `shared`: those that other inventories own."""
        foreign = [value for value in before if value not in ours and value not in shared]
        others = [value for value in before if value not in ours or value in shared]
        remove = tuple(value for value in before if value not in others and value not in wanted)
        add = tuple(value for value in wanted if value not in before)
        self.unchanged = len(wanted) - len(add)
        self.entries = {
            (self.name, self.type, ownership.digest(self.type, value))
            for value in wanted
            if value not in foreign and value != merge.merged
        } | merge.entries
        if same := [value for value in foreign if value in wanted and value != merge.merged]:
            self.not_ours.append(f"{self.name} {self.type} {listed(same)}")
        ttl_now = next(iter(before.values()), None)
        ttl = next(iter(wanted.values()), ttl_now or 0)
        ttl_note = ""
        if (others or merge.merged) and ttl_now is not None:
            ttl = ttl_now
        elif wanted and before and ttl_now != ttl:
            add, ttl_note = tuple(wanted), f" (ttl {ttl_now} → {ttl})"
        if remove or add:
            self.edit = Edit(self.name, self.type, ttl, remove, add)
            old = [value for value in before if value not in others]
            new = [v for v in wanted if v not in others]
            self.change = change_of(self._zone, self.edit, old, new, ttl_note)
            named = [
                record for record in self._want if record.value in add or merge.stands_for(record.value, add)
            ]
            if of := next(iter(named), None):
                self.change = replace(self.change, label=of.label, need=of.need, purpose=of.purpose)
        if self.type in ("A", "AAAA") and wanted:
            besides = [value for value in foreign if value not in wanted]
            if besides:
                self.notices.append(
                    _(
                        "{name} {type} also has {addresses}, which mailprov did not write; it stays, and some "
                        "mail will go there: delete it by hand if it is not that host's"
                    ).format(name=self.name, type=self.type, addresses=", ".join(besides))
                )

    def _leave(self, edit: Edit, fixed: str, owned: ownership.Ownership) -> None:
        """As it stands, with all that we own in it."""
        self.edit = None
        said = {"name": self.name, "type": self.type, "what": fixed}
        if self._want:
            what = _("{name} {type} has {what}, so {values} cannot be written there").format(
                **said, values=listed(record.value for record in self._want)
            )
            self.conflicts.append(Conflict(what, _("Change that at the provider, or publish it by hand")))
            return
        self.entries |= {
            (self.name, self.type, ownership.digest(self.type, value))
            for value in edit.remove
            if owned.owns(self.name, self.type, value)
        }
        self.notices.append(
            _("{name} {type} has {what}, so this stays there; remove it by hand: {values}").format(
                **said, values=listed(edit.remove)
            )
        )

    def _refuse(self, before: dict[str, int], rivals: list[str], wanted: dict[str, int]) -> None:
        kind = types.alone(self.name, self.type, rivals[0])
        same = [v for v in before if types.alone(self.name, self.type, v) == kind]
        goal = refused(v for v in wanted if types.alone(self.name, self.type, v) == kind)
        label = _(kind.name) if kind else self.type
        if self.type == "TXT" and len(same) > 1:
            what = _(
                "{name} has {count} {type} records where there may be only one: {values} (wanted: {wanted})"
            ).format(name=self.name, count=len(same), type=label, values=refused(same), wanted=goal)
        else:
            what = _("{name} has {type} that mailprov did not write: {values} (wanted: {wanted})").format(
                name=self.name, type=label, values=refused(rivals), wanted=goal
            )
        # Two clauses, each of its own; what else could be done is the type's to know.
        advice = "; ".join(map(_, filter(None, (TAKE_OVER, kind.otherwise if kind else ""))))
        self.conflicts.append(Conflict(what, advice))


def _grouped(records: Iterable[Record]) -> dict[Key, list[Record]]:
    result: dict[Key, list[Record]] = defaultdict(list)
    for record in dict.fromkeys(records):
        result[record.name, record.type].append(record)
    return dict(result)


def _order(want: dict[Key, list[Record]], owned: ownership.Ownership) -> list[Key]:
    """Desired sets in their order, then sets in which only leftovers of ours can be."""
    return list(dict.fromkeys([*want, *sorted((name, kind) for name, kind, __ in owned.entries)]))


def change_of(zone: str, edit: Edit, old: list[str], new: list[str], ttl_note: str) -> Change:
    """What a person sees of an edit that makes values `new` of `old`."""
    if not old:
        action, detail = Action.CREATE, listed(new)
    elif not new:
        action, detail = Action.DELETE, listed(old)
    else:
        action = Action.UPDATE
        detail = f"{listed(old)} → {listed(new)}" if set(old) != set(new) else listed(new)
        if (
            len(old) == len(new) == 1
            and old != new
            and all(value.startswith("v=DKIM1") for value in old + new)
        ):
            detail = zone_details.new_key(ends(old[0]), ends(new[0]))
        elif set(old) != set(new) and listed(old) == listed(new):
            detail = zone_details.another_key(detail)
    return Change(f"zone {zone}", "record", action, f"{edit.name} {edit.type}", detail + ttl_note)


def _marker_change(
    zone: str, edit: Edit, ours: list[ownership.Marker], entries: set[ownership.Entry] | None
) -> Change:
    """What a person sees of a marker's edit."""
    action = Action.UPDATE if ours and entries is not None else Action.DELETE if ours else Action.CREATE
    count = len(entries or ()) or sum(len(marker.entries) for marker in ours)
    detail = zone_details.marker(count, replaces_first=any(marker.former for marker in ours))
    return Change(f"zone {zone}", "record", action, f"{edit.name} {edit.type}", detail)
