"""Plans the zones of a provider that can write them: what stands is read (survey.py) and compared
(diff.py).

    plan(inventory, take_over, keys, served, covers, tls, switching) -> list[ZonePlan]
    refusal(conflicts) -> DnsFailed
    turn(diff)                     when a zone is written

Raises DnsFailed, DnsUnreachable, InputError.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from mailprov.dns import defaults, placing, routes, signing, spf_facts
from mailprov.dns.diff import ZoneDiff, plan_zone
from mailprov.dns.driver import Driver
from mailprov.dns.foreign_spf import Facts
from mailprov.dns.ownership import Identity
from mailprov.dns.possible import possible
from mailprov.dns.rrsets import Key, Snapshot, ancestors, as_records, fixed, special
from mailprov.dns.stock import Told
from mailprov.dns.survey import Survey, survey
from mailprov.dns.wildcards import shadowed, stored
from mailprov.dns.zoneplan import ADDRESSES, GOING, LEAVING, OTHERS, Departures, Work, ZonePlan
from mailprov.errors import DnsFailed
from mailprov.i18n import _, ngettext
from mailprov.model.dkim import PublicKeys
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Inventory
from mailprov.model.records import Record
from mailprov.model.tls_keys import ServedKeys
from mailprov.model.values import dataclass, field
from mailprov.records import desired_records, kept, types
from mailprov.records.types import ptr


@dataclass(frozen=True)
class _Wishes:
    """What is wanted of all zones. `of_addresses`: those with PTR records, which no mail domain leads to: the markers
    of all others name them, so that they are found when the last PTR there is not wanted any more.
    """

    desired: tuple[Record, ...]
    identity: Identity
    told: Told
    take_over: bool
    kept: Callable[[str], bool]
    of_addresses: frozenset[str] = frozenset()
    facts: Facts = field(default_factory=Facts)

    def settled(self, found: signing.Settled) -> _Wishes:
        kept = self.kept
        return replace(self, desired=found.desired, kept=lambda name: kept(name) or name in found.kept)

    def within(self, names: Collection[str]) -> _Wishes:
        return replace(self, desired=tuple(record for record in self.desired if record.name in names))


def plan(
    inventory: Inventory,
    take_over: bool = False,
    keys: PublicKeys | None = None,
    served: Told | None = None,
    covers: Callable[[str], bool] = lambda zone: True,
    tls: ServedKeys | None = None,
    switching: bool = False,
) -> list[ZonePlan]:
    """Read every zone the inventory needs and compare. One plan per zone, also where nothing changes.

    DnsFailed when a domain's zone is not on the server, or when records stand in the way (all of them in
    one message). Of several providers each fails for itself: then that is the `error` of a plan. `covers`: zones and
    names that it does not hold for are in no plan and stop nothing.
    """
    settings = inventory.dns
    every = tuple(name for domain in inventory.domains for name in (domain.name, *domain.domain_aliases))
    names = tuple(name for name in every if settings.at(name).provider.publishes)
    hosts = tuple(host.fqdn for host in inventory.hosts)
    with routes.open_driver(settings) as driver:
        desired, limits = possible(desired_records(inventory, keys, tls), settings, driver)
        wishes = _Wishes(
            desired,
            Identity(
                names,
                tuple(name for name in hosts if settings.at(name).provider.publishes),
                in_use=_above_pointers(desired),
            ),
            served or {},
            take_over,
            kept(inventory, keys or {}, tls),
        )
        seen = survey(driver, wishes.desired, wishes.identity, wishes.told, covers=covers)
        settled = signing.settle(driver, inventory, wishes.desired, seen.places, tls or {}, switching)
        if not take_over:
            covered = {zone: there for zone, there in seen.snapshots.items() if covers(zone)}
            wishes = replace(wishes, facts=spf_facts.gather(driver, inventory, desired, covered))
        wishes = wishes.settled(settled)
        by_zone, notices = placing.sort(driver, wishes.desired, seen.places, names, covers)
        of_addresses = {
            zone for zone, records in by_zone.items() if any(one.type == "PTR" for one in records)
        }
        named = {name for markers in seen.ours.values() for marker in markers for name in marker.named}
        of_addresses |= {name for name in named & wishes.identity.in_use if driver.failure(name)}
        wishes = replace(wishes, of_addresses=frozenset(of_addresses))
        lost = [name for name, zone in seen.gone.items() if zone is None]
        # One that is published by hand now, or whose provider could not be asked, is no news.
        missed = (name for name in lost if name not in every and driver.failure(name) is None)
        notices += (*limits, *settled.notices)
        notices += tuple(placing.unreachable(driver, settings, seen, name) for name in missed)
    departures = Departures({name: zone for name, zone in seen.gone.items() if zone})
    plans: list[ZonePlan] = []
    conflicts: list[tuple[str, ZoneDiff]] = []
    # First those of which everything leaves: once that is done, the others need not name it any more.
    for zone in dict.fromkeys([*(zone for zone in seen.ours if zone not in by_zone), *by_zone]):
        if not covers(zone) or driver.failure(zone):
            continue
        diff = _compare(zone, seen, by_zone.get(zone, []), wishes, frozenset(lost))
        if zone not in by_zone and (diff.conflicts or not diff.edits):
            notices += tuple(f"{one.what}. {one.advice}" for one in diff.conflicts)
            departures.zone_of = {name: own for name, own in departures.zone_of.items() if own != zone}
            continue
        if diff.conflicts:
            conflicts.append((zone, diff))
        elif not diff.edits:
            departures.cleaned.add(
                zone
            )  # in an earlier run: nothing of those who left it stands there any more
        names_here = {record.name for record in by_zone.get(zone, [])}
        look = partial(
            _look,
            zone=zone,
            wishes=wishes.within(names_here),
            also=[marker.unit for marker in seen.ours.get(zone, ())],
            lost=frozenset(lost),
        )
        work = Work(inventory.dns, seen.snapshots.get(zone, {}), diff, look, names, departures)
        plans.append(
            ZonePlan(
                zone,
                diff.changes,
                diff.notices,
                diff.unchanged,
                compared(diff),
                turn=LEAVING if zone in departures.zone_of.values() else turn(diff),
                work=work,
            )
        )
    if conflicts:
        raise refusal(conflicts)
    if task := ptr.task(_new_addresses(inventory, plans), settings):
        notices += (task,)
    fresh = [name for __, name in _new_addresses(inventory, plans)]
    notices += (text,) if (text := signing.task(settled.unsigned, fresh)) else ()
    notices += defaults.notes(one for plan in plans if plan.work for one in plan.work.diff.first_seen)
    weaker = (text for plan in plans if plan.changes for text in driver.at(plan.zone).weaker)
    notices += tuple(dict.fromkeys(weaker))
    if seen.wild:
        plans = _with_shadows(settings, plans, seen)
    plans += placing.failures(driver, inventory, every, wishes.desired, covers)
    notices += placing.by_hand(inventory, keys, covers)
    return [*plans, ZonePlan("", (), notices)] if notices else plans


def _above_pointers(desired: Iterable[Record]) -> frozenset[str]:
    """Names that may be the zones of these PTR records."""
    return frozenset(above for one in desired if one.type == "PTR" for above in ancestors(one.name))


def _new_addresses(inventory: Inventory, plans: Sequence[ZonePlan]) -> Iterator[tuple[str, str]]:
    """(address, host's name) of hosts that get it by these plans."""
    hosts = {host.fqdn for host in inventory.hosts}
    for plan in plans:
        for edit in plan.work.diff.edits if plan.work else ():
            if plan.work and edit.name in hosts and edit.type in ("A", "AAAA"):
                there = plan.work.snapshot.get((edit.name, edit.type))
                known = there.values if there else ()
                yield from ((value, edit.name) for value in edit.add if value not in known)


def _with_shadows(settings: DnsSettings, plans: list[ZonePlan], seen: Survey) -> list[ZonePlan]:
    """The plans that also tell what wildcards lose by them."""
    told = []
    with routes.open_driver(settings) as driver:
        for plan in plans:
            if plan.work is None:
                continue
            work = replace(plan.work, wild=frozenset(seen.wild))
            lost = shadowed(
                driver.at(plan.zone), plan.zone, seen.wild, work.snapshot, work.diff.edits, seen.answers
            )
            told.append(replace(plan, notices=(*plan.notices, *lost), work=work))
    return told


def _compare(
    zone: str, seen: Survey, desired: Sequence[Record], wishes: _Wishes, pending: frozenset[str]
) -> ZoneDiff:
    identity = replace(seen.identity, pending=pending | wishes.of_addresses)
    stands = seen.snapshots.get(zone, {})
    asked = {(record.name, record.type) for record in desired if not record.asked}
    asked |= {key for record in desired for key in types.above(record)}
    answered = {key: seen.answers[key].sets[key].values for key in asked if _is_told(seen, key)}
    return plan_zone(
        zone,
        as_records(stands),
        desired,
        identity,
        wishes.take_over,
        wishes.kept,
        special(stands),
        answered,
        stored(seen.wild, seen.answers),
        wishes.facts,
        fixed(stands),
    )


def _is_told(seen: Survey, key: Key) -> bool:
    answer = seen.answers.get(key)
    return answer is not None and answer.error is None and key in answer.sets


def _look(
    driver: Driver,
    waiting: frozenset[str],
    *,
    zone: str,
    wishes: _Wishes,
    also: Iterable[str],
    lost: frozenset[str],
) -> tuple[Snapshot, ZoneDiff]:
    """Read and compare this zone once more. `also`: where our markers stood before."""
    desired = wishes.desired
    seen = survey(driver, desired, wishes.identity, wishes.told, also)
    moved = [record.name for record in desired if seen.places[record.name].zone != zone]
    if moved:
        now = seen.places[moved[0]].zone
        what = (
            _("{name} is now in zone {zone}; nothing was written").format(name=moved[0], zone=now)
            if now
            else _("{name} is in no zone any more ({reason}); nothing was written").format(
                name=moved[0], reason=seen.places[moved[0]].seen
            )
        )
        raise DnsFailed(
            f"zone {zone}",
            what,
            _("Look at a new plan, then try again"),
        )
    diff = _compare(zone, seen, desired, wishes, lost | waiting)
    return seen.snapshots.get(zone, {}), diff


def compared(diff: ZoneDiff) -> str:
    return ngettext("{count} record", "{count} records", diff.compared).format(count=diff.compared)


def turn(diff: ZoneDiff) -> int:
    """Of a zone that no domain leaves (zoneplan.py)."""
    addresses = [edit for edit in diff.edits if edit.type in ("A", "AAAA")]
    if any(edit.add for edit in addresses):
        return ADDRESSES
    return GOING if addresses else OTHERS


def refusal(conflicts: list[tuple[str, ZoneDiff]]) -> DnsFailed:
    where = "zone " + ", ".join(zone for zone, __ in conflicts)
    every = [conflict for __, diff in conflicts for conflict in diff.conflicts]
    advice = ". ".join(dict.fromkeys(conflict.advice for conflict in every))
    return DnsFailed(where, "; ".join(conflict.what for conflict in every), advice)
