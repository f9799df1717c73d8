"""Units that packages bring and that nothing of mailprov's needs: the distribution's PHP beside webmail's own.

    UnwantedService             compare, by the manifest; serve: before all others, whose ports they may have
    units(state, manifest)      those that are to be looked at
    as_they_are(state, units)   how they are now, for the manifest

An apply that installs such a package holds its units back (packages.py). What is here comes later: an upgrade of the
system brings a new unit (php8.4-fpm.service in place of php8.2-fpm.service, and by what the packages of PHP depend on
Apache, which wants port 80), or an apply was killed between the two. A unit that somebody has started since, or that
ran before mailprov came, is left alone, and so are its successor of the next release and one whose package somebody has
asked for. Raises AgentError.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List

from mailprov.agent import commands, systemd
from mailprov.agent.apt import installation
from mailprov.agent.changes import change
from mailprov.agent.context import ApplyContext
from mailprov.agent.manifest import Manifest
from mailprov.agent.resources.base import Look, Running
from mailprov.agent.sentences import _

_VERSION = re.compile(r"\d+(\.\d+)*")
_ABSENT, _RESTS = "absent", "rests"


class UnwantedService(Running):
    @classmethod
    def compare(cls, look: Look) -> Iterator["UnwantedService"]:
        for unit in look.state.get("unwanted", ()):
            held = look.observed.units[unit].load != "not-found" and installation.is_held(look.tree, unit)
            if held or (_works(look.observed.units[unit]) and _is_new(unit, look)):
                detail = _("stop and disable: a package has brought it, and nothing of mailprov's needs it")
                # For a rollback, which starts it again.
                spec: Dict[str, Any] = {
                    "unit": unit,
                    "files": [],
                    "restart_on": [],
                    "reload": [],
                    "ports": [],
                }
                yield cls(spec, [change("service", "delete", unit, detail)])

    def serve(self, run: ApplyContext) -> None:
        unit = self.spec["unit"]
        run.say(_("stopping {unit}").format(unit=unit))
        systemd.stop(unit, ())
        systemd.disable(unit)
        if installation.release_units(run.tree, [unit]):
            systemd.reload_systemd()
        run.applied(self.changes)


def units(state: Dict[str, Any], manifest: Manifest) -> List[str]:
    wanted = state.get("unwanted", ())
    return list(dict.fromkeys([*wanted, *manifest.unwanted])) if wanted else []


def as_they_are(state: Dict[str, Any], found: Dict[str, systemd.State]) -> Dict[str, str]:
    """Unit → absent or rests. One that works is somebody's, and is not among them."""
    resting = [unit for unit in state.get("unwanted", ()) if not _works(found[unit])]
    return {unit: _ABSENT if found[unit].load == "not-found" else _RESTS for unit in resting}


def _works(state: systemd.State) -> bool:
    return state.load != "not-found" and (state.runs or state.enabled.startswith("enabled"))


def _asked_for(unit: str, look: Look) -> bool:
    """By somebody, and not only by another package: apt-mark(8)."""
    owners = commands.run(["dpkg-query", "-S", f"*/systemd/system/{unit}"]).out.partition(":")[0].split(", ")
    asked = commands.run(["apt-mark", "showmanual", *filter(None, owners)]).out.split()
    return bool(set(asked) & set(owners) - set(look.state["packages"]))


def _is_new(unit: str, look: Look) -> bool:
    """It was not there when mailprov last looked, and its predecessor of an earlier release rests."""
    known, found = look.manifest.unwanted, look.observed.units
    if unit in known:
        return known[unit] == _ABSENT and not _asked_for(unit, look)
    family = [each for each in known if _VERSION.sub("", each) == _VERSION.sub("", unit)]
    return bool(family) and not any(_works(found[each]) for each in family)
