"""The apply that is being done: what its resources have to hand.

    ApplyContext(…)     the host, the conversation, what is wanted, and what is remembered of the host

Raises nothing of its own; `check` raises Cancelled at its safe points.
"""

from __future__ import annotations

from typing import Any, Dict

from mailprov.agent import manifest
from mailprov.agent.apt import packages
from mailprov.agent.changes import Observed
from mailprov.agent.resources import passwd_file
from mailprov.agent.session import Session


class ApplyContext:
    """`digests` and `known` are the plan's (resources/base.Look), and follow what is written. `private` is a directory
    that only root may enter: the journal's, once there is one.
    """

    def __init__(
        self,
        *,
        session: Session,
        state: Dict[str, Any],
        observed: Observed,
        remembered: manifest.Manifest,
        passwords: passwd_file.Passwords,
        lists: packages.Lists,
        digests: Dict[str, str],
        known: Dict[str, Dict[str, Any]],
    ) -> None:
        self.session, self.tree, self.channel = session, session.tree, session.channel
        self.state, self.observed = state, observed
        self.manifest, self.passwords, self.lists = remembered, passwords, lists
        self.digests, self.known, self.private = digests, known, ""
        self.say, self.check, self.applied = session.say, session.check, session.applied
