"""The words of a plan.

change(kind, action, name, detail, diff) -> Change    CHANGE of wire.messages
Work       a part of the state that is not true yet, the changes it shows, what making it true needs
Observed   what the tools of the host said: packages, units, ports
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Set

from mailprov.agent.services import State

Change = Dict[str, Any]


class Work(NamedTuple):
    """`data` is documented where the work is planned."""

    spec: Dict[str, Any]
    changes: List[Change]
    data: Any = None


class Observed(NamedTuple):
    """Packages as in FACTS, units' states, listening TCP ports; for all that the desired state names."""

    packages: Dict[str, Dict[str, Optional[str]]]
    units: Dict[str, State]
    ports: Set[int]


def change(
    kind: str,
    action: str,
    name: str,
    detail: str = "",
    diff: str = "",
    *,
    drift: bool = False,
    edit: str = "",
) -> Change:
    """One line of the plan: CHANGE of wire.messages."""
    made: Change = {"kind": kind, "action": action, "name": name, "detail": detail, "diff": diff}
    return {**made, "drift": drift, "edit": edit}
