"""The words of a plan.

change(kind, action, name, detail, diff) -> Change    CHANGE of wire.messages
reread(unit, verb, files, others) -> Change           one of a service that reads its files again
fingerprint(changes)                                  what a go is for
Observed   what the tools of the host said: packages, units, ports
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, NamedTuple, Optional, Sequence, Set, Union

from mailprov.agent.sentences import N_, _, joined, ngettext
from mailprov.agent.systemd import State

Change = Dict[str, Any]

_REREAD = {
    "reload": (N_("reload because of {reasons}"), N_("reload: {reasons}")),
    "restart": (N_("restart because of {reasons}"), N_("restart: {reasons}")),
}


class Observed(NamedTuple):
    """Packages as in FACTS, units' states, listening TCP ports; for all that the desired state names."""

    packages: Dict[str, Dict[str, Optional[str]]]
    units: Dict[str, State]
    ports: Set[Union[int, str]]


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


def fingerprint(changes: Sequence[Change]) -> str:
    """A short hash of exactly these changes in this order."""
    return hashlib.sha256(json.dumps(changes, sort_keys=True).encode("ascii")).hexdigest()[:16]


def reread(unit: str, verb: str, differ: Sequence[str], others: Sequence[str] = ()) -> Change:
    """A unit is told to read its files again. `differ` are the files, `others` what else it is done for. Up to two are
    named in the line; of more it says how many they are, and `because` has all.
    """
    because, why = _REREAD[verb]
    reasons = [*differ, *others]
    if len(reasons) <= 2:
        return change("service", "run", unit, _(because).format(reasons=joined(reasons)))
    count = len(differ)
    # As report/plans.py knows it again.
    counted = (
        [ngettext("{count} file changed", "{count} files changed", count).format(count=count)]
        if differ
        else []
    )
    made = change("service", "run", unit, _(why).format(reasons=joined([*counted, *others])))
    return {**made, "because": list(differ)} if differ else made
