"""The apply that is being done: what its parts share.

    ApplyContext(…)     the plan, the host, the conversation, and what is remembered of the host; `say`, `applied`

Raises nothing of its own; `check` raises Cancelled at its safe points.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from mailprov.agent import manifest
from mailprov.agent.apt import packages
from mailprov.agent.plan.diff import Plan
from mailprov.agent.resources import accounts
from mailprov.agent.session import Session


class ApplyContext:
    """All that one apply needs. `begin` and `zones` are for the journal; `again()` compares state and host anew."""

    def __init__(
        self,
        *,
        session: Session,
        state: Dict[str, Any],
        plan: Plan,
        remembered: manifest.Manifest,
        passwords: accounts.Passwords,
        lists: packages.Lists,
        begin: Dict[str, Any],
        zones: List[Dict[str, Any]],
        again: Callable[[], Plan],
    ) -> None:
        self.session, self.tree, self.channel = session, session.tree, session.channel
        self.state, self.plan = state, plan
        self.manifest, self.passwords, self.lists = remembered, passwords, lists
        self.begin, self.zones, self.again = begin, zones, again
        self.say, self.check, self.applied = session.say, session.check, session.applied
