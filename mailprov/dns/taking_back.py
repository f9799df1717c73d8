"""Taking back what a run changed in zones: its images, which hosts kept, against what stands there now. Reads only.

    plan_undo(inventory, images) -> list[ZonePlan]     for rfc2136.apply

What of an image is believed: seal.py and unsealed.py. What is to be edited: undo.py. Raises as rfc2136.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from mailprov.dns import memory, seal, undo, unsealed, zones
from mailprov.dns.diff import ZoneDiff
from mailprov.dns.rfc2136 import Work
from mailprov.dns.session import Session
from mailprov.dns.zoneplan import ZonePlan
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
            if not sealed and (doubtful := _doubtful(session, inventory, snapshot, found.diff, each)):
                plans.append(doubtful)
                continue
            look = partial(_only_diff, one=one)
            work = Work(settings, snapshot, found.diff, look)
            diff = found.diff
            plans.append(
                ZonePlan(zone, diff.changes, diff.notices, 0, _compared(diff), left=found.left, work=work)
            )
    return plans


def _doubtful(
    session: Session,
    inventory: Inventory,
    snapshot: zones.Snapshot,
    diff: ZoneDiff,
    images: Sequence[undo.Image],
) -> ZonePlan | None:
    """The plan that leaves a zone as it is, where its images have no seal and the zone does not bear them out."""
    if not diff.edits:
        return None
    zone = images[0]["zone"]
    tellers = {tuple(image.get("told", ())) for image in images}
    hosts = sorted({host for names in tellers for host in names})
    memories = zones.read(session, zone, [(memory.marker_name(zone), "TXT")])
    found = unsealed.doubts(
        zone,
        diff.edits,
        zones.as_records({**snapshot, **memories}),
        hosts=hosts,
        identity=_identity(inventory),
        inventory=inventory,
    )
    if len(tellers) > 1:
        found = [f"{zone} (each another thing)"]
    if not found:
        return None
    text = (
        f"left as it is: what {', '.join(hosts) or 'a host'} tells of {', '.join(found)} before that run is borne out "
        "neither by a seal of mailprov nor by its memory in the zone; put back by hand what is to be put back"
    )
    return ZonePlan(zone, (), (text,), left=(f"zone {zone}",))


def _look_back(session: Session, one: undo.Image) -> tuple[zones.Snapshot, undo.Undo]:
    snapshot = zones.read(session, one["zone"], [(each["name"], each["type"]) for each in one["sets"]])
    return snapshot, undo.undo_zone(one, zones.as_records(snapshot))


def _only_diff(session: Session, one: undo.Image) -> tuple[zones.Snapshot, ZoneDiff]:
    snapshot, found = _look_back(session, one)
    return snapshot, found.diff


def _compared(diff: ZoneDiff) -> str:
    return f"{diff.compared} record{'' if diff.compared == 1 else 's'}"


def _identity(inventory: Inventory) -> tuple[str, ...]:
    """By which names the memory of this inventory is known, as rfc2136.plan gives it."""
    return tuple(domain.name for domain in inventory.domains) or tuple(host.fqdn for host in inventory.hosts)
