"""Keeps what a zone was before it is published, on hosts that this run does not change otherwise.

    back_up(images by host, hosts, …)

A host that is changed keeps the images with its own run. Where no host of a zone is changed (only records differ, or
only DNS is applied), its hosts are asked for that alone, in the agent's mode `zones`. That must not keep anybody from
publishing: where it fails a notice says that a rollback will not know these records.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mailprov.i18n import _
from mailprov.model.events import Emit, Ended, Event, Notice
from mailprov.model.inventory import Host
from mailprov.run.event_queue import EventQueue
from mailprov.run.hosts import Start
from mailprov.run.inquiry import ask


def back_up(
    images: dict[str, list[dict[str, Any]]],
    hosts: Collection[Host],
    *,
    ident: str,
    command: str,
    start: Start,
    events: EventQueue,
) -> None:
    """Returns when it is done or has failed. KeyboardInterrupt goes on up; nothing is published then."""
    answers = ask(
        (host for host in hosts if host.name in images),
        lambda host: {"mode": "zones", "run": ident, "zones": images[host.name]},
        command=command,
        events=events,
        emit=_without_ending(events.emit),
        start=start,
    )
    for one in answers:
        if one.outcome.status != "ok":
            zones = ", ".join(image["zone"] for image in images[one.host.name])
            what = _("a rollback will not know what the records of {zones} were before: {reason}")
            reason = one.outcome.error or _("interrupted")
            events.emit(Notice(one.host.name, what.format(zones=zones, reason=reason)))


def _without_ending(emit: Emit) -> Emit:
    """The host has ended, or is no part of this run; this errand of its zones is no ending of it."""

    def filtered(event: Event) -> None:
        if not isinstance(event, Ended):
            emit(event)

    return filtered
