"""Planning and publishing the DNS zones of a run, beside the hosts and never in their way.

Zones are written side by side, each on a connection of its own, so that they take together as many rounds as one, and
none waits for another's failure. Some have to go before others (dns/zoneplan.py): first those that domains leave, one
after another; then those that get addresses, to which the MX of others lead; last those that only lose addresses.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mailprov import dns
from mailprov.errors import MailprovError, Unreachable, bug
from mailprov.i18n import _
from mailprov.model import web
from mailprov.model.events import Applied, Change, Emit, Ended, Event, Notice, Planned, Progress
from mailprov.model.hostnames import inside
from mailprov.model.inventory import Host, Inventory
from mailprov.run.desired_mode import DesiredMode
from mailprov.run.select import Selection
from mailprov.run.tls_keys import Told

if TYPE_CHECKING:
    from mailprov.dns.zoneplan import ZonePlan
    from mailprov.run.policies import ReadBack

# Zones under way at once. A name server takes only so many connections, and not only ours: PowerDNS 20, unless it is
# told otherwise (max-tcp-connections).
TOGETHER = 8

Planner = Callable[[], "list[ZonePlan]"]


def settled(inventory: Inventory, report: Emit) -> Inventory:
    """With what DNS tells of domains that are stated for own hosts and for a provider, and of those that leave MTA-STS.
    Raises as run/moves.py.
    """

    def say(text: str) -> None:
        report(Notice("dns", text))

    if any(domain.mta_sts == "off" for domain in inventory.domains):
        from mailprov.run import leaving

        inventory = leaving.settled(inventory, say)
    if not any(domain.two_sided for domain in inventory.domains):
        return inventory
    from mailprov.run import moves

    return moves.settled(inventory, say)


def plan_zones(inventory: Inventory, moves_on: str, **how: Any) -> list[ZonePlan]:
    """dns.plan, for a run that goes a step in the move of the domain `moves_on`, or in none."""
    plans = dns.plan(inventory, **how)
    if any(domain.moving is not None for domain in inventory.domains):
        from mailprov.run.moves import refuse_steps

        refuse_steps(plans, inventory, moves_on)
    return plans


def keeps_key(inventory: Inventory, host: Host, told: Told) -> None:
    """Of a host whose zone this run does not plan, which would refuse otherwise: key_guard.check, where a key of its
    certificates changes.
    """
    if told.served and told.after != told.served:
        from mailprov.run import key_guard

        key_guard.check(inventory, host, told, back=False)


class Policies:
    """MTA-STS policies and PACC files of a run's domains, of which there are records only once they were read back
    (run/policies.py). A run may read them twice: before it changes hosts, and behind that. `said`: sentences about
    files that change.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._last: ReadBack | None = None
        self._waits = False
        self._lock = threading.Lock()
        self._settled: Inventory | None = None
        self.said: list[str] = []

    def settled(self) -> Inventory:
        """With what hosts give out in this run of files that change; from any thread."""
        if not any(map(web.has, self._inventory.hosts)):
            return self._inventory
        with self._lock:
            if self._settled is None:
                from mailprov.run import configurations

                self._settled = configurations.settled(self._inventory, self.said.append)
            return self._settled

    def read(self) -> Policies:
        """Begins at once."""
        if any(map(web.has, self._inventory.hosts)):
            from mailprov.run.policies import ReadBack

            self._last = ReadBack(self.settled(), waits=self._waits)
        return self

    def inventory(self, modes: Collection[object] = ()) -> Inventory:
        """With what was read, and with the domains whose web server is not set up, by what hosts have said."""
        found = self._last.inventory() if self._last else self._inventory
        waiting = {one.host.name for one in modes if isinstance(one, DesiredMode) and one.web_waits}
        if not waiting:
            return found
        hosts = {domain.name: web.host_of(found, domain) for domain in found.domains}
        waits = {name for name, host in hosts.items() if host is not None and host.name in waiting}
        domains = tuple(replace(domain, web_waits=domain.name in waits) for domain in found.domains)
        return replace(found, domains=domains)

    def wait(self) -> bool:
        """Whether some are not given out as wanted; reading again waits for these."""
        self._waits = True
        return self._last is not None and bool(self._last.reasons())

    def tell(self, emit: Emit) -> None:
        for sentence in (*self.said, *(self._last.reasons() if self._last else ())):
            emit(Notice("dns", sentence))


