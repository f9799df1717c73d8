"""Planning and publishing the DNS zones of a run, beside the hosts and never in their way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from mailprov import dns
from mailprov.dns import seal
from mailprov.errors import MailprovError, Unreachable, bug
from mailprov.model.events import Applied, Change, Emit, Ended, Event, Notice, Planned, Progress
from mailprov.model.inventory import Inventory
from mailprov.run.select import Selection

Planner = Callable[[], list[Any]]  # dns.ZonePlan, which is not imported here: hosts alone need no DNS library


class ZoneWork:
    """Plans in a thread of its own, publishes after the hosts. `planned` is set when that is over."""

    def __init__(
        self, inventory: Inventory, selection: Selection, *, plan: Planner, emit: Emit, ident: str = ""
    ) -> None:
        self.planned = threading.Event()
        self.done = threading.Event()
        self.error: MailprovError | None = None
        self.changed = 0
        self.failed: list[str] = []  # zones in which not all was done
        self.skipped: list[str] = []
        self.left: list[str] = []  # record sets that a rollback does not put back
        self._plans: list[Any] = []
        self._inventory = inventory
        self._selection = selection
        self._planner = plan
        self._emit = emit
        self._ident = ident  # the run's

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(change for plan in self._plans for change in plan.changes)

    @property
    def by_subject(self) -> dict[str, tuple[Change, ...]]:
        """The changes of each zone that was planned, by its name in events."""
        return {_subject(plan): plan.changes for plan in self._plans if plan.zone}

    def images(self, host: str) -> list[dict[str, Any]]:
        """What this run changes in the zones of a host, for taking it back."""
        found = (self._image(plan) for plan in self._plans if host in self._keepers(plan.zone))
        return [image for image in found if image is not None]

    def _image(self, plan: Any) -> dict[str, Any] | None:
        """With the controller's seal: a host only keeps it."""
        image = dns.image(plan)
        return None if image is None else seal.sealed(image, self._ident, self._inventory.dns)

    def unkept(self, hosts: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """What none of these hosts keeps, by the hosts that are to keep it."""
        todo: dict[str, list[dict[str, Any]]] = {}
        for plan in self._plans:
            owners = self._keepers(plan.zone)
            image = None if owners & set(hosts) else self._image(plan)
            for host in owners if image is not None else ():
                todo.setdefault(host, []).append(image or {})
        return todo

    @property
    def kept_by_nobody(self) -> list[str]:
        """Zones of this run that no rollback will know."""
        return [plan.zone for plan in self._plans if plan.changes and not self._keepers(plan.zone)]

    def launch_plan(self) -> None:
        threading.Thread(target=self._plan, name="zones", daemon=True).start()

    def launch_publish(self, hosts_not_ready: set[str]) -> None:
        threading.Thread(target=self._publish, args=(hosts_not_ready,), name="zones", daemon=True).start()

    def _plan(self) -> None:
        try:
            if self._selection.in_dns:
                self._emit(Progress("dns", "comparing the zones"))
                plans = self._planner()
                self._plans = [
                    plan for plan in plans if not plan.zone or self._selection.covers_zone(plan.zone)
                ]
                for plan in self._plans:
                    self.left += plan.left
                    for notice in plan.notices:
                        self._emit(Notice(_subject(plan), notice))
                    if plan.zone:
                        self._emit(Planned(_subject(plan), plan.changes, plan.compared))
        except MailprovError as error:
            self._fail(error)
        except Exception as error:  # a bug of ours: say so, and leave the hosts their own ending
            self._fail(bug("dns", error))
        finally:
            self.planned.set()

    def _publish(self, hosts_not_ready: set[str]) -> None:
        try:
            for plan in self._plans:
                waiting = self._hosts_of(plan.zone) & hosts_not_ready
                if plan.changes and waiting:
                    self.skipped.append(plan.zone)
                    why = f"{_subject(plan)}: not published: {', '.join(sorted(waiting))} is not ready to take mail"
                    self._emit(Ended(_subject(plan), "skipped", 0, why))
                elif plan.changes:
                    self._publish_one(plan)
        finally:
            self.done.set()

    def _publish_one(self, plan: Any) -> None:
        began = time.monotonic()
        done: list[Applied] = []

        def emit(event: Event) -> None:
            if isinstance(event, Applied):
                done.append(event)
            self._emit(event)

        status, error = "ok", ""
        try:
            dns.apply(plan, emit)
        except MailprovError as known:
            self.error = self.error or known
            status, error = _status(known), str(known)
        except Exception as unknown:
            self.error = bug("dns", unknown)
            status, error = "failed", str(self.error)
        if error:
            self.failed.append(plan.zone)
        self.changed += len(done)
        self._emit(Ended(_subject(plan), status, len(done), error, seconds=time.monotonic() - began))

    def _fail(self, error: MailprovError) -> None:
        self.error = error
        self._plans = []
        self._emit(Ended("dns", _status(error), 0, str(error)))

    def _keepers(self, zone: str) -> set[str]:
        """Who keeps what a zone was: its hosts; all, where none is left as everything of it has left the inventory, or
        as others built them.
        """
        managed = {host.name for host in self._inventory.hosts if host.managed}
        return (self._hosts_of(zone) & managed) or {host.name for host in self._selection.hosts}

    def _hosts_of(self, zone: str) -> set[str]:
        """Hosts that must serve before anything in this zone points at them."""
        domains = [
            d for d in self._inventory.domains if any(_inside(n, zone) for n in (d.name, *d.domain_aliases))
        ]
        named = {host.name for host in self._inventory.hosts if _inside(host.fqdn, zone)}
        return named | {name for domain in domains for name in domain.hosts}


def _inside(name: str, zone: str) -> bool:
    return name == zone or name.endswith("." + zone)


def _subject(plan: Any) -> str:
    return f"zone {plan.zone}" if plan.zone else "dns"


def _status(error: MailprovError) -> str:
    return "unreachable" if isinstance(error, Unreachable) else "failed"
