"""The runs of this host as its journals tell them: for people to read, and for a rollback to undo.

    runs_of(tree) -> [RUN]          all, the oldest first, with one that is under way
    describe(journal) -> RUN        of wire.messages
    chain(ended) -> [Journal]       what a rollback undoes: the last run that changed something, and those it finished
    asked(chain, ids)               the newest of these runs, which a rollback to an earlier state undoes
    images(chain) -> [IMAGE]        the DNS changes of these runs

Raises AgentError.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List

from mailprov.agent import files, journal, lock, runs
from mailprov.agent.errors import AgentError
from mailprov.agent.journal import Journal
from mailprov.agent.sentences import N_, _


def describe(record: Journal) -> Dict[str, Any]:
    """RUN of wire.messages."""
    begin, end = record.first("begin"), record.first("end")
    return {
        "run": begin.get("run") or os.path.basename(record.directory),
        "kind": begin.get("kind", "apply"),
        "owner": record.owner,
        "began": record.since,
        "ended": end.get("time", ""),
        "status": _ended(end.get("status", "")),
        "committed": record.committed,
        "changed": end.get("changed", 0),
        "undoes": begin.get("undoes", ""),
        "zones": [zone["zone"] for zone in record.first("zones").get("zones", [])],
        "next": False,
        "address": begin.get("address", ""),
        "to": begin.get("to", ""),
        "action": begin.get("action", ""),
        "ids": begin.get("ids", []),
    }


# As journals have it, in English, of this version and of earlier ones.
_ENDED = (
    N_("ok"),
    N_("ok, without its controller"),
    N_("ok, finished by the next run"),
    N_("failed after the commit point"),
    N_("interrupted"),
    N_("interrupted after the commit point"),
    N_("interrupted; what it had written was put back"),
)
_WHY = (N_("interrupted by the user"), N_("its controller was gone"), N_("disk full"))
_BECAUSE = (N_("undone: {reason}"), N_("failed: {reason}"))


def _ended(status: str) -> str:
    for form in _BECAUSE:
        head = form.partition("{")[0]
        if status.startswith(head):
            reason = status[len(head) :]
            return _(form).format(reason=_(reason) if reason in _WHY else reason)
    return _(status) if status in _ENDED else status


def runs_of(tree: files.Tree) -> List[Dict[str, Any]]:
    """All runs, the oldest first; the one that a rollback would undo has `next`."""
    ended = journal.finished(tree)
    told = [describe(record) for record in ended]
    last = chain(ended)
    if last:
        told[ended.index(last[0])]["next"] = True
    left = journal.unfinished(tree)
    if left is not None:
        under_way = {**describe(left), "status": _("under way")}
        if not lock.holder(tree):
            under_way["status"] = (
                _("interrupted; the next apply finishes it")
                if left.committed
                else _("interrupted; the next apply puts back what it had written")
            )
            if under_way["kind"] == "queue":
                under_way["status"] = _("interrupted; the next run releases what it had held to delete it")
            if under_way["kind"] == "purge":
                under_way["status"] = _("interrupted; the next purge in this domain deletes the rest")
        told.append(under_way)
    return told


def chain(ended: List[Journal]) -> List[Journal]:
    """The last run that changed something, and those that it finished: they are undone together."""
    by_name = {os.path.basename(record.directory): record for record in ended}
    chain = [record for record in ended if record.committed][-1:]
    while chain:
        earlier = by_name.get(chain[-1].first("begin").get("continues", ""))
        if earlier is None:
            break
        chain.append(earlier)
    return chain


def asked(chain: List[Journal], undo: List[str]) -> List[Journal]:
    """The newest of these runs (newest first), which must be the very ones that are to be undone. AgentError when
    one of them cannot be undone any more, or alone.
    """
    asked = chain[: len(undo)]
    if [describe(record)["run"] for record in asked] != undo:
        raise AgentError(_("the runs on this host are not those that it reported"), _("try again"))
    names = [os.path.basename(record.directory) for record in asked]
    for record in asked:
        if record.lacks_copies():
            raise AgentError(
                _(
                    "the copies that the {kind} of {since} made are no longer on this host (those of the last "
                    "{count} runs are), so what was before it cannot be brought back"
                ).format(kind=describe(record)["kind"], since=record.since, count=runs.KEEP),
                _("go back to a later run; `mailprov history` shows them"),
            )
        continues = record.first("begin").get("continues", "")
        if continues and continues not in names:
            raise AgentError(
                _("the apply of {since} finished one that was killed, and they are undone together").format(
                    since=record.since
                ),
                _("go back to the run before both"),
            )
    return asked


def images(chain: List[Journal]) -> List[Dict[str, Any]]:
    """The DNS changes of these runs, the oldest first."""
    return [zone for record in reversed(chain) for zone in record.first("zones").get("zones", [])]
