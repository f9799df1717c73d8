"""DNS UPDATE (RFC 2136) with TSIG (RFC 8945): plan against the primary, change by compare-and-swap, read
back.

    plan(inventory, take_over, keys) -> list[ZonePlan]
    image(zone_plan) -> Image | None
    apply(zone_plan, emit)

One UPDATE message per zone, which the server does whole or not at all. Its prerequisites hold every touched
RRset as it was read, so a change by somebody else in between is never overwritten: then the zone is read
and planned once more, and done only if that asks for nothing that was not shown. NOERROR is no proof (RFC
2136 section 3.4.2.2 lets a server drop additions silently): what counts is what is read back.

Raises DnsFailed, DnsUnreachable, InputError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from mailprov.dns import memory, undo, update, zones
from mailprov.dns.diff import ZoneDiff, plan_zone, wanted_keys
from mailprov.dns.rdata import from_rdata
from mailprov.dns.session import Session
from mailprov.dns.zoneplan import ZonePlan
from mailprov.errors import DnsFailed, DnsUnreachable
from mailprov.model.dkim import PublicKeys
from mailprov.model.events import Applied, Change, Emit, Notice, Progress
from mailprov.model.inventory import DnsSettings, Inventory
from mailprov.model.records import Record
from mailprov.records import desired_records, kept


@dataclass(frozen=True)
class Work:
    """What apply needs of a plan, and nobody else looks at. `look` reads and compares once more."""

    settings: DnsSettings
    snapshot: zones.Snapshot
    diff: ZoneDiff
    look: Callable[[Session], tuple[zones.Snapshot, ZoneDiff]]


def plan(inventory: Inventory, take_over: bool = False, keys: PublicKeys | None = None) -> list[ZonePlan]:
    """Read every zone the inventory needs and compare. One plan per zone, also where nothing changes.

    DnsFailed when a domain's zone is not on the server, or when records stand in the way (all of them in
    one message).
    """
    desired = desired_records(inventory, keys)
    mail_names = [name for domain in inventory.domains for name in (domain.name, *domain.domain_aliases)]
    identity = tuple(domain.name for domain in inventory.domains) or tuple(
        host.fqdn for host in inventory.hosts
    )
    with Session(inventory.dns) as session:
        found = zones.find_zones(session, dict.fromkeys(record.name for record in desired))
        by_zone, notices = _sort(session, desired, found, mail_names)
        plans: list[ZonePlan] = []
        conflicts: list[tuple[str, ZoneDiff]] = []
        gone: dict[str, None] = {}
        for zone, records in by_zone.items():
            look = partial(
                _look,
                zone=zone,
                desired=tuple(records),
                identity=identity,
                take_over=take_over,
                kept=kept(inventory, keys or {}),
            )
            snapshot, diff = look(session)
            gone.update(dict.fromkeys(memory.left_behind(_texts(snapshot, zone), identity)))
            if diff.conflicts:
                conflicts.append((zone, diff))
            work = Work(inventory.dns, snapshot, diff, look)
            plans.append(
                ZonePlan(zone, diff.changes, diff.notices, diff.unchanged, _compared(diff), work=work)
            )
        gone_now = [name for name in gone if name not in mail_names]
        notices += _leftovers(session, gone_now, identity, by_zone)
    if conflicts:
        raise _refusal(conflicts)
    return [*plans, ZonePlan("", (), notices)] if notices else plans


def _sort(
    session: Session, desired: list[Record], found: zones.Zones, mail_names: list[str]
) -> tuple[dict[str, list[Record]], tuple[str, ...]]:
    """Records by zone. A mail domain without a zone is an error; a host's name elsewhere is only worth a
    notice.
    """
    by_zone: dict[str, list[Record]] = {}
    missing: dict[str, None] = {}
    elsewhere: dict[str, list[str]] = {}
    for record in desired:
        zone = found.zone_of[record.name]
        if zone:
            by_zone.setdefault(zone, []).append(record)
        elif owner := next((m for m in mail_names if record.name in (m, f"_dmarc.{m}")), None):
            missing[owner] = None
        else:
            elsewhere.setdefault(record.name, []).append(f"{record.type} {record.value}")
    if missing:
        seen = "; ".join(found.seen.get(name) or found.seen[f"_dmarc.{name}"] for name in missing)
        raise DnsFailed(
            session.where,
            f"the zone of {', '.join(missing)} is not there ({seen})",
            "Create the zone on that server, or name the server that has it in dns.server",
        )
    notices = tuple(
        f"{name} is in no zone of {session.where} ({found.seen[name]}); "
        f"publish by hand where it belongs: {', '.join(values)}"
        for name, values in elsewhere.items()
    )
    return by_zone, notices


def _read(session: Session, zone: str, desired: Sequence[Record], identity: Sequence[str]) -> zones.Snapshot:
    """All RRsets that matter: the memory first, because it names sets that are no longer desired."""
    marker = (memory.marker_name(zone), "TXT")
    snapshot = zones.read(session, zone, [marker])
    owned = memory.recall(zone, _texts(snapshot, zone), identity)
    return {**snapshot, **zones.read(session, zone, wanted_keys(zone, desired, owned) - {marker})}


def _texts(snapshot: zones.Snapshot, zone: str) -> list[str]:
    """What stands at the memory's name."""
    marker = snapshot.get((memory.marker_name(zone), "TXT"))
    return [from_rdata(rdata) for rdata in marker.rdatas] if marker else []


