"""systemd services that serve mail, and how a rollback brings a unit back. systemd.py has the commands.

    Service                     compare: does it run, start at boot, listen, and has it read its files as they will be
    restoration(unit, …)        what a unit needs to run, or not to run, as it did
    halt, finish, restart_stopped   a rollback's parts: before the files change, behind the commit point, when undone

Who is banned by fail2ban is a part of its service: bans.py. Raises AgentError, as for a masked unit.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Union

from mailprov.agent import errors, systemd
from mailprov.agent.changes import Change, Observed, change, reread
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError
from mailprov.agent.journal import Journal
from mailprov.agent.resources import bans, obsolete_services
from mailprov.agent.resources.base import Look, Running, Spec, Staged, State, digest
from mailprov.agent.resources.packages import Package
from mailprov.agent.sentences import N_, _, joined

_COUNTS_EARLIER = N_(
    "fail2ban could not be set to count from now on: wrong passwords of the last ten minutes count, too"
)
_DOING = {
    "start": N_("starting {unit}"),
    "reload": N_("reloading {unit}"),
    "restart": N_("restarting {unit}"),
}
_WORDS = {"stop": N_("stop"), "disable": N_("disable"), "enable": N_("enable"), "start": N_("start")}
Say = Callable[[str], None]


class Service(Running):
    def __init__(self, spec: Spec, changes: Sequence[Change], *, enable: bool, verb: str) -> None:
        super().__init__(spec, changes)
        self.enable, self.verb = enable, verb

    @classmethod
    def count(cls, state: State) -> int:
        return len(state["services"])

    @classmethod
    def compare(cls, look: Look) -> Iterator["Service"]:
        changing = {path for one in look.of(Staged) for path in one.rewrites()}
        installing = [one.name for one in look.of(Package)]
        for spec in look.state["services"]:
            loaded = look.manifest.services.get(spec["unit"], {})
            wanted = [*spec["files"], *spec["restart_on"]]
            differ = [path for path in wanted if path in changing or loaded.get(path) != look.digest(path)]
            differ += [path for path in loaded if path not in wanted]
            todo = _with_jails(spec, look.observed, first=not loaded) if spec.get("jails") else spec
            work = needed(todo, look.observed, differ=list(dict.fromkeys(differ)), installing=installing)
            if work.changes:
                yield work

    def serve(self, run: ApplyContext) -> None:
        spec, unit = self.spec, self.spec["unit"]
        if self.enable:
            systemd.enable(unit)
        if spec.get("counts") and not bans.count_from_now(spec["counts"]):
            run.session.notice(_(_COUNTS_EARLIER))
        if self.verb:
            run.say(_(_DOING[self.verb]).format(unit=unit))
            systemd.act(spec, self.verb)
        if spec.get("unban"):
            bans.lift(spec["unban"])
        # What the unit has just read: packages may have brought files since the plan.
        read = {path: digest(run.tree, path) for path in (*spec["files"], *spec["restart_on"])}
        run.manifest.loaded(unit, read, ran=run.observed.units[unit].runs)
        run.applied(self.changes)


def _with_jails(spec: Spec, observed: Observed, first: bool) -> Spec:
    """With what is to be done about bans besides: `counts` jails that begin now, `unban` addresses."""
    lifted = bans.to_lift(spec) if observed.units[spec["unit"]].runs else []
    return {**spec, "counts": spec["jails"] if first else [], "unban": lifted}


def needed(spec: Spec, observed: Observed, *, differ: List[str], installing: Sequence[str]) -> Service:
    """What the unit needs. `differ`: files it has not loaded as they will be; `installing`: packages."""
    unit, state = spec["unit"], observed.units[spec["unit"]]
    if state.load == "masked":
        advice = _("run `systemctl unmask {unit}` there, then try again").format(unit=unit)
        raise AgentError(_("{unit} is masked on this host").format(unit=unit), advice)
    enable = not state.starts_at_boot
    if not state.runs:
        action = "create" if state.load == "not-found" else "update"
        made = [change("service", action, unit, _("enable and start") if enable else _("start"))]
        return Service(spec, made, enable=enable, verb="start")
    changes = [change("service", "update", unit, _("enable"))] if enable else []
    stem = unit.partition(".")[0]
    # A new package of the same family, such as dovecot-pop3d, is a module the running daemon lacks.
    added = [name for name in installing if name.startswith(stem)]
    silent = _silent(sorted(set(spec["ports"]) - observed.ports))
    verb = "reload" if differ else ""
    if set(differ) & set(spec["restart_on"]) or added or (silent and not differ):
        verb = "restart"
    if verb:
        changes.append(reread(unit, verb, differ, [*added, *silent]))
    if spec.get("unban"):
        lifted = _("unban {addresses}: in fail2ban.ignore").format(addresses=", ".join(spec["unban"]))
        changes.append(change("service", "run", unit, lifted))
    tables = dict(spec.get("tables", ()))
    if verb == "reload" and all(path in tables for path in differ):
        spec = {**spec, "checks": [tables[path] for path in differ], "tables": []}
    return Service(spec, changes, enable=enable, verb=verb)


def _silent(ports: Sequence[Union[int, str]]) -> List[str]:
    """One clause, or none."""
    if len(ports) < 2:
        return [_("{port} is not listening").format(port=systemd.door(port)) for port in ports]
    return [
        _("ports {ports} and {last} are not listening").format(
            ports=", ".join(map(str, ports[:-1])), last=ports[-1]
        )
    ]


class Restoration(NamedTuple):
    """`todo` as the journal of a rollback has it: {"spec", "stop": ports or None, "disable", "enable", "verb"}."""

    todo: Dict[str, Any]
    changes: List[Change]


def restoration(unit: Dict[str, Any], state: systemd.State, changing: Set[str]) -> Optional[Restoration]:
    """`unit` is the snapshot from before the run, `changing` the files that go back; None where nothing differs."""
    spec, name = unit["spec"], unit["spec"]["unit"]
    comes_back = f"/etc/systemd/system/{name}" in changing and unit["load"] != "not-found"
    if state.load == "not-found" and not comes_back:
        return None
    both = dict.fromkeys((*spec["files"], *spec["restart_on"]))
    differ = [path for path in both if path in changing]
    silent = [port for port in spec["ports"] if port not in unit["listening"]]
    todo = {
        "spec": {**spec, "ports": unit["listening"]},
        "stop": silent if state.runs and not unit["runs"] else None,
        "disable": state.starts_at_boot and not unit["enabled"],
        "enable": unit["enabled"] and not state.starts_at_boot,
        "verb": "start" if unit["runs"] and not state.runs else "",
    }
    if unit["runs"] and state.runs and differ:
        restart = unit["verb"] == "restart" or set(differ) & set(spec["restart_on"])
        todo["verb"] = "restart" if restart else "reload"
    changes = _undone(unit, todo, differ)
    return Restoration(todo, changes) if changes else None


def _undone(unit: Dict[str, Any], todo: Dict[str, Any], differ: List[str]) -> List[Change]:
    name = unit["spec"]["unit"]
    words = ["stop"] * (todo["stop"] is not None)
    words += [word for word in ("disable", "enable") if todo[word]]
    words += ["start"] * (todo["verb"] == "start")
    made = []
    if words:
        action = "delete" if unit["load"] == "not-found" else "update"
        made.append(change("service", action, name, joined([_(_WORDS[word]) for word in words], _(" and "))))
    if todo["verb"] in ("reload", "restart"):
        made.append(reread(name, todo["verb"], differ))
    return made


def halt(units: Sequence[Dict[str, Any]], say: Say) -> None:
    """In reverse order: what comes last relies on what comes first."""
    for unit in reversed(units):
        if unit["stop"] is not None:
            say(_("stopping {unit}").format(unit=unit["spec"]["unit"]))
            systemd.stop(unit["spec"]["unit"], unit["stop"])
            obsolete_services.undo(unit["spec"])


def finish(units: Sequence[Dict[str, Any]], say: Say) -> None:
    """Disable what did not run (and stop it, should it have been started again meanwhile); start, restart or reload
    the others. All are tried; once more does no harm."""
    failures: List[AgentError] = []
    states = systemd.states([unit["spec"]["unit"] for unit in units])
    for unit in units:
        name = unit["spec"]["unit"]
        try:
            if unit["stop"] is not None and states[name].runs:
                halt([unit], say)
            if unit["disable"]:
                systemd.disable(name)
            if unit["enable"]:
                systemd.enable(name)
            if unit["verb"]:
                say(_(_DOING[unit["verb"]]).format(unit=name))
                systemd.act(unit["spec"], unit["verb"])
        except AgentError as error:
            failures.append(error)
    if failures:
        raise errors.joined(failures)


def restart_stopped(record: Journal, say: Say) -> None:
    """Start again what a rollback has stopped that is undone itself: its files are back already. A failure is told and
    no more: the next apply starts what it needs."""
    ran = [unit for unit in record.first("services").get("was", []) if unit["runs"]]
    try:
        states = systemd.states([unit["spec"]["unit"] for unit in ran])
        for unit in ran:
            if not states[unit["spec"]["unit"]].runs:
                say(_("starting {unit} again").format(unit=unit["spec"]["unit"]))
                systemd.act({**unit["spec"], "ports": unit["listening"]}, "start")
    except AgentError as error:
        say(_("not started again: {what}").format(what=error.what))
