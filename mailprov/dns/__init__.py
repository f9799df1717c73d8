"""Drivers that read and write zones.

    plan(inventory, take_over, keys, served, covers, tls, switching) -> list[ZonePlan]    reads the zones
    apply(zone_plan, emit) -> None                        one zone, atomically; several may run in threads
    before_image(zone_plan) -> Image | None               what it changes, JSON-ready, for taking it back later
    plan_undo(inventory, images, served) -> list[ZonePlan]    takes back what these images tell; for apply
    export(inventory, keys, form, tls, by_hand) -> str    for publishing by hand: a zone file, a script of nsupdate,
                                                          or what web panels take

Nothing here knows which providers there are: `provider` and `driver` say what one is, and each is a
package of `providers`.
`rrsets`, `ownership`, `stock`, `diff`, `batches`, `undo`, `seal` and `unsealed` are the pure part; `routes` makes one
driver of several providers (`dns.zones`); `survey`, `reading` and `signing` read, `planner` plans, `undo_planner` plans
the way back; `publishing`, `guard` and `read_back` write; `zonefile`, `nsupdate` and `panel` are the export.
Each raises DnsUnreachable (no answer), DnsFailed (the server refuses, or records stand in the way),
InputError (settings). dnspython is loaded only when one of these is called.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mailprov.i18n import _
from mailprov.model.dkim import PublicKeys
from mailprov.model.events import Emit
from mailprov.model.inventory import Inventory
from mailprov.model.tls_keys import ServedKeys

if TYPE_CHECKING:
    from mailprov.dns.zoneplan import ZonePlan as ZonePlan

__all__ = ["apply", "before_image", "export", "plan", "plan_undo"]


FORMS = ("zone", "nsupdate", "panel")


def plan(
    inventory: Inventory,
    take_over: bool = False,
    keys: PublicKeys | None = None,
    served: Mapping[str, Collection[str]] | None = None,
    covers: Callable[[str], bool] = lambda zone: True,
    tls: ServedKeys | None = None,
    switching: bool = False,
) -> list[ZonePlan]:
    """What would change in each zone; reads only.

    Give the whole inventory, never one narrowed to some hosts or domains: what is not in it counts as gone,
    and records written for it would be planned for deletion. To narrow, say with `covers` which zones and names are
    looked at: the others are in no plan, and whatever is wrong with them stops nothing.
    A plan with an empty `zone` carries only notices.
    `keys`: the DKIM keys of hosts, `tls`: those of their certificates; what stands for other hosts is left as it is.
    `switching`: the key of a certificate changes in spite of a TLSA record, since the new one is known (signing.py).
    `served`: domains that hosts have served until this run, each with the names of these hosts in DNS. What of them is
    not in the inventory leaves the zones as well.
    `take_over` replaces MX, SPF and DMARC records that mailprov did not write, instead of refusing or adding to them.
    """
    if not inventory.dns.publishes:
        command = f"`mailprov dns export --dkim {inventory.source}`"
        text = _(
            "mailprov publishes no DNS records here; {command} prints them for publishing by hand"
        ).format(command=command)
        return [_only(text)]
    from mailprov.dns import planner

    return planner.plan(inventory, take_over, keys or {}, served, covers, tls or {}, switching)


def apply(zone_plan: ZonePlan, emit: Emit) -> None:
    """Make one zone's plan true; emits Applied for each change after reading it back from the server."""
    from mailprov.dns import publishing

    publishing.publish(zone_plan, emit)


def before_image(zone_plan: ZonePlan) -> dict[str, Any] | None:
    """What the plan changes in its zone, or None: `undo` says what this is for and where it is kept."""
    if not zone_plan.changes:
        return None
    from mailprov.dns import publishing

    return publishing.before_image(zone_plan)


def plan_undo(
    inventory: Inventory,
    images: Iterable[dict[str, Any]],
    served: Mapping[str, Collection[str]] | None = None,
) -> list[ZonePlan]:
    """Plans that take back the changes of these images, the oldest first; reads only.

    "told" in an image names the hosts that tell it; what is believed of them: see `seal` and `unsealed`.
    `served`: names of TLSA records, each with the values that are right when hosts have gone back.
    """
    told = list(images)
    by_hand = [image for image in told if not inventory.dns.at(image["zone"]).provider.publishes]
    rest = [image for image in told if image not in by_hand]
    found = []
    if by_hand:
        text = (
            _("the records of {zones} are not put back: the inventory says that they are published by hand")
            if inventory.dns.publishes
            else _("the records of {zones} are not put back: this inventory names no DNS server")
        )
        found.append(_only(text.format(zones=", ".join(dict.fromkeys(image["zone"] for image in by_hand)))))
    if not rest:
        return found
    from mailprov.dns import undo_planner

    return [*undo_planner.plan_undo(inventory, rest, served or {}), *found]


def _only(notice: str) -> ZonePlan:
    from mailprov.dns.zoneplan import ZonePlan

    return ZonePlan("", (), (notice,))


def export(
    inventory: Inventory,
    keys: PublicKeys | None = None,
    form: str = "zone",
    tls: ServedKeys | None = None,
    *,
    by_hand: bool = False,
) -> str:
    """All records, or only those that mailprov cannot publish, for publishing by hand; it needs no server. `form`: one
    of FORMS.
    """
    from mailprov.dns import nsupdate, panel, zonefile

    made = {"zone": zonefile.export, "nsupdate": nsupdate.export, "panel": panel.export}
    return made[form](inventory, keys or {}, tls or {}, by_hand=by_hand)
