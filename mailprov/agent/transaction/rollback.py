"""Puts back what a run changed. rollback_plan.py says what that is.

    Rollback(session, plan, again).run(begin, zones)

It is a run of its own, in the order of an apply: journal and copies, new files beside their places, the daemons'
checks, all files to their places, commit point, services, ports, reading again. Killed or failing before its commit
point it is undone like any other. Units that did not run before are stopped before the files change: Postfix stops
well only as long as it has its configuration.

Raises AgentError and Cancelled.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Callable, List, Sequence

from mailprov.agent import files, manifest, systemd
from mailprov.agent.changes import Change
from mailprov.agent.journal import Journal
from mailprov.agent.resources import acme, drift, renewal, services
from mailprov.agent.session import Session
from mailprov.agent.transaction import daemons, staging
from mailprov.agent.transaction.base import Spec, Transaction, still_differs
from mailprov.agent.transaction.rollback_plan import Item, Plan


class Rollback(Transaction):
    """One rollback."""

    def __init__(self, session: Session, plan: Plan, again: Callable[[], Plan]) -> None:
        super().__init__(session)
        self.plan, self.again = plan, again

    def specs(self) -> List[Spec]:
        return [unit["spec"] for unit in self.plan.units]

    def checked_specs(self) -> List[Spec]:
        """What is put back may be from before mailprov, or from before it had some of its tables: those go away."""
        gone = {item.record["path"] for item in self.plan.items if item.record["was"] is None}
        return [
            {**spec, "tables": [table for table in spec.get("tables", ()) if table[0] not in gone]}
            for spec in (unit["spec"] for unit in self.plan.units if unit["verb"])
            if spec["checks"]
        ]

    def before_commit(self, record: Journal) -> None:
        plan = self.plan
        self.check()
        record.remember([item.record["path"] for item in plan.items])
        record.note({"r": "services", "was": plan.before}, {"r": "units", "do": plan.units})
        self.put_in_place(record, self._staged())
        self.check()

    def before_swap(self) -> None:
        services.halt(self.plan.units, self.say)
        for item in self.plan.items:
            if not item.changes:  # mailprov's own records, which no daemon reads
                item.source.restore(item.record)

    def undone(self, record: Journal) -> None:
        services.restart_stopped(record, self.say)

    def committed(self) -> Sequence[Change]:
        return [change for item in self.plan.items for change in item.changes]

    def _staged(self) -> staging.Stage:
        stage = staging.Stage(self.tree)
        for item in self.plan.items:
            self.check()
            if item.changes:
                self._stage(stage, item)
        return stage

    def _stage(self, stage: staging.Stage, item: Item) -> None:
        path, was = item.record["path"], item.record["was"]
        real = self.tree.at(path)
        seen = files.look(real)
        if was is None:
            stage.drop(path, directory=seen is not None and seen.kind == "directory")
        elif was["kind"] == "link":
            stage.link(path, was["target"])
        elif was["kind"] == "directory" and seen is None:
            files.make_directory(real, was["mode"], was["uid"], was["gid"])
        elif was["kind"] == "file" and files.read(real) != item.source.content(was):
            data = item.source.content(was)
            stage.put(path, data, was["mode"], was["uid"], was["gid"], mtime_ns=was["mtime"])
        else:
            stage.own(path, was["mode"], was["uid"], was["gid"])

    def after_commit(self) -> None:
        if any(item.record["path"].startswith("/etc/systemd/") for item in self.plan.items):
            systemd.reload_systemd()
        services.finish(self.plan.units, self.say)
        self._remove_sockets()
        changed = [
            i.record["path"] for i in self.plan.items if any(one["kind"] == "account" for one in i.changes)
        ]
        daemons.await_passwd_reload(self.tree, changed)
        self.applied(self.plan.unit_changes)
        if any(item.record["path"] == acme.HOOK for item in self.plan.items):
            renewal.follow(self.tree, acme.HOOK)
        left = self.again()
        if left.changes:
            raise still_differs(left.changes, put_back=True)
        drift.keep(self.tree, manifest.load(self.tree), self.channel.redact)

    def _remove_sockets(self) -> None:
        """Directories that are to go are empty but for sockets of daemons that have another configuration by now."""
        listening = systemd.listening()
        for item in self.plan.items:
            real = self.tree.at(item.record["path"])
            if item.record["was"] is not None or not os.path.isdir(real) or os.path.islink(real):
                continue
            for one in list(os.scandir(real)):
                dead = stat.S_ISSOCK(one.stat(follow_symlinks=False).st_mode) and one.path not in listening
                if dead:
                    os.unlink(one.path)
            with contextlib.suppress(OSError):
                os.rmdir(real)