class ZoneWork:
    """Plans in a thread of its own, publishes after the hosts. `planned` is set when that is over."""

    def __init__(
        self,
        inventory: Inventory,
        selection: Selection,
        *,
        plan: Planner,
        emit: Emit,
        ident: str = "",
        milestone: Callable[[], threading.Event] = threading.Event,
    ) -> None:
        self.planned = milestone()
        self.done = milestone()
        self.error: MailprovError | None = None
        self.unplanned: dict[str, MailprovError] = {}  # by subject, while others could be planned
        self.changed = 0
        self._counting = threading.Lock()
        self.failed: list[str] = []  # zones in which not all was done
        self.skipped: list[str] = []
        self.left: list[str] = []  # record sets that a rollback does not put back
        self._plans: list[ZonePlan] = []
        self._lost: list[str] = []  # zones that could not be planned, as `dns.zones` has them
        self.inventory = inventory
        self.selection = selection
        self._planner = plan
        self._emit = emit
        self._ident = ident  # the run's

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(change for plan in self._plans for change in plan.changes)

    @property
    def by_subject(self) -> dict[str, tuple[Change, ...]]:
        """The changes of each zone that was planned, by its name in events."""
        return {plan.subject: plan.changes for plan in self._plans if plan.zone}

    def images(self, host: str) -> list[dict[str, Any]]:
        """What this run changes in the zones of a host, for taking it back."""
        found = (self._image(plan) for plan in self._plans if host in self._keepers(plan.zone))
        return [image for image in found if image is not None]

    def _image(self, plan: ZonePlan) -> dict[str, Any] | None:
        """With the controller's seal: a host only keeps it."""
        image = dns.before_image(plan)
        if image is None:
            return None
        from mailprov.dns import seal

        return seal.sealed(image, self._ident, self.inventory.dns)

    def unkept(self, hosts: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """What none of these hosts keeps, by the hosts that are to keep it."""
        todo: dict[str, list[dict[str, Any]]] = {}
        for plan in self._plans:
            owners = self._keepers(plan.zone)
            image = None if owners & set(hosts) else self._image(plan)
            for host in owners if image is not None else ():
                todo.setdefault(host, []).append(image or {})
        return todo

    def homeless(self) -> list[dict[str, Any]]:
        """What no host of this run can keep, because it has none of mailprov's."""
        found = (self._image(plan) for plan in self._plans if not self._keepers(plan.zone))
        return [image for image in found if image is not None]

    def add(self, later: ZoneWork) -> None:
        """What was done in the same zones, by a later plan, counts as done by this one."""
        self.changed += later.changed
        self.error = self.error or later.error
        self.failed += later.failed
        self.skipped += later.skipped

    def launch_plan(self) -> None:
        threading.Thread(target=self._plan, name="zones", daemon=True).start()

    def launch_publish(self, hosts_not_ready: set[str]) -> None:
        threading.Thread(target=self._publish, args=(hosts_not_ready,), name="zones", daemon=True).start()

    def _plan(self) -> None:
        try:
            if self.selection.in_dns:
                self._emit(Progress("dns", _("comparing the zones")))
                plans = self._planner()
                plans = [plan for plan in plans if not plan.zone or self.selection.covers_zone(plan.zone)]
                self._plans = [plan for plan in plans if plan.error is None]
                self.unplanned = {plan.subject: plan.error for plan in plans if plan.error is not None}
                self._lost = [plan.zone for plan in plans if plan.error is not None]
                if self.unplanned and not any(plan.zone for plan in self._plans):
                    self.error = next(iter(self.unplanned.values()))
                for plan in plans:
                    self.left += plan.left
                    for notice in plan.notices:
                        self._emit(Notice(plan.subject, notice))
                    if plan.zone and plan.error is None:
                        self._emit(Planned(plan.subject, plan.changes, plan.compared))
                for subject, error in self.unplanned.items():
                    self._emit(Ended(subject, _status(error), 0, str(error)))
        except MailprovError as error:
            self._fail(error)
        except Exception as error:  # a bug of ours: say so, and leave the hosts their own ending
            self._fail(bug("dns", error))
        finally:
            self.planned.set()

    def _publish(self, hosts_not_ready: set[str]) -> None:
        try:
            todo: list[ZonePlan] = []
            for plan in self._plans:
                waiting = self._hosts_of(plan.zone) & hosts_not_ready
                if plan.changes and waiting:
                    why = _("{zone}: not published: {hosts} is not ready to take mail")
                    self._skip(plan, why.format(zone=plan.subject, hosts=", ".join(sorted(waiting))))
                elif plan.changes:
                    todo.append(plan)
            from mailprov.dns.zoneplan import LEAVING

            errors: dict[str, MailprovError | None] = {}
            for turn in sorted({plan.turn for plan in todo}):
                now = [plan for plan in todo if plan.turn == turn and not self._leads_nowhere(plan, errors)]
                errors.update(self._side_by_side(now, 1 if turn == LEAVING else TOGETHER))
            # In the order of the plan, whichever ended first.
            self.failed = [plan.zone for plan in todo if errors.get(plan.zone)]
            self.error = self.error or next((errors[zone] for zone in self.failed), None)
        finally:
            self.done.set()

    def _skip(self, plan: ZonePlan, why: str) -> None:
        self.skipped.append(plan.zone)
        self._emit(Ended(plan.subject, "skipped", 0, why))

    def _leads_nowhere(self, plan: ZonePlan, errors: Mapping[str, MailprovError | None]) -> bool:
        """Skips a zone whose new MX lead to a name in a zone that failed: it may have no address, and then senders
        give up at once.
        """
        failed = [zone for zone, error in errors.items() if error and zone != plan.zone]
        for name in plan.leads_to:
            lost = self.inventory.dns.entry_of(name) in self._lost
            if lost or any(inside(name, zone) for zone in failed):
                why = _("{zone}: not published: its MX would lead to {name}, whose own zone failed")
                self._skip(plan, why.format(zone=plan.subject, name=name))
                return True
        return False

    def _side_by_side(self, plans: Collection[ZonePlan], most: int) -> dict[str, MailprovError | None]:
        todo: queue.SimpleQueue[ZonePlan] = queue.SimpleQueue()
        for plan in plans:
            todo.put(plan)
        errors: dict[str, MailprovError | None] = {}

        def work() -> None:
            with suppress(queue.Empty):
                while True:
                    plan = todo.get_nowait()
                    errors[plan.zone] = self._publish_one(plan)

        # No pool: the end of the program would wait for its threads, and whoever presses Ctrl-C does not want that.
        workers = [
            threading.Thread(target=work, name="zones", daemon=True) for __ in range(min(len(plans), most))
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return errors

    def _publish_one(self, plan: ZonePlan) -> MailprovError | None:
        """Why not all of it was done, if so."""
        began = time.monotonic()
        done: list[Applied] = []

        def emit(event: Event) -> None:
            if isinstance(event, Applied):
                done.append(event)
            self._emit(event)

        error: MailprovError | None = None
        try:
            dns.apply(plan, emit)
        except MailprovError as known:
            error = known
        except Exception as unknown:
            error = bug("dns", unknown)
        with self._counting:
            self.changed += len(done)
        status = _status(error) if error else "ok"
        text = str(error) if error else ""
        self._emit(Ended(plan.subject, status, len(done), text, seconds=time.monotonic() - began))
        return error

    def _fail(self, error: MailprovError) -> None:
        self.error = error
        self._plans, self.unplanned = [], {}
        self._emit(Ended("dns", _status(error), 0, str(error)))

    def _keepers(self, zone: str) -> set[str]:
        """Who of this run keeps what a zone was: its hosts; all, where none is left as everything of it has left the
        inventory, as others built them, or as its mail is at a provider. Nobody: then it is in an undo file.
        """
        selected = {host.name for host in self.selection.hosts}
        return (self._hosts_of(zone) & selected) or selected

    def _hosts_of(self, zone: str) -> set[str]:
        """Hosts that must serve before anything in this zone points at them."""
        domains = [
            d for d in self.inventory.domains if any(inside(n, zone) for n in (d.name, *d.domain_aliases))
        ]
        named = {host.name for host in self.inventory.hosts if inside(host.fqdn, zone)}
        return named | {name for domain in domains for name in domain.hosts}


def _status(error: MailprovError) -> str:
    return "unreachable" if isinstance(error, Unreachable) else "failed"
