"""Rollback: hosts and zones back to the state before the last apply that changed something.

Which apply that was is asked of all hosts first: the run with the latest id that any of them knows. Only hosts and
zones which that run changed are touched: after an apply of one host the others stay. When a host cannot be asked,
nothing is rolled back anywhere: the last apply may have been there (--host leaves it out). Nor when one of them cannot
take part because a file was edited there: half a rollback would be the run that the next one undoes. A host that tells
what is not believed (believed.py) is another matter: it is left out, as if it had told nothing, and the others go back;
else one host in foreign hands would keep all others from it.

Then it goes on as an apply does (deploy.py): plans, one decision, hosts, zones. Zones come last here too: senders try
again when a host refuses connections for a moment, and give up at once when a domain has no records.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

from mailprov import dns
from mailprov.errors import HostUnreachable, NotBelieved
from mailprov.model.events import Emit
from mailprov.model.inventory import Host, Inventory, Secret
from mailprov.run import believed
from mailprov.run.deploy import Deployment, Options
from mailprov.run.hosts import HostSession, Part, Start
from mailprov.run.ident import run_id
from mailprov.run.select import Selection
from mailprov.run.zones import ZoneWork

_LOOK = 0.1  # seconds between looks at hosts that may have ended without an answer


def rollback(
    inventory: Inventory,
    selection: Selection,
    options: Options,
    *,
    accept_drift: bool = False,
    start: Start,
    report: Emit,
) -> int:
    """Plan, ask, put back."""
    ident = run_id()
    choice = _Choice()
    job = {"mode": "rollback", "run": ident, "lock_timeout": options.lock_timeout}
    job["accept_drift"] = accept_drift
    mask = _secrets(inventory)

    def part(host: Host, zones: ZoneWork) -> Part:
        return RollbackPart(
            job,
            lambda run: choice.target(host.name, run),
            lambda: zones.images(host.name),
            mask,
            believe=lambda run: believed.run(inventory, host, run, time.time()),
        )

    deployment = Deployment(
        inventory,
        selection,
        dataclasses.replace(options, together=True),
        applies=True,
        ident=ident,
        part=part,
        zones=lambda: dns.plan_undo(inventory, choice.images()),
        start=start,
        report=report,
    )
    choice.sessions = deployment.sessions
    return deployment.run()


class RollbackPart:
    """Mode rollback: the agent tells its last run, and is told which run is undone."""

    def __init__(
        self,
        job: dict[str, Any],
        choose: Callable[[dict[str, Any] | None], str],
        zones: Callable[[], list[dict[str, Any]]],
        mask: list[str],
        *,
        believe: Callable[[dict[str, Any]], None],
    ) -> None:
        self.job = job
        self.compared = ""
        self._choose, self._zones, self._mask, self._believe = choose, zones, mask, believe

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if message["t"] != "runs":
            return None
        told = message["runs"][0] if message["runs"] else None
        if told is not None:
            self._believe(told)  # before it has a say in what is undone anywhere
        run = self._choose(told)
        if not run and told is not None:
            # Else the host would say that there is nothing to undo, as it is asked about no run.
            self.compared = "could go back, but not while another host cannot be asked"
        return {"t": "target", "run": run, "mask": self._mask}

    def go(self) -> dict[str, Any]:
        zones = self._zones()
        return {"zones": zones} if zones else {}


class _Choice:
    """Where the hosts' threads meet before anything is planned. The zones' thread waits here as well."""

    def __init__(self) -> None:
        self.sessions: list[HostSession] = []
        self._met = threading.Condition()
        self._told: dict[str, dict[str, Any] | None] = {}

    def target(self, host: str, run: dict[str, Any] | None) -> str:
        """The run to undo, as soon as all hosts have told theirs; empty when there is none."""
        with self._met:
            self._told[host] = run
            self._met.notify_all()
        return self._decide()

    def images(self) -> list[dict[str, Any]]:
        """The DNS changes of that run, each as often as hosts keep it, the oldest first. Raises HostUnreachable."""
        run = self._decide()
        silent = [s.host.name for s in self.sessions if s.host.name not in self._told and not _left_out(s)]
        if silent and len(self.sessions) > 1:
            raise HostUnreachable(
                ", ".join(silent),
                "could not be asked, so it cannot be told which apply was the last, and nothing is rolled back",
                "Try again when it answers, or choose the others with --host",
            )
        # A run that finished an earlier one tells the images of both, the oldest first; those of one run are the same
        # on all hosts that keep them. So the longest list comes first, and what others repeat is left out.
        kept: list[dict[str, Any]] = []
        tellers: list[list[str]] = []
        found = [
            (host, told.get("images", []))
            for host, told in self._told.items()
            if told is not None and told["run"] == run
        ]
        for host, images in sorted(found, key=lambda one: -len(one[1])):
            for image in images:
                if image in kept:
                    tellers[kept.index(image)].append(host)
                else:
                    kept.append(image)
                    tellers.append([host])
        return [{**image, "told": hosts} for image, hosts in zip(kept, tellers, strict=True)]

    def _decide(self) -> str:
        with self._met:
            while not all(s.host.name in self._told or s.ended.is_set() for s in self.sessions):
                self._met.wait(_LOOK)
            if not all(s.host.name in self._told or _left_out(s) for s in self.sessions):
                return ""
            return max((told["run"] for told in self._told.values() if told is not None), default="")


def _left_out(session: HostSession) -> bool:
    return isinstance(session.outcome.error, NotBelieved)


def _secrets(inventory: Inventory) -> list[str]:
    """What must not be shown of files on the hosts, as far as this inventory knows it."""
    values: list[Secret | None] = []
    for domain in inventory.domains:
        for account in domain.accounts:
            values += [account.password, account.password_hash]
    return [value.reveal() for value in values if value is not None]