def _leftovers(
    session: Session, gone: Sequence[str], identity: Sequence[str], planned: Collection[str]
) -> tuple[str, ...]:
    """A notice for each zone that we wrote for a domain which has left the inventory, and that no plan is about.

    Its memory still names domains of this inventory beside it, unless another inventory has it now.
    """
    if not gone:
        return ()
    found = zones.find_zones(session, gone)
    notices = []
    for name in gone:
        zone = found.zone_of[name]
        if not zone or zone in planned:
            continue
        marker = memory.marker_name(zone)
        texts = _texts(zones.read(session, zone, [(marker, "TXT")]), zone)
        ours = [text for text in texts if name in memory.left_behind([text], identity)]
        entries = memory.recall(zone, ours, [name]).entries
        if entries:
            sets = ", ".join(sorted({f"{owner} {kind}" for owner, kind, _ in entries}))
            notices.append(
                f"{name} has left the inventory, and its zone still leads mail here; "
                f"remove from {zone} by hand: {sets}, {marker} TXT"
            )
    return tuple(notices)


def _look(
    session: Session,
    *,
    zone: str,
    desired: Sequence[Record],
    identity: Sequence[str],
    take_over: bool,
    kept: Callable[[str], bool],
) -> tuple[zones.Snapshot, ZoneDiff]:
    snapshot = _read(session, zone, desired, identity)
    return snapshot, plan_zone(zone, zones.as_records(snapshot), desired, identity, take_over, kept)


def image(zone_plan: ZonePlan) -> undo.Image | None:
    """What the plan changes, for taking it back later; None when it changes nothing."""
    if not zone_plan.changes:
        return None
    assert isinstance(zone_plan.work, Work)
    return undo.image(zone_plan.zone, zone_plan.work.diff.edits, zones.as_records(zone_plan.work.snapshot))


def _compared(diff: ZoneDiff) -> str:
    return f"{diff.compared} record{'' if diff.compared == 1 else 's'}"


def _refusal(conflicts: list[tuple[str, ZoneDiff]]) -> DnsFailed:
    where = "zone " + ", ".join(zone for zone, _ in conflicts)
    every = [conflict for _, diff in conflicts for conflict in diff.conflicts]
    advice = ". ".join(dict.fromkeys(conflict.advice for conflict in every))
    return DnsFailed(where, "; ".join(conflict.what for conflict in every), advice)


def apply(zone_plan: ZonePlan, emit: Emit) -> None:
    """Do what the plan showed, and say so for each change once it has been read back. No changes: no
    traffic at all.

    DnsFailed when the server refuses, when somebody keeps changing the same records, or when the read-back
    differs.
    """
    if not zone_plan.changes:
        return
    work = zone_plan.work
    assert isinstance(work, Work)
    began = time.monotonic()
    emit(Progress(zone_plan.subject, f"updating {len(zone_plan.changes)} record sets"))
    with Session(work.settings) as session:
        diff = work.diff

        def say(text: str) -> None:
            emit(Notice(zone_plan.subject, text))

        try:
            done = update.send(session, zone_plan.zone, work.snapshot, diff.edits, say)
        except (DnsUnreachable, DnsFailed) as lost:
            update.after_silence(session, zone_plan.zone, diff.edits, lost)
            say("no usable answer came to the update; read back from the server, all of it stands")
            done = True
        if not done:
            snapshot, diff = _again(session, zone_plan, work)
            if diff.edits and not update.send(session, zone_plan.zone, snapshot, diff.edits, say):
                raise _moved(zone_plan, "its records were changed by somebody else twice in a row")
        missing = update.not_as_wanted(session, zone_plan.zone, diff.edits)
        if missing:
            raise update.no_effect(session, zone_plan.zone, missing)
        changes = [*_done_already(session, zone_plan.zone, work.diff, diff), *diff.changes]
    for change in changes:
        emit(Applied(change, time.monotonic() - began))


def _done_already(session: Session, zone: str, planned: ZoneDiff, left: ZoneDiff) -> list[Change]:
    """What was planned, was not left to do when the zone was read once more, and stands.

    The server may have done the update and the answer may have been lost: the connection was closed, session.py sent it
    again, and it met its own work.
    """
    names = {change.name for change in left.changes}
    gone = [
        (edit, change)
        for edit, change in zip(planned.edits, planned.changes, strict=True)
        if change.name not in names
    ]
    missing = update.not_as_wanted(session, zone, [edit for edit, _ in gone])
    return [change for edit, change in gone if f"{edit.name} {edit.type}" not in missing]


def _again(session: Session, zone_plan: ZonePlan, work: Work) -> tuple[zones.Snapshot, ZoneDiff]:
    """Read and plan once more; only what the user has seen may be done."""
    zone = zone_plan.zone
    snapshot, diff = work.look(session)
    if diff.conflicts:
        raise _refusal([(zone, diff)])
    # The memory's text depends on all the rest and nobody approves of it as such.
    marker = f"{memory.marker_name(zone)} TXT"
    unseen = [c for c in diff.changes if c not in zone_plan.changes and c.name != marker]
    if unseen:
        raise _moved(
            zone_plan, f"it was changed since the plan was made, and now would need: {_brief(unseen)}"
        )
    return snapshot, diff


def _brief(changes: Iterable[Change]) -> str:
    return "; ".join(f"{change.action.value} {change.name} {change.detail}" for change in changes)


def _moved(zone_plan: ZonePlan, what: str) -> DnsFailed:
    return DnsFailed(zone_plan.subject, f"{what}; nothing was written", "Run the command again")
