"""Debian packages that the state wants: all that are missing come in one apt transaction.

    Package                     compare: installed or not; the versions that the state was made for
    install(packages, run, log) all of them, and the proof that their versions are the right ones

They stay when a run is undone. Raises AgentError: no such package, another version than the state was made for.
"""

from __future__ import annotations

from typing import Iterator, List, Sequence

from mailprov.agent import systemd
from mailprov.agent.apt import installation, mail_servers
from mailprov.agent.apt import packages as apt
from mailprov.agent.changes import change
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError
from mailprov.agent.resources.base import Look, Resource, State
from mailprov.agent.sentences import _


class Package(Resource):
    @classmethod
    def count(cls, state: State) -> int:
        return len(state["packages"])

    @classmethod
    def compare(cls, look: Look) -> Iterator["Package"]:
        observed = look.observed
        for name, prefix in look.state["rendered_for"]:
            found = observed.packages[name]
            version = found["installed"] or found["candidate"]
            if version and not apt.version_matches(version, prefix):
                form = _(
                    "the configuration was made for {name} {prefix}, and this host would install {version}"
                )
                if found["installed"]:
                    form = _("the configuration was made for {name} {prefix}, and this host has {version}")
                raise AgentError(
                    form.format(name=name, prefix=prefix, version=version),
                    _("run again; if it stays so, this version is not supported yet"),
                )
        for name in look.state["packages"]:
            found = observed.packages[name]
            if found["installed"] is not None:
                continue
            if found["candidate"] is None:
                raise AgentError(
                    _("the host's package sources have no package {name}").format(name=name),
                    _("add the source that has it (on Ubuntu: universe) to /etc/apt, then try again"),
                )
            detail = found["candidate"]
            if name == "postfix" and (
                others := [server.package for server in mail_servers.others(look.tree)]
            ):
                detail = _("{version}; removes {packages}").format(version=detail, packages=", ".join(others))
            yield Package({"name": name}, [change("package", "create", name, detail)])

    @property
    def name(self) -> str:
        return str(self.spec["name"])


def install(packages: Sequence[Package], run: ApplyContext, log: str) -> None:
    """Units that they bring are held back until they are configured."""
    units = run.observed.units
    unwanted = _new(run.state.get("unwanted", ()))
    held = [*(unit for unit in units if units[unit].load == "not-found"), *unwanted]
    installation.hold_units(run.tree, held)
    installation.install(
        run.tree,
        [package.name for package in packages],
        debconf=run.state["debconf"],
        lists=run.lists,
        log=log,
        say=run.say,
        check=run.check,
    )
    for unit in _new(unwanted, here=True):
        systemd.disable(unit)
    if installation.release_units(run.tree, unwanted):
        systemd.reload_systemd()
    run.applied([change for package in packages for change in package.changes])
    _versions(run)


def _new(units: Sequence[str], *, here: bool = False) -> List[str]:
    """Those of these that are not there yet, or those that are by now."""
    found = systemd.states(units)
    return [unit for unit in units if (found[unit].load != "not-found") is here]


def _versions(run: ApplyContext) -> None:
    """The state was made for certain versions; what got installed must be these."""
    wanted = run.state["rendered_for"]
    found = apt.query([name for name, _version in wanted], run.lists, run.say)
    for name, prefix in wanted:
        version = found[name]["installed"] or ""
        if not apt.version_matches(version, prefix):
            what = _("{name} {version} got installed, and the configuration was made for {prefix}").format(
                name=name, version=version or _("(nothing)"), prefix=prefix
            )
            raise AgentError(what, _("run again: the new plan starts from what is installed now"))
