"""Compares packages, users and services with the state, from what was observed; makes users.

    compare_packages(state, observed) -> [Work]
    compare_user(spec) -> Work | None          data: the user exists
    compare_service(spec, …) -> Work           data: (enable, verb); verb is start, reload, restart or ""
    make_user(work)

Raises AgentError for what cannot be made true: no such package, another version than wanted, a masked unit.
"""

from __future__ import annotations

import pwd
from typing import Any, Dict, Iterable, List, Optional, Sequence, Union

from mailprov.agent import commands, files, systemd
from mailprov.agent.apt import packages
from mailprov.agent.changes import Observed, Work, change, reread
from mailprov.agent.errors import AgentError


def compare_packages(state: Dict[str, Any], observed: Observed) -> List[Work]:
    """The packages to install, with their versions."""
    for name, prefix in state["rendered_for"]:
        found = observed.packages[name]
        version = found["installed"] or found["candidate"]
        if version and not packages.version_matches(version, prefix):
            how = "has" if found["installed"] else "would install"
            raise AgentError(
                f"the configuration was made for {name} {prefix}, and this host {how} {version}",
                "run again; if it stays so, this version is not supported yet",
            )
    work = []
    for name in state["packages"]:
        found = observed.packages[name]
        if found["installed"] is not None:
            continue
        if found["candidate"] is None:
            raise AgentError(
                f"the host's package sources have no package {name}",
                "add the source that has it (on Ubuntu: universe) to /etc/apt, then try again",
            )
        work.append(Work({"name": name}, [change("package", "create", name, found["candidate"])]))
    return work


def compare_user(spec: Dict[str, Any]) -> Optional[Work]:
    """None when the user is there with this home and shell."""
    try:
        entry = pwd.getpwnam(spec["name"])
    except KeyError:
        made = [change("user", "create", spec["name"], f"system user, home {spec['home']}")]
        return Work(spec, made, False)
    pairs = (("home", entry.pw_dir, spec["home"]), ("shell", entry.pw_shell, spec["shell"]))
    details = [f"{what} {old} → {new}" for what, old, new in pairs if old != new]
    if not details:
        return None
    return Work(spec, [change("user", "update", spec["name"], ", ".join(details))], True)


def make_user(work: Work) -> None:
    """useradd or usermod."""
    spec = work.spec
    argv = ["usermod", "--home", spec["home"], "--shell", spec["shell"], "--", spec["name"]]
    if not work.data:
        argv = [
            "useradd",
            "--system",
            "--no-create-home",
            "--home-dir",
            spec["home"],
            "--shell",
            spec["shell"],
        ]
        # A group that a package made under this name is taken; otherwise useradd makes it.
        argv += ["--gid", spec["name"]] if files.group_exists(spec["name"]) else ["--user-group"]
        argv += ["--comment", spec["comment"], "--", spec["name"]]
    outcome = commands.run(argv)
    if outcome.code != 0:
        raise AgentError(f"the user {spec['name']} cannot be made", "look at the output", outcome.lines())


def compare_service(
    spec: Dict[str, Any],
    observed: Observed,
    *,
    differ: List[str],
    installing: Iterable[str],
) -> Work:
    """What the unit needs. `differ`: files it has not loaded as they will be; `installing`: packages."""
    unit, state = spec["unit"], observed.units[spec["unit"]]
    if state.load == "masked":
        raise AgentError(
            f"{unit} is masked on this host", f"run `systemctl unmask {unit}` there, then try again"
        )
    enable = not state.starts_at_boot
    if not state.runs:
        action = "create" if state.load == "not-found" else "update"
        made = [change("service", action, unit, "enable and start" if enable else "start")]
        return Work(spec, made, (enable, "start"))
    changes = [change("service", "update", unit, "enable")] if enable else []
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
        changes.append(
            change("service", "run", unit, f"unban {', '.join(spec['unban'])}: in fail2ban.ignore")
        )
    tables = dict(spec.get("tables", ()))
    if verb == "reload" and all(path in tables for path in differ):
        spec = {**spec, "checks": [tables[path] for path in differ], "tables": []}
    return Work(spec, changes, (enable, verb))


def _silent(ports: Sequence[Union[int, str]]) -> List[str]:
    """One clause, or none."""
    if len(ports) < 2:
        return [f"{systemd.door(port)} is not listening" for port in ports]
    return [f"ports {', '.join(map(str, ports[:-1]))} and {ports[-1]} are not listening"]
