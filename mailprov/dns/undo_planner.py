"""Taking back what a run changed in zones: its images, which hosts kept, against what stands there now. Reads only.

    plan_undo(inventory, images, served) -> list[ZonePlan]     for publishing.publish

All zones are read at once: one round, and one more where something reads like what a wildcard makes up. What of an
image is believed: seal.py and unsealed.py. What is to be edited: undo.py. Raises as publishing.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from mailprov.dns import ownership, reading, routes, seal, undo, undo_keys, unsealed
from mailprov.dns.diff import ZoneDiff
from mailprov.dns.driver import Driver
from mailprov.dns.planner import compared, turn
from mailprov.dns.rrsets import Key, Snapshot, as_records, fixed, special
from mailprov.dns.zoneplan import Work, ZonePlan
from mailprov.i18n import _
from mailprov.model.hostnames import inside
from mailprov.model.inventory import Inventory


def plan_undo(
    inventory: Inventory, images: Iterable[undo.Image], served: Mapping[str, Collection[str]]
) -> list[ZonePlan]:
    """How to take these changes (the oldest first) back; reads only. What is not believed of them is left alone.

    In `images` "told" names the hosts that tell an image. Where a zone has images with the controller's seal, others
    of this zone are passed over. `served`: see undo_keys.py.
    """
    told: dict[str, list[undo.Image]] = {}
    for image in images:
        told.setdefault(image["zone"], []).append(image)
    sealed = {
        zone: [image for image in each if seal.genuine(image, inventory.dns)] for zone, each in told.items()
    }
    whole = {zone: undo.merged(sealed[zone] or each)[zone] for zone, each in told.items()}
    with routes.open_driver(inventory.dns, strict=True) as driver:
        snapshots, wild = reading.read_zones(driver, {zone: _reads(one) for zone, one in whole.items()})
    return [
        _plan(
            inventory,
            undo_keys.settled(one, served),
            snapshots[zone],
            told[zone],
            wild,
            sealed=bool(sealed[zone]),
        )
        for zone, one in whole.items()
    ]


def _plan(
    inventory: Inventory,
    settled: undo_keys.Settled,
    snapshot: Snapshot,
    images: Sequence[undo.Image],
    wild: frozenset[str],
    *,
    sealed: bool,
) -> ZonePlan:
    """Of one zone, which stands as in `snapshot`. `settled`: all its `images`, merged. `wild`: wildcards met."""
    one, aside = settled.image, settled.apart
    zone = one["zone"]
    back = partial(_back, one=one, literal=not settled.notices, apart=aside)
    found = back(snapshot)
    doubts = [] if sealed else _doubts(inventory, snapshot, found.diff, images)
    if doubts:
        # What the zone bears out goes back all the same, if there is any.
        doubts += _led_to(doubts, snapshot, one)
        rest = {**one, "sets": [s for s in one["sets"] if _place(s) not in doubts]}
        apart = [*aside, *((s["name"], s["type"]) for s in one["sets"] if _place(s) in doubts)]
        back = partial(_back, one=rest, literal=False, apart=apart)
        found = back(snapshot)
        if set(map(_place, one["sets"])) <= set(doubts) or _doubts(inventory, snapshot, found.diff, images):
            found = undo.Undo(ZoneDiff())
    diff = found.diff
    notices, left = (*settled.notices, *diff.notices), found.left
    if doubts:
        nothing = not diff.edits
        notices = (*notices, _why(zone, doubts, images, whole=nothing))
        # In a zone that several share, what is other hosts' to tell is theirs to put back: no failure here.
        mine = [place for place in doubts if not _of_others(inventory, place, images)]
        left = (*left, *((f"zone {zone}",) if nothing and mine else mine))
    units = tuple(
        each["name"].removeprefix(ownership.marker_name(""))
        for each in one["sets"]
        if ownership.is_marker(each["name"])
    )
    work = Work(inventory.dns, snapshot, diff, partial(_look, one=one, back=back), units, wild=wild)
    return ZonePlan(zone, diff.changes, notices, 0, compared(diff), left=left, turn=turn(diff), work=work)


def _place(each: dict[str, Any]) -> str:
    return f"{each['name']} {each['type']}"


def _led_to(doubts: Collection[str], snapshot: Snapshot, one: undo.Image) -> list[str]:
    """The addresses to which an MX leads that is left: they stay with it, or mail for the domain is lost."""
    targets = {
        record.value.partition(" ")[2]
        for record in as_records(snapshot)
        if record.type == "MX" and f"{record.name} MX" in doubts
    }
    sets = [s for s in one["sets"] if s["type"] in ("A", "AAAA") and s["name"] in targets]
    return [_place(s) for s in sets if _place(s) not in doubts]


def _of_others(inventory: Inventory, place: str, images: Sequence[undo.Image]) -> bool:
    """Whether a set is of a domain, or of a host's name, that none of those serves who tell these images."""
    tellers = {host for names in _tellers(images) for host in names}
    if not tellers & {host.name for host in inventory.hosts}:
        return False  # an undo file: nobody else knows of it
    serving: dict[str, set[str]] = {host.fqdn: {host.name} for host in inventory.hosts}
    serving |= {inventory.sender_domain(host): {host.name} for host in inventory.hosts}
    for domain in inventory.domains:
        for name in (domain.name, *domain.domain_aliases):
            serving[name] = {*domain.hosts, *serving.get(name, ())}
    name = place.partition(" ")[0]
    units = [unit for unit in serving if inside(name, unit)]
    return bool(units) and not serving[max(units, key=len)] & tellers


