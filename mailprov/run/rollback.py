"""Rollback: hosts and zones back to the state before the last apply that changed something.

Which apply that was is asked of all hosts first: the run with the latest id that any of them knows. Only hosts and
zones which that run changed are touched: after an apply of one host the others stay. When a host cannot be asked,
nothing is rolled back anywhere: the last apply may have been there (--host leaves it out). Nor when one of them cannot
take part because a file was edited there: half a rollback would be the run that the next one undoes. A host that tells
what is not believed (believed.py) is another matter: it is left out, as if it had told nothing, and the others go back;
else one host in foreign hands would keep all others from it.

With `to` it is the state after an earlier run: all hosts tell all their runs, and on each the later ones are undone in
one go, the newest first, with their records. A host that has none stays as it is; one that keeps no copies of one of
them any more refuses, and then nothing is rolled back anywhere.

Then it goes on as an apply does (deploy.py): plans, one decision, hosts, zones. Zones come last here too: senders try
again when a host refuses connections for a moment, and give up at once when a domain has no records.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from mailprov import dns
from mailprov.errors import HostFailed, HostUnreachable, InputError, NotBelieved
from mailprov.i18n import _
from mailprov.model.events import Emit
from mailprov.model.inventory import Host, Inventory
from mailprov.model.secret import Secret
from mailprov.run import believed, key_guard, moves, undo_file
from mailprov.run.deploy import Deployment, Options
from mailprov.run.hosts import HostSession, Mode, Start
from mailprov.run.ident import run_id
from mailprov.run.select import Selection
from mailprov.run.tls_keys import Told

_LOGS = 50  # runs that a host remembers: agent/runs.py
_LOOK = 0.1  # seconds between looks at hosts that may have ended without an answer


def rollback(
    inventory: Inventory,
    selection: Selection,
    options: Options,
    *,
    to: str = "",
    start: Start,
    report: Emit,
) -> int:
    """Plan, ask, put back. `to`: the state after this run (its id, or the end of it), not before the last one."""
    ident = run_id()
    choice = _Choice(to, _undo_files(inventory, selection))
    job = options.job("rollback", ident)
    if to:
        job["to"] = to
    mask = _secrets(inventory)

    def mode(host: Host, deployment: Deployment) -> Mode:
        return RollbackMode(
            job,
            lambda runs: choice.target(host.name, runs, deployment.sessions),
            lambda: deployment.zones.images(host.name),
            mask,
            believe=lambda run: believed.run(inventory, host, run, time.time()),
            permit=lambda told: key_guard.check(inventory, host, told, back=True),
        )

    def zones(deployment: Deployment) -> list[dns.ZonePlan]:
        images = choice.images(deployment.sessions)
        if not images:
            return []
        moves.refuse_back(inventory, images)
        return dns.plan_undo(inventory, images, key_guard.served_after(deployment.sessions))

    return Deployment(
        inventory,
        selection,
        dataclasses.replace(options, together=True),
        applies=True,
        ident=ident,
        mode=mode,
        zones=zones,
        start=start,
        report=report,
    ).run()


class RollbackMode:
    """Mode rollback: the agent tells its last run, and is told which run is undone."""

    def __init__(
        self,
        job: dict[str, Any],
        choose: Callable[[list[dict[str, Any]]], Target],
        zones: Callable[[], list[dict[str, Any]]],
        mask: list[str],
        *,
        believe: Callable[[dict[str, Any]], None],
        permit: Callable[[Told], None],
    ) -> None:
        """`believe` raises for a run that cannot be, `permit` where another key would be served too early."""
        self.job = job
        self.permit = permit
        self.compared = ""
        self._choose, self._zones, self._mask, self._believe = choose, zones, mask, believe

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if message["t"] != "runs":
            return None
        told = message["runs"]
        for run in told:
            self._believe(run)  # before it has a say in what is undone anywhere
        target = self._choose(told)
        if not target.run and told:
            # Else the host would say that there is nothing to undo, as it is asked about no run.
            self.compared = _("could go back, but not while another host cannot be asked")
        undo = {"undo": list(target.undo)} if self.job.get("to") else {}
        return {"t": "target", "run": target.run, "mask": self._mask, **undo}

    def go(self) -> dict[str, Any]:
        zones = self._zones()
        return {"zones": zones} if zones else {}


class Target(NamedTuple):
    """The run to undo, or to whose state to return, which takes undoing the runs `undo` of a host, newest first."""

    run: str
    undo: Sequence[str] = ()


class _Choice:
    """Where the hosts' threads meet before anything is planned. The zones' thread waits here as well.

    `sessions` are those of all hosts of the run.
    """

    def __init__(self, to: str = "", files: Mapping[str, list[dict[str, Any]]] | None = None) -> None:
        """`files`: what undo files tell, as if they were a host."""
        self._to = to
        self._met = threading.Condition()
        self._told: dict[str, list[dict[str, Any]]] = dict(files or {})

    def target(self, host: str, runs: list[dict[str, Any]], sessions: Sequence[HostSession]) -> Target:
        """What to undo, as soon as all hosts have told their runs; an empty `run` when there is none. Raises InputError
        for a run to return to that no host remembers, and HostFailed when this host has forgotten too much.
        """
        with self._met:
            self._told[host] = runs
            self._met.notify_all()
        run = self._decide(sessions)
        return Target(run, later(host, runs, run) if self._to and run else ())

    def images(self, sessions: Sequence[HostSession]) -> list[dict[str, Any]]:
        """The DNS changes of that run, each as often as hosts keep it, the oldest first. Raises HostUnreachable."""
        run = self._decide(sessions)
        silent = [s.host.name for s in sessions if s.host.name not in self._told and not _left_out(s)]
        if silent and len(sessions) > 1:
            raise HostUnreachable(
                ", ".join(silent),
                _(
                    "could not be asked, so mailprov cannot tell which apply was the last, and nothing is rolled back"
                ),
                _("Try again when it answers, or choose the others with --host"),
            )
        if self._to:
            return self._images_since(run) if run else []
        # A run that finished an earlier one tells the images of both, the oldest first; those of one run are the same
        # on all hosts that keep them. So the longest list comes first, and what others repeat is left out.
        kept: list[dict[str, Any]] = []
        tellers: list[list[str]] = []
        found = [
            (host, told.get("images", []))
            for host, runs in self._told.items()
            for told in runs
            if told["run"] == run
        ]
        for host, images in sorted(found, key=lambda one: -len(one[1])):
            for image in images:
                if image in kept:
                    tellers[kept.index(image)].append(host)
                else:
                    kept.append(image)
                    tellers.append([host])
        return [{**image, "told": hosts} for image, hosts in zip(kept, tellers, strict=True)]

    def _images_since(self, run: str) -> list[dict[str, Any]]:
        """Of all later runs, the oldest first; each as often as hosts tell another thing of it."""
        kept: dict[str, list[dict[str, Any]]] = {}
        for host, runs in self._told.items():
            undone = later(host, runs, run)
            for told in runs:
                for image in told.get("images", []) if told["run"] in undone else ():
                    same = kept.setdefault(told["run"], [])
                    known = next((one for one in same if {**one, "told": 0} == {**image, "told": 0}), None)
                    if known is None:
                        same.append({**image, "told": [host]})
                    else:
                        known["told"].append(host)
        return [image for run in sorted(kept) for image in kept[run]]

    def _decide(self, sessions: Sequence[HostSession]) -> str:
        with self._met:
            while not all(s.host.name in self._told or s.ended.is_set() for s in sessions):
                self._met.wait(_LOOK)
            if not all(s.host.name in self._told or _left_out(s) for s in sessions):
                return ""
        told = {run["run"] for runs in self._told.values() for run in runs}
        return _named(self._to, told) if self._to else max(told, default="")


def _named(to: str, known: Collection[str]) -> str:
    """The id of the run that is meant."""
    meant = sorted(run for run in known if run == to or run.endswith(f"-{to}"))
    if len(meant) == 1:
        return meant[0]
    what = (
        _("several runs match: {runs}").format(runs=", ".join(meant))
        if meant
        else _("no host remembers such a run")
    )
    raise InputError(f"--to {to}", what, _("`mailprov history` shows the runs; give one of these"))


def later(host: str, runs: Sequence[Mapping[str, Any]], to: str) -> list[str]:
    """The ids of those of a host's `runs` (the oldest first) that changed something after run `to`, newest first.

    A host on which that run was not has had what it has now when the run ended, but for later ones. Raises HostFailed
    when it may have forgotten some of these.
    """
    place = max((number for number, run in enumerate(runs) if run["run"] == to), default=-1)
    if place < 0 and len(runs) >= _LOGS and all(run["run"] > to for run in runs):
        raise HostFailed(
            host,
            _("it remembers its last {count} runs, and all of them are later than {run}").format(
                count=_LOGS, run=to
            ),
            _("Go back to a later run; `mailprov history` shows them"),
        )
    after = runs[place + 1 :] if place >= 0 else [run for run in runs if run["run"] > to]
    return [run["run"] for run in reversed(after) if run["committed"]]


def _undo_files(inventory: Inventory, selection: Selection) -> dict[str, list[dict[str, Any]]]:
    """Those about zones that are selected, under the name by which they are spoken of."""
    if not selection.in_dns:
        return {}
    runs = [
        run
        for run in undo_file.kept(inventory)
        if any(selection.covers_zone(image["zone"]) for image in run["images"])
    ]
    return {undo_file.label(inventory): runs} if runs else {}


def _left_out(session: HostSession) -> bool:
    return isinstance(session.outcome.error, NotBelieved)


def _secrets(inventory: Inventory) -> list[str]:
    """What must not be shown of files on the hosts, as far as this inventory knows it."""
    values: list[Secret | None] = []
    for domain in inventory.domains:
        for account in domain.accounts:
            values += account.secrets
    return [value.reveal() for value in values if value is not None]
