"""Modes plan and apply begin: the host's packages and facts, which the controller makes the desired state from.

    work(session, interrupted)      packages → facts, and all else by deploy.py

Most of the source of a plan is that of comparing, and the host compiles it. So that happens while dpkg is
asked, and while the controller renders. In mode plan nothing is written. Raises AgentError or Cancelled.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any, Dict, Sequence

from mailprov.agent import facts
from mailprov.agent.apt import packages
from mailprov.agent.session import Session
from mailprov.agent.transaction.recovery import Interrupted


def work(session: Session, interrupted: Interrupted) -> None:
    loading = threading.Thread(
        target=importlib.import_module, args=["mailprov.agent.modes.deploy"], daemon=True
    )
    loading.start()
    lists = packages.Lists()

    def ask(names: Sequence[str]) -> Dict[str, Any]:
        if session.tree.root:
            return {name: {"installed": None, "candidate": None} for name in names}
        return packages.query(names, lists, session.say)

    try:
        found = ask(session.job.packages)
        session.channel.say("facts", facts=facts.facts(session.tree, found))
        loading.join()
        from mailprov.agent.modes import deploy  # if that failed, it fails here as well

        deploy.work(session, interrupted, lists, ask, found)
    finally:
        lists.close()
