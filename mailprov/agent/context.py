"""The apply that is being done: what its parts share.

    ApplyContext(…)     the plan, the host, the conversation, and what is remembered of the host; `say`, `applied`

Raises nothing of its own; `link` raises Cancelled at its safe points.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List

from mailprov.agent import files, manifest
from mailprov.agent.apt import packages
from mailprov.agent.changes import Change
from mailprov.agent.channel import Channel
from mailprov.agent.plan.diff import Plan
from mailprov.agent.resources import accounts


class ApplyContext:
    """All that one apply needs. `begin` and `zones` are for the journal; `again()` compares state and host anew."""

    def __init__(
        self,
        *,
        tree: files.Tree,
        link: Channel,
        state: Dict[str, Any],
        plan: Plan,
        remembered: manifest.Manifest,
        passwords: accounts.Passwords,
        lists: packages.Lists,
        begin: Dict[str, Any],
        zones: List[Dict[str, Any]],
        again: Callable[[], Plan],
    ) -> None:
        self.tree, self.link, self.state, self.plan = tree, link, state, plan
        self.manifest, self.passwords, self.lists = remembered, passwords, lists
        self.begin, self.zones, self.again = begin, zones, again
        self.done = 0
        self._clock = time.monotonic()

    def say(self, text: str) -> None:
        self.link.say("progress", text=text)

    def applied(self, changes: List[Change]) -> None:
        """Tell the controller; then a safe point has been reached."""
        for change in changes:
            now = time.monotonic()
            self.link.say("applied", change=change, seconds=round(now - self._clock, 3))
            self._clock = now
            self.done += 1
