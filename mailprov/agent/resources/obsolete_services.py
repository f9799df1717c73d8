"""Units that were mailprov's and are no longer wanted: the filter that was, fail2ban, the firewall's rules.

    compare(state, observed, manifest) -> list of Work     data: "stop" or "reload"
    retire(work)                                            after the commit point, when everything else runs

`retired` in the desired state names those that a host might have had; the manifest says which of them this host has.
Each is stopped and does not start at boot; but one that serves others as well (`shared`) and ran before mailprov came
goes on, without our files. Packages stay. What a unit leaves behind when it stops (rules of a firewall) its `undo`
takes back. Raises AgentError.
"""

from __future__ import annotations

from typing import Any, Dict, List

from mailprov.agent import commands, systemd
from mailprov.agent.changes import Observed, Work, change
from mailprov.agent.errors import AgentError
from mailprov.agent.manifest import Manifest


def units(state: Dict[str, Any], manifest: Manifest) -> List[Dict[str, Any]]:
    """The specs of those that are ours on this host and no longer wanted."""
    return [spec for spec in state.get("retired", ()) if spec["unit"] in manifest.services]


def compare(state: Dict[str, Any], observed: Observed, manifest: Manifest) -> List[Work]:
    """What is left to do for them."""
    works = []
    for known in units(state, manifest):
        unit = observed.units[known["unit"]]
        # The files for a rollback, which brings them back: the unit must read them again.
        spec = {**known, "files": sorted(manifest.services[known["unit"]])}
        if spec["shared"] and spec["unit"] in manifest.found:
            if unit.runs:
                detail = "reload: it ran before mailprov came, and goes on without its settings"
                works.append(Work(spec, [change("service", "run", spec["unit"], detail)], "reload"))
        elif unit.runs or unit.starts_at_boot or (spec["undo"] and unit.load != "not-found"):
            detail = "stop and disable: no longer in the inventory; its package stays"
            works.append(Work(spec, [change("service", "delete", spec["unit"], detail)], "stop"))
    return works


def retire(work: Work) -> None:
    """Its files are gone already. Its undo first: where the run is killed behind it, the unit still runs and the next
    run does both.
    """
    spec, unit = work.spec, work.spec["unit"]
    if work.data == "reload":
        systemd.act({**spec, "ports": ()}, "reload")
        return
    undo(spec)
    systemd.stop(unit, spec["ports"])
    systemd.disable(unit)


def undo(spec: Dict[str, Any]) -> None:
    """Take back what outlives the unit."""
    argv = spec.get("undo")
    if argv:
        outcome = commands.run(argv, timeout=120)
        if outcome.code != 0:
            what = f"what {spec['unit']} set up could not be taken back"
            raise AgentError(what, "look at the output, then run the same command again", outcome.lines())
