"""Keeps what a zone was before it is published, on hosts that this run does not change otherwise.

    back_up(images by host, hosts, …)

A host that is changed keeps the images with its own run. Where no host of a zone is changed (only records differ, or
only DNS is applied), its hosts are asked for that alone, in the agent's mode `zones`. That must not keep anybody from
publishing: where it fails a notice says that a rollback will not know these records.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mailprov.model.events import Emit, Ended, Event, Notice
from mailprov.model.inventory import Host
from mailprov.run.event_queue import EventQueue
from mailprov.run.gate import Gate
from mailprov.run.hosts import HostSession, Start


class ZonesMode:
    """Mode zones: the agent asks nothing."""

    def __init__(self, ident: str, zones: list[dict[str, Any]]) -> None:
        self.job = {"mode": "zones", "run": ident, "zones": zones}

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        return None

    def go(self) -> dict[str, Any]:
        return {}


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
    sessions = [
        HostSession(
            host,
            ZonesMode(ident, images[host.name]),
            command=command,
            emit=_without_ending(events.emit),
            gate=Gate(),
            start=start,
        )
        for host in hosts
        if host.name in images
    ]
    for session in sessions:
        session.launch()
    events.pump(lambda: all(session.ended.is_set() for session in sessions))
    for session in sessions:
        if session.outcome.status != "ok":
            zones = ", ".join(image["zone"] for image in images[session.host.name])
            what = f"a rollback will not know what the records of {zones} were before"
            events.emit(Notice(session.host.name, f"{what}: {session.outcome.error or 'interrupted'}"))


def _without_ending(emit: Emit) -> Emit:
    """The host has ended, or is no part of this run; this errand of its zones is no ending of it."""

    def filtered(event: Event) -> None:
        if not isinstance(event, Ended):
            emit(event)

    return filtered
