"""Taking back what a run changed in zones: its images, which hosts kept, against what stands there now. Reads only.

    plan_undo(inventory, images) -> list[ZonePlan]     for rfc2136.apply

What of an image is believed: seal.py and unsealed.py. What is to be edited: undo.py. Raises as rfc2136.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from mailprov.dns import ownership, seal, undo, unsealed, zones
from mailprov.dns.diff import ZoneDiff
from mailprov.dns.planner import Work, compared
from mailprov.dns.session import Session
from mailprov.dns.zoneplan import ZonePlan
from mailprov.dns.zones import Snapshot
from mailprov.model.inventory import Inventory


def plan_undo(inventory: Inventory, images: Iterable[undo.Image]) -> list[ZonePlan]:
    """How to take these changes (the oldest first) back; reads only. Where they are not believed, a zone is left alone.

    In `images` "told" names the hosts that tell an image. Where a zone has images with the controller's seal, others
    of this zone are passed over.
    """
    settings, plans = inventory.dns, []
    told: dict[str, list[undo.Image]] = {}
    for image in images:
        told.setdefault(image["zone"], []).append(image)
    with Session(settings) as session:
        for zone, each in told.items():
            sealed = [image for image in each if seal.genuine(image, settings)]
            one = undo.merged(sealed or each)[zone]
            snapshot, found = _look_back(session, one)
            diff = found.diff
            if not sealed and (doubtful := _doubtful(inventory, snapshot, diff, each)):
                plans.append(doubtful)
                continue
            look = partial(_only_diff, one=one)
            units = tuple(
                each["name"].removeprefix(ownership.marker_name(""))
                for each in one["sets"]
                if ownership.is_marker(each["name"])
            )
            work = Work(settings, snapshot, diff, look, units)
            plans.append(
                ZonePlan(zone, diff.changes, diff.notices, 0, compared(diff), left=found.left, work=work)
            )
    return plans


def _doubtful(
    inventory: Inventory, snapshot: Snapshot, diff: ZoneDiff, images: Sequence[undo.Image]
) -> ZonePlan | None:
    """The plan that leaves a zone as it is, where its images have no seal and the zone does not bear them out."""
    if not diff.edits:
        return None
    zone = images[0]["zone"]
    tellers = {tuple(image.get("told", ())) for image in images}
    hosts = sorted({host for names in tellers for host in names})
    found = unsealed.doubts(diff.edits, zones.as_records(snapshot), hosts=hosts, inventory=inventory)
    if len(tellers) > 1:
        found = [f"{zone} (each another thing)"]
    if not found:
        return None
    text = (
        f"left as it is: what {', '.join(hosts) or 'a host'} tells of {', '.join(found)} before that run is borne out "
        "neither by a seal of mailprov nor by its markers in the zone; put back by hand what is to be put back"
    )
    return ZonePlan(zone, (), (text,), left=(f"zone {zone}",))


def _look_back(session: Session, one: undo.Image) -> tuple[Snapshot, undo.Undo]:
    snapshot = zones.read(session, one["zone"], undo.reads(one))
    return snapshot, undo.undo_zone(one, zones.as_records(snapshot))


def _only_diff(session: Session, waiting: frozenset[str], *, one: undo.Image) -> tuple[Snapshot, ZoneDiff]:
    snapshot, found = _look_back(session, one)
    return snapshot, found.diff
