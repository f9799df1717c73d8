"""One run of the agent: what every mode has to hand.

    Session(job, channel)       job, host (`tree`), conversation (`channel`); `done` counts the changes that were made
    session.say, notice, check  progress; something to know; a safe point, which raises Cancelled
    session.await_go(…)         the controller's go for the plan that it was shown
    session.applied(changes)    tells changes that are made, each with the seconds since the one before
    session.lock() -> handle    this host is ours until the handle is closed

Raises AgentError and Cancelled.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Sequence

from mailprov.agent import files, lock
from mailprov.agent.changes import Change
from mailprov.agent.channel import Channel
from mailprov.agent.errors import AgentError
from mailprov.agent.job import Job
from mailprov.agent.sentences import _


class Session:
    def __init__(self, job: Job, channel: Channel) -> None:
        self.job, self.channel, self.tree = job, channel, files.Tree(job.root)
        self.done = 0
        self._clock = time.monotonic()

    def say(self, text: str) -> None:
        self.channel.say("progress", text=text)

    def notice(self, text: str) -> None:
        self.channel.say("notice", text=text)

    def check(self) -> None:
        self.channel.check()

    def await_go(self, fingerprint: str, changed: AgentError) -> Dict[str, Any]:
        """The message `go`; raises `changed` when it is for another plan."""
        go = self.channel.wait("go")
        if go["fingerprint"] != fingerprint:
            raise changed
        self._clock = time.monotonic()
        return go

    def applied(self, changes: Sequence[Change]) -> None:
        for change in changes:
            now = time.monotonic()
            self.channel.say("applied", change=change, seconds=round(now - self._clock, 3))
            self._clock = now
            self.done += 1

    def lock(self) -> int:
        """Waits as long as the job says, and tells once for whom."""
        told: List[str] = []

        def wait(holder: str) -> None:
            if not told:
                told.append(holder)
                self.notice(_("waiting for the lock, which is held by {owner}").format(owner=holder))
            self.check()

        held = lock.take(self.tree, self.job.owner, self.job.lock_timeout, wait)
        self.channel.on_lost = lambda: lock.orphaned(self.tree)
        if self.channel.lost:  # meanwhile
            lock.orphaned(self.tree)
        return held
