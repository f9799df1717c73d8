"""What a killed run left behind: put right before the next one begins, or told where nothing may be written.

    recover(session, writes, tells) -> Interrupted      after the lock, if one is taken
    rescue(session) -> str                              right after a kill, by the watchdog; what became of it

Before its commit point a run is undone; behind it the run is finished, by this one or by the next apply. Raises
AgentError.
"""

from __future__ import annotations

import os
from typing import FrozenSet, NamedTuple, Optional

from mailprov.agent import files, journal, lock, manifest
from mailprov.agent.journal import Journal
from mailprov.agent.sentences import N_, _, ngettext
from mailprov.agent.session import Session

_FINISHED_NEXT = N_(
    "an earlier run of {owner} at {time} was interrupted after its commit point; the next apply finishes it"
)
_UNDONE = N_("what it had written was put back")


class Interrupted(NamedTuple):
    """What a run must know of a killed one before it.

    excused     paths that it had written: what a plan finds there is no edit by hand
    undone      its journal, where a plan looks at what the next apply puts back
    continues   the directory of a run that was killed behind its commit point, which this one finishes
    """

    excused: FrozenSet[str] = frozenset()
    undone: Optional[Journal] = None
    continues: str = ""

    def first_apply(self, tree: files.Tree) -> bool:
        """Whether mailprov has never come to the end of an apply here. A killed one that only a plan looks at does not
        count."""
        if files.look(tree.at(manifest.PATH)) is None:
            return True
        return self.undone is not None and any(
            one["r"] == "was" and one["path"] == manifest.PATH and one["was"] is None
            for one in self.undone.records
        )

    def content_before(self, tree: files.Tree, path: str) -> Optional[bytes]:
        """What a file of the host held before a killed run came to it."""
        for record in self.undone.records if self.undone is not None else ():
            if self.undone is not None and record["r"] == "was" and record["path"] == path:
                was = record["was"]
                return self.undone.content(was) if was is not None and was["kind"] == "file" else None
        return files.read(tree.at(path), follow=True)


def recover(session: Session, *, writes: bool, tells: bool) -> Interrupted:
    """Bring what a killed run left to a safe state; when nothing may be written only say so."""
    left = journal.unfinished(session.tree)
    if tells:
        _tell_of_others(session, writes)
    if left is None or (not writes and lock.holder(session.tree)):
        return Interrupted()
    if left.first("begin").get("kind") == "purge":
        if writes:
            left.close("interrupted")
        told = _(
            "a purge of {address} by {owner} at {time} was interrupted; the next purge in its domain deletes what "
            "is left of that mailbox"
        )
        address = left.first("begin").get("address", "")
        session.notice(told.format(address=address, owner=left.owner, time=left.since))
        return Interrupted()
    if left.first("begin").get("kind") == "wire":
        return _take_back(session, left, writes)
    if left.first("begin").get("kind") == "queue":
        return _messages(session, left, writes)
    if not writes:
        return _look(session, left)
    return _put_right(session, left)


def _take_back(session: Session, left: Journal, writes: bool) -> Interrupted:
    """Of a trace with --wire that was killed: the host ends that itself after a minute or two, and not sooner."""
    from mailprov.agent.verbose import overlay

    if writes:
        overlay.take_back(str(left.first("wire").get("queue", overlay.QUEUE)))
        left.discard()
        told = _(
            "a trace with --wire of {owner} at {time} was interrupted; Postfix tells as much as before again"
        )
        session.notice(told.format(owner=left.owner, time=left.since))
        return Interrupted()
    told = _(
        "a trace with --wire of {owner} at {time} was interrupted; what it left is taken back in minutes, or by the "
        "next apply"
    )
    session.notice(told.format(owner=left.owner, time=left.since))
    if not overlay.is_on():
        return Interrupted()
    return Interrupted(frozenset(record["path"] for record in left.records if record["r"] == "was"), left)


def _messages(session: Session, left: Journal, writes: bool) -> Interrupted:
    """What was done to messages of the queue stays done; none stays held that was only to be deleted."""
    if writes:
        from mailprov.agent.mail_queue import acting

        acting.put_right(session, left)
        left.close("interrupted", sum(record["r"] == "done" for record in left.records))
    told = _(
        "a run of {owner} at {time} on messages of the queue was interrupted; mailprov queue shows them as they are"
    )
    session.notice(told.format(owner=left.owner, time=left.since))
    return Interrupted()


