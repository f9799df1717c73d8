"""What a run did not do, for its last line.

    unfinished(hosts, zones, applies, again) -> [clause]    empty when all was done

`again`: the line names the options that try the hosts again. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailprov.errors import DnsUnsure
from mailprov.i18n import _

if TYPE_CHECKING:
    from mailprov.run.zones import ZoneWork


def unfinished(hosts: Sequence[str], zones: ZoneWork, *, applies: bool, again: bool) -> list[str]:
    found = []
    if hosts and again:
        form = _("not done on {hosts} (to try again there: {options})")
        options = " ".join(f"--host {name}" for name in hosts)
        found.append(form.format(hosts=", ".join(hosts), options=options))
    elif hosts:
        form = _("not done on {hosts}") if applies else _("not planned: {hosts}")
        found.append(form.format(hosts=", ".join(hosts)))
    if zones.failed:
        unsure = isinstance(zones.error, DnsUnsure)
        form = _("not done: {zones} (or done: no answer came)") if unsure else _("not done: {zones}")
        found.append(form.format(zones=", ".join(f"zone {zone}" for zone in zones.failed)))
    elif zones.error is not None:
        found.append(_("the zones not done") if applies else _("the zones not planned"))
    if zones.unplanned and (zones.failed or zones.error is None):
        found.append(_("not planned: {zones}").format(zones=", ".join(zones.unplanned)))
    if zones.skipped:
        found.append(_("zones not published: {zones}").format(zones=", ".join(zones.skipped)))
    if zones.left:
        found.append(_("left as they are: {records}").format(records=", ".join(zones.left)))
    return found