def _tellers(images: Sequence[undo.Image]) -> set[tuple[str, ...]]:
    return {tuple(image.get("told", ())) for image in images}


def _doubts(
    inventory: Inventory, snapshot: Snapshot, diff: ZoneDiff, images: Sequence[undo.Image]
) -> list[str]:
    """Sets of which the images have no seal, and the zone does not bear them out; all, where hosts differ."""
    if not diff.edits:
        return []
    if len(tellers := _tellers(images)) > 1:
        return [_place(each) for image in images for each in image["sets"]]
    hosts = {host for names in tellers for host in names}
    return unsealed.doubts(diff.edits, as_records(snapshot), hosts=hosts, inventory=inventory)


def _why(zone: str, doubts: Sequence[str], images: Sequence[undo.Image], *, whole: bool) -> str:
    tellers = _tellers(images)
    hosts = ", ".join(sorted({host for names in tellers for host in names})) or _("a host")
    if len(tellers) > 1:
        return _(
            "{zone} is left alone: its hosts ({hosts}) report different states of it from before that run, none with a "
            "seal of mailprov; put back by hand what is to be put back"
        ).format(zone=zone, hosts=hosts)
    if whole:
        return _(
            "{zone} is left alone: what {hosts} reports of {records} from before that run has no seal of mailprov, and "
            "its markers in the zone do not confirm it; put back by hand what is to be put back"
        ).format(zone=zone, hosts=hosts, records=", ".join(doubts))
    return _(
        "left alone: {records}; what {hosts} reports from before that run has no seal of mailprov, and its markers in "
        "the zone do not confirm it; put back by hand what is to be put back"
    ).format(records=", ".join(doubts), hosts=hosts)


def _reads(one: undo.Image) -> set[Key]:
    """With the zone's SOA: guard.py compares it with what it reads later."""
    return {*undo.reads(one), (one["zone"], "SOA")}


def _back(snapshot: Snapshot, *, one: undo.Image, literal: bool, apart: Collection[Key] = ()) -> undo.Undo:
    records = as_records(snapshot)
    return undo.undo_zone(
        one, records, literal=literal, apart=apart, special={**special(snapshot), **fixed(snapshot)}
    )


def _look(
    driver: Driver,
    waiting: frozenset[str],
    *,
    one: undo.Image,
    back: Callable[[Snapshot], undo.Undo],
) -> tuple[Snapshot, ZoneDiff]:
    """Read once more."""
    snapshot = reading.read(driver, one["zone"], _reads(one))
    return snapshot, back(snapshot).diff
