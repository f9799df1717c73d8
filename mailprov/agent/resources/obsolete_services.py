"""Units that were mailprov's and are no longer wanted: the filter that was, fail2ban, the firewall's rules.

    ObsoleteService             compare, by the manifest; serve: after all others, behind the commit point
    units(state, manifest)      the specs of those that are ours on this host and no longer wanted
    undo(spec)                  takes back what outlives the unit

`retired` in the desired state names those that a host might have had; the manifest says which of them this host has.
Each is stopped and does not start at boot; but one that serves others as well (`shared`) and ran before mailprov came
goes on, without our files. Packages stay. What a unit leaves behind when it stops (rules of a firewall) its `undo`
takes back. Raises AgentError.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Sequence

from mailprov.agent import commands, systemd
from mailprov.agent.changes import Change, change
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError
from mailprov.agent.manifest import Manifest
from mailprov.agent.resources.base import Look, Running, Spec
from mailprov.agent.sentences import _


class ObsoleteService(Running):
    """`stops`, or else it reads its files again and goes on without ours."""

    def __init__(self, spec: Spec, changes: Sequence[Change], *, stops: bool) -> None:
        super().__init__(spec, changes)
        self.stops = stops

    @classmethod
    def compare(cls, look: Look) -> Iterator["ObsoleteService"]:
        manifest = look.manifest
        for known in units(look.state, manifest):
            unit = look.observed.units[known["unit"]]
            # The files for a rollback, which brings them back: the unit must read them again.
            spec = {**known, "files": sorted(manifest.services[known["unit"]])}
            if spec["shared"] and spec["unit"] in manifest.found:
                if unit.runs:
                    detail = _("reload: it ran before mailprov came, and goes on without its settings")
                    yield cls(spec, [change("service", "run", spec["unit"], detail)], stops=False)
            elif unit.runs or unit.starts_at_boot or (spec["undo"] and unit.load != "not-found"):
                detail = _("stop and disable: no longer in the inventory; its package stays")
                yield cls(spec, [change("service", "delete", spec["unit"], detail)], stops=True)

    def serve(self, run: ApplyContext) -> None:
        doing = _("stopping {unit}") if self.stops else _("reloading {unit}")
        run.say(doing.format(unit=self.spec["unit"]))
        self.retire()
        run.applied(self.changes)

    def retire(self) -> None:
        """Its files are gone already. Its undo first: where the run is killed behind it, the unit still runs and the
        next run does both.
        """
        spec, unit = self.spec, self.spec["unit"]
        if not self.stops:
            systemd.act({**spec, "ports": ()}, "reload")
            return
        undo(spec)
        systemd.stop(unit, spec["ports"])
        systemd.disable(unit)


def units(state: Dict[str, Any], manifest: Manifest) -> List[Spec]:
    """The specs of those that are ours on this host and no longer wanted."""
    return [spec for spec in state.get("retired", ()) if spec["unit"] in manifest.services]


def undo(spec: Spec) -> None:
    """Take back what outlives the unit."""
    argv = spec.get("undo")
    if argv:
        outcome = commands.run(argv, timeout=120)
        if outcome.code != 0:
            what = _("what {unit} set up could not be undone").format(unit=spec["unit"])
            raise AgentError(what, _("look at the output, then run the same command again"), outcome.lines())
