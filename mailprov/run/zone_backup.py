"""Keeps what a zone was before it is published, on hosts that this run does not change otherwise, or in an undo file.

    back_up(zones, keeping, …)

A host that is changed keeps the images with its own run. Where no host of a zone is changed (only records differ, or
only DNS is applied), its hosts are asked for that alone, in the agent's mode `zones`. That must not keep anybody from
publishing: where it fails a notice says that a rollback will not know these records.
"""

from __future__ import annotations

from collections.abc import Collection

from mailprov.i18n import _
from mailprov.model.events import Emit, Ended, Event, Notice
from mailprov.run import undo_file
from mailprov.run.event_queue import EventQueue
from mailprov.run.hosts import Start
from mailprov.run.inquiry import ask
from mailprov.run.zones import ZoneWork


def back_up(
    zones: ZoneWork,
    keeping: Collection[str],
    *,
    ident: str,
    command: str,
    start: Start,
    events: EventQueue,
) -> None:
    """Returns when it is done or has failed. `keeping`: hosts that keep their images with this run already.
    KeyboardInterrupt goes on up; nothing is published then.
    """
    images = zones.unkept(keeping)
    rolls_back = command == "rollback"
    undo_file.keep(zones.inventory, zones.homeless(), ident=ident, rolls_back=rolls_back, emit=events.emit)
    answers = ask(
        (host for host in zones.selection.hosts if host.name in images),
        lambda host: {"mode": "zones", "run": ident, "zones": images[host.name]},
        command=command,
        events=events,
        emit=_without_ending(events.emit),
        start=start,
    )
    for one in answers:
        if one.outcome.status != "ok":
            names = ", ".join(image["zone"] for image in images[one.host.name])
            what = _("a rollback will not know what the records of {zones} were before: {reason}")
            reason = one.outcome.error or _("interrupted")
            events.emit(Notice(one.host.name, what.format(zones=names, reason=reason)))


def _without_ending(emit: Emit) -> Emit:
    """The host has ended, or is no part of this run; this errand of its zones is no ending of it."""

    def filtered(event: Event) -> None:
        if not isinstance(event, Ended):
            emit(event)

    return filtered
