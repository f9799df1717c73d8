"""What an apply and a rollback have in common: the host is changed as a whole, or left as it was.

    Transaction(session).run(begin, zones)      journal and copies; new files beside their places; the daemons' checks;
                                                all files to their places; commit point; services, ports, the proof

Before the commit point every AgentError, Cancelled or other exception puts back all files, directories and modes, and
goes on to the caller. After it the agent finishes whatever the controller does. What differs is in the methods that
apply.py and rollback.py override. Raises AgentError or Cancelled.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Dict, List, Sequence

from mailprov.agent import channel, compiled, journal, systemd
from mailprov.agent.apt import policy_rc_d
from mailprov.agent.changes import Change
from mailprov.agent.errors import AgentError, Cancelled
from mailprov.agent.journal import Journal
from mailprov.agent.sentences import _
from mailprov.agent.session import Session
from mailprov.agent.transaction import daemons, staging

Spec = Dict[str, Any]


class Transaction:
    def __init__(self, session: Session) -> None:
        self.session, self.tree, self.channel = session, session.tree, session.channel
        self.say, self.check, self.applied = session.say, session.check, session.applied

    # What each of the two brings.

    def before_commit(self, record: Journal) -> None:
        """Everything up to and with `put_in_place`."""
        raise NotImplementedError

    def specs(self) -> List[Spec]:
        """Of the services that read what changes."""
        raise NotImplementedError

    def checked_specs(self) -> List[Spec]:
        """Of those whose configuration must pass its daemon's own check."""
        raise NotImplementedError

    def before_swap(self) -> None:
        """After the checks, and before the first file takes its place."""

    def committed(self) -> Sequence[Change]:
        """The changes that the commit point has made."""
        raise NotImplementedError

    def after_commit(self) -> None:
        """Services, and the proof that nothing is left to change."""
        raise NotImplementedError

    def undone(self, record: Journal) -> None:
        """The files are back: what else must be as before."""

    def failed(self) -> None:
        """Something went wrong behind the commit point."""

    # What they share.

    def run(self, begin: Dict[str, Any], zones: Sequence[Dict[str, Any]]) -> Journal:
        """`begin` as in the journal's record; `zones` are DNS changes that it keeps. Returns the run's journal."""
        record = journal.begin(self.tree, **begin)
        if zones:
            record.note({"r": "zones", "zones": zones})
        self.channel.log_to(record.directory + "/events")
        try:
            self.before_commit(record)
            record.commit()
        except BaseException as error:
            self._put_back(record, error)
            self.undone(record)
            raise
        self.applied(self.committed())
        try:
            self.after_commit()
        except AgentError:
            self.failed()
            record.close("failed after the commit point", self.session.done)
            raise
        record.close("ok" if not self.channel.lost else journal.ALONE, self.session.done)
        compiled.settle(self.tree)
        return record

    def put_in_place(self, record: Journal, stage: staging.Stage) -> None:
        """The checks, and then all new files to their places: in this order, where the host allows such a view."""
        checked = self._checked(stage)
        self.before_swap()
        self.check()
        specs = self.specs()
        moves = daemons.in_order(self.tree, stage.moves, specs)
        record.note({"r": "swap", "moves": moves, "checked": checked})
        staging.swap(self.tree, moves, specs if checked else ())
        if not checked:
            self._check(())
            daemons.reload(self.tree, specs)

    def _checked(self, stage: staging.Stage) -> bool:
        """The daemons' own checks before anything is in its place; False where this host allows no such view."""
        if not self.checked_specs():
            return True
        with stage.view() as prefix:
            if prefix is not None:
                self._check(prefix)
            return prefix is not None

    def _check(self, prefix: Sequence[str]) -> None:
        for spec in self.checked_specs():
            self.check()
            self.say(_("checking the configuration of {unit}").format(unit=spec["unit"]))
            systemd.check(spec, prefix)

    def _put_back(self, record: Journal, error: BaseException) -> None:
        """The end of a run that failed or was stopped before its commit point."""
        policy_rc_d.release(self.tree, self.say)
        swapped = bool(record.first("swap"))
        try:
            if swapped:
                record.note({"r": "back"})
            count = record.undo()
            daemons.reload(self.tree, staging.readers_of(record) if swapped else ())
        except OSError as problem:
            raise AgentError(
                _("{why}; and putting back failed: {error}").format(
                    why=getattr(error, "what", error), error=problem.strerror
                ),
                _("the next apply tries again"),
            ) from error
        record.close("undone: " + self.channel.redact(_why(error)))
        self.session.done = 0
        if isinstance(error, AgentError) and record.first("was"):
            form = _("{what}; the configuration was left as it was, and the host serves as before")
            if count:
                form = _("{what}; everything was put back, and the host serves as before")
            error.what = form.format(what=error.what)
        elif isinstance(error, Cancelled) and count:
            error.why = _("{why}; what had been written was put back").format(why=error.why)


def _why(error: BaseException) -> str:
    """In a few words, for the journal: agent/history.py tells them."""
    if isinstance(error, Cancelled):
        words = {channel.INTERRUPTED: "interrupted by the user", channel.LOST: journal.NO_CONTROLLER}
        return words.get(error.why, error.why)
    said = (
        error.what if isinstance(error, AgentError) else error.strerror if isinstance(error, OSError) else ""
    )
    if not said:
        return f"an error in mailprov ({type(error).__name__})"
    full = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
    return "disk full" if any(one in said for one in full) else said[:200]


def still_differs(changes: Sequence[Change], *, put_back: bool = False) -> AgentError:
    """After everything was done, or put back."""
    names = ", ".join(f"{one['kind']} {one['name']}" for one in changes[:5])
    form = _("after everything was done the host still differs: {names}")
    if put_back:
        form = _("after everything was put back the host still differs: {names}")
    return AgentError(
        form.format(names=names),
        _("something else on the host changes it; look at the plan"),
        [f"{one['name']}: {one['detail']}" for one in changes],
    )