def _look(session: Session, left: Journal) -> Interrupted:
    begun = left.must_finish
    told = _(
        "an earlier run of {owner} at {time} was interrupted before its commit point; the next apply puts back what "
        "it had written"
    )
    if begun:
        told = _(_FINISHED_NEXT)
    session.notice(told.format(owner=left.owner, time=left.since))
    excused = frozenset(record["path"] for record in left.records if record["r"] == "was")
    return Interrupted(excused, None if begun else left)


def _put_right(session: Session, left: Journal) -> Interrupted:
    from mailprov.agent.apt import policy_rc_d
    from mailprov.agent.resources import services
    from mailprov.agent.transaction import staging

    policy_rc_d.release(session.tree, session.say)
    staging.complete(session.tree, left)
    if left.committed:
        continues = _finish(session, left)
        told = _(_FINISHED_NEXT)
        if not continues:
            told = _(
                "an earlier run of {owner} at {time} was interrupted after its commit point; what it had left to do "
                "is done now"
            )
        elif session.job.mode == "apply":
            told = _(
                "an earlier run of {owner} at {time} was interrupted after its commit point; this run finishes it"
            )
        session.notice(told.format(owner=left.owner, time=left.since))
        return Interrupted(continues=continues)
    count = left.undo()
    if left.first("begin").get("kind") == "rollback":
        services.restart_stopped(left, session.say)
    left.close(f"interrupted; {_UNDONE}")
    form = ngettext(
        "an earlier run of {owner} at {time} was interrupted before its commit point; what it had written was put "
        "back ({count} path)",
        "an earlier run of {owner} at {time} was interrupted before its commit point; what it had written was put "
        "back ({count} paths)",
        count,
    )
    session.notice(form.format(owner=left.owner, time=left.since, count=count))
    return Interrupted()


def _finish(session: Session, left: Journal) -> str:
    """What remains of a killed run behind its commit point; the name of an apply that this one has yet to finish."""
    from mailprov.agent.errors import AgentError
    from mailprov.agent.resources import services

    if left.first("begin").get("kind", "apply") == "apply":
        left.close("interrupted after the commit point")
        return os.path.basename(left.directory)
    try:
        services.finish(left.first("units").get("do", []), session.say)
    except AgentError:
        left.close("failed after the commit point")
        raise
    left.close("ok, finished by the next run")
    return ""


def rescue(session: Session) -> str:
    """After a kill. Behind the commit point the daemons get the files that they must read together."""
    from mailprov.agent import systemd
    from mailprov.agent.apt import installation, policy_rc_d
    from mailprov.agent.resources import bans
    from mailprov.agent.transaction import staging

    held = session.lock()
    left = journal.unfinished(session.tree)
    if left is None:
        return _("it had changed nothing")
    ahead = left.must_finish
    if not ahead or left.first("begin").get("kind") != "apply":
        recover(session, writes=True, tells=True)
        return _("its work was brought to its end") if ahead else _(_UNDONE)
    policy_rc_d.release(session.tree, session.say)
    staging.complete(session.tree, left)
    units = left.first("services").get("was", [])
    if installation.release_units(session.tree, [unit["spec"]["unit"] for unit in units]):
        systemd.reload_systemd()
    for unit in units:
        if unit["spec"].get("counts"):
            bans.count_from_now(unit["spec"]["counts"])
        if unit["verb"]:
            systemd.enable(unit["spec"]["unit"])
            systemd.act(unit["spec"], unit["verb"])
    os.close(held)
    return _("the new configuration is in force, and the next apply finishes the rest")


def _tell_of_others(session: Session, writes: bool) -> None:
    """Another run at work now, and the last one if its controller was killed: nobody else tells how that ended.

    An apply tells the latter once, as far as this host's memory reaches; a plan writes nothing, and tells it again.
    """
    tree = session.tree
    if not writes and lock.holder(tree):
        session.notice(_("at work on this host now: {owner}").format(owner=lock.holder(tree)))
        return
    last = journal.last(tree)
    status = last.first("end").get("status", "") if last is not None else ""
    if last is None or not status.endswith((journal.NO_CONTROLLER, journal.ALONE)):
        return
    told, name = tree.at(lock.TOLD), os.path.basename(last.directory).encode("ascii")
    if files.read(told) == name:
        return
    form = _(
        "the last run on this host, of {owner} at {time}, lost its controller; what it had written was put back"
    )
    if status == journal.ALONE:
        form = _(
            "the last run on this host, of {owner} at {time}, lost its controller; it was finished all the same"
        )
    session.notice(form.format(owner=last.owner, time=last.since))
    if writes:
        files.write(told, name, 0o600, sync=False)
