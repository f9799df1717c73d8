"""The modes that are about earlier runs; `main` hands over to it after lock and recovery.

    Past(job, tree, link).work()    history: tells all runs
                                    zones: keeps DNS changes that no other run of this host can keep
                                    rollback: tells the run to undo, waits for `target`, plans, waits for go, undoes
    finish(left, say) -> str        brings a run that was killed after its commit point to its end; the name of the
                                    run that an apply has yet to finish, empty when nothing is left to do

With a job that has "to" a rollback tells all runs, and undoes those that `target` names: the last ones, as one.
A rollback undoes the last run that reached its commit point, so the rollback of a rollback goes forward again.
Raises AgentError or Cancelled.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List

from mailprov.agent import files, journal, lock, runs
from mailprov.agent.channel import Channel
from mailprov.agent.errors import AgentError
from mailprov.agent.journal import Journal
from mailprov.agent.redaction import Mask
from mailprov.agent.transaction import rollback, rollback_plan


class Past:
    """One run of such a mode. `done` counts the changes that were made."""

    def __init__(self, job: Dict[str, Any], tree: files.Tree, link: Channel) -> None:
        self.job, self.tree, self.link = job, tree, link
        self.undoing: Any = None

    @property
    def done(self) -> int:
        return self.undoing.done if self.undoing else 0

    def work(self) -> None:
        """The whole rest of the conversation, except `end`."""
        if self.job["mode"] == "history":
            self.link.say("runs", runs=_history(self.tree))
        elif self.job["mode"] == "zones":
            record = journal.begin(self.tree, self.job["owner"], run=self.job["run"], kind="zones")
            record.note({"r": "zones", "zones": self.job["zones"]})
            record.commit()
            record.close("ok")
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        ended, to = journal.finished(self.tree), self.job.get("to", "")
        chain = [record for record in reversed(ended) if record.committed] if to else _chain(ended)
        if to:
            told = [{**describe(record), "images": _images([record])} for record in ended]
        else:
            told = [{**describe(chain[0]), "images": _images(chain)}] if chain else []
        self.link.say("runs", runs=told)
        target = self.link.wait("target")
        self.link.mask = Mask(target["mask"])
        if to:
            chain = _asked(chain, target.get("undo", []))
        elif chain and target["run"] != told[0]["run"]:
            chain = []
        if not chain:
            self.link.say("plan", changes=[], compared="nothing to undo", fingerprint="", waits=False)
            return
        hand_edits = bool(self.job.get("accept_drift"))

        def look() -> rollback_plan.Plan:
            return rollback_plan.look(self.tree, chain, self.link.mask, hand_edits)

        plan = look()
        for notice in plan.notices:
            self.link.say("notice", text=notice)
        which = f"run of {chain[0].since}"
        if to and len(chain) > 1:
            which = f"{len(chain)} runs from {chain[-1].since} to {chain[0].since}"
        compared = f"{plan.compared} of the {which}"
        fingerprint = plan.fingerprint
        # Also without a change on this host there may be zones to undo, and the run is to be in the history.
        self.link.say("plan", changes=plan.changes, compared=compared, fingerprint=fingerprint, waits=True)
        go = self.link.wait("go")
        if go["fingerprint"] != fingerprint or look().fingerprint != fingerprint:
            raise AgentError(
                "the host has changed since the plan was made", "look at the new plan, then try again"
            )
        begin = {"owner": self.job["owner"], "run": self.job["run"], "kind": "rollback"}
        begin["undoes"] = describe(chain[0])["run"]
        if to:
            begin["to"] = target["run"]
        self.undoing = rollback.Rollback(self.tree, self.link, plan, look)
        self.undoing.work(begin, go.get("zones", []))


def describe(record: Journal) -> Dict[str, Any]:
    """RUN of wire.messages."""
    begin, end = record.first("begin"), record.first("end")
    return {
        "run": begin.get("run") or os.path.basename(record.directory),
        "kind": begin.get("kind", "apply"),
        "owner": record.owner,
        "began": record.since,
        "ended": end.get("time", ""),
        "status": end.get("status", ""),
        "committed": record.committed,
        "changed": end.get("changed", 0),
        "undoes": begin.get("undoes", ""),
        "zones": [zone["zone"] for zone in record.first("zones").get("zones", [])],
        "next": False,
        "address": begin.get("address", ""),
        "to": begin.get("to", ""),
    }


def _history(tree: files.Tree) -> List[Dict[str, Any]]:
    """All runs, the oldest first; the one that a rollback would undo has `next`."""
    ended = journal.finished(tree)
    told = [describe(record) for record in ended]
    last = _chain(ended)
    if last:
        told[ended.index(last[0])]["next"] = True
    left = journal.unfinished(tree)
    if left is not None:
        under_way = {**describe(left), "status": "under way"}
        if not lock.holder(tree):
            finishes = "finishes it" if left.committed else "puts back what it had written"
            under_way["status"] = f"interrupted; the next apply {finishes}"
            if under_way["kind"] == "purge":
                under_way["status"] = "interrupted; the next purge in this domain deletes the rest"
        told.append(under_way)
    return told


def _chain(ended: List[Journal]) -> List[Journal]:
    """The last run that changed something, and those that it finished: they are undone together."""
    by_name = {os.path.basename(record.directory): record for record in ended}
    chain = [record for record in ended if record.committed][-1:]
    while chain:
        earlier = by_name.get(chain[-1].first("begin").get("continues", ""))
        if earlier is None:
            break
        chain.append(earlier)
    return chain


def _asked(chain: List[Journal], undo: List[str]) -> List[Journal]:
    """The newest of these runs (newest first), which must be the very ones that are to be undone. AgentError when
    one of them cannot be undone any more, or alone.
    """
    asked = chain[: len(undo)]
    if [describe(record)["run"] for record in asked] != undo:
        raise AgentError("the host has other runs than it told", "try again")
    names = [os.path.basename(record.directory) for record in asked]
    for record in asked:
        if record.lacks_copies():
            raise AgentError(
                f"the {describe(record)['kind']} of {record.since} is no longer kept whole on this host (the last "
                f"{runs.KEEP} are), so what was before it cannot be brought back",
                "go back to a later run; `mailprov history` shows them",
            )
        continues = record.first("begin").get("continues", "")
        if continues and continues not in names:
            raise AgentError(
                f"the apply of {record.since} finished one that was killed, and they are undone together",
                "go back to the run before both",
            )
    return asked


def _images(chain: List[Journal]) -> List[Dict[str, Any]]:
    """The DNS changes of these runs, the oldest first."""
    return [zone for record in reversed(chain) for zone in record.first("zones").get("zones", [])]


def finish(left: Journal, say: Callable[[str], None]) -> str:
    """What remains of a killed run behind its commit point."""
    kind = left.first("begin").get("kind", "apply")
    if kind == "apply":
        left.close("interrupted after the commit point")
        return os.path.basename(left.directory)
    try:
        rollback.finish_services(left.first("units").get("do", []), say)
    except AgentError:
        left.close("failed after the commit point")
        raise
    left.close("ok, finished by the next run")
    return ""
