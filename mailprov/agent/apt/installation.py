"""One apt transaction for all packages, without daemons that start half configured.

    install(…)                  debconf presets, the end of what was interrupted before, apt-get install
    hold_units, release_units   units that packages bring do not start, not even when the host boots, before the
                                first configuration of ours is in its place
    is_held                     whether one waits for that

Waits for another package manager and what a killed one left running (dpkg_lock).

Raises AgentError with apt's last lines.
"""

from __future__ import annotations

import os
import re
from typing import Callable, List, Sequence

from mailprov.agent import commands, files
from mailprov.agent.apt import dpkg_lock, dpkg_repair, packages, policy_rc_d
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

_NOT_YET = b"""# mailprov has installed this service and not configured it yet: its first apply did not come to its end.
# Apply again, or remove this file (and run systemctl daemon-reload) to start the service as it is.
[Unit]
ConditionPathExists=!/etc
"""
_OLD_LISTS = re.compile(r"404 +Not Found|Unable to fetch some archives|Failed to fetch|Hash Sum mismatch")


def hold_units(tree: files.Tree, units: Sequence[str]) -> None:
    """Before their packages come. It outlives a failed or killed run: what Debian set up must not serve by itself."""
    for unit in units:
        path = tree.at(_not_yet(unit))
        for parent in [*files.missing_parents(path)]:
            files.make_directory(parent)
        files.write(path, _NOT_YET, 0o644)


def release_units(tree: files.Tree, units: Sequence[str]) -> bool:
    """Their configuration is in its place; whether systemd must read its files again to know it."""
    released = False
    for unit in units:
        path = tree.at(_not_yet(unit))
        if files.remove(path):
            released = True
            try:
                os.rmdir(os.path.dirname(path))
            except OSError:
                pass  # somebody has settings of the unit there
    return released


def is_held(tree: files.Tree, unit: str) -> bool:
    """Whether its package came by an apply that has not come to its end."""
    return files.look(tree.at(_not_yet(unit))) is not None


def _not_yet(unit: str) -> str:
    return f"/etc/systemd/system/{unit}.d/mailprov-not-yet.conf"


def install(
    tree: files.Tree,
    names: Sequence[str],
    *,
    debconf: Sequence[Sequence[str]],
    lists: packages.Lists,
    log: str,
    say: packages.Say,
    check: Callable[[], None],
) -> None:
    """Install these packages in one transaction; apt's whole output goes to the file `log`. `check` may end the wait
    for another package manager by raising.
    """
    lists.adopt()
    lock = dpkg_lock.take(tree, say, check)
    try:
        _preset(debconf)
        broken = dpkg_repair.finish(tree, lists.options(), say)
    finally:
        os.close(lock)
    apt = _Apt(tree, lists, log, say)
    if broken:
        apt.mend(names)
    outcome = apt.install(names)
    if outcome.code != 0 and _OLD_LISTS.search(outcome.out):
        say(_("the package lists were out of date: fetching them again"))
        lists.close()
        packages.update([])
        outcome = apt.install(names)
    if outcome.code != 0:
        raise AgentError(
            _("apt-get install ended with code {code}").format(code=outcome.code),
            _("fix what the output names, then try again"),
            outcome.lines(),
        )


def _preset(debconf: Sequence[Sequence[str]]) -> None:
    if debconf:
        text = "".join(" ".join(line) + "\n" for line in debconf)
        outcome = commands.run(["debconf-set-selections"], stdin=text.encode("utf-8"))
        if outcome.code != 0:
            raise AgentError(
                _("debconf refused the presets"), _("fix what the output names"), outcome.lines()
            )


class _Apt:
    """apt-get, with its whole output in the file `log` and its steps told."""

    def __init__(self, tree: files.Tree, lists: packages.Lists, log: str, say: packages.Say) -> None:
        self._tree, self._lists, self._log, self._say = tree, lists, log, say

    def install(self, names: Sequence[str]) -> commands.Outcome:
        return self._follow([*self._words(), "--", *names])

    def mend(self, names: Sequence[str]) -> None:
        """What is half installed for want of another package. Whether it went well, the installation will show.

        apt-get may think it best to remove a package: one of `names` comes back right away, of others it is refused.
        """
        would = commands.run(
            [*self._words(), "--fix-broken", "--simulate"], 300, env=packages.ENVIRONMENT
        ).out
        removed = {line.split()[1] for line in would.splitlines() if line.startswith("Remv ")}
        if removed <= set(names):
            self._say(_("mending broken packages (apt-get --fix-broken install)"))
            self._follow([*self._words(), "--fix-broken"])

    def _words(self) -> List[str]:
        argv = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *self._lists.options()]
        for option in ("DPkg::Lock::Timeout=300", "Dpkg::Options::=--force-confold", "Dpkg::Use-Pty=0"):
            argv += ["-o", option]
        return argv

    def _follow(self, argv: Sequence[str]) -> commands.Outcome:
        policy_rc_d.hold(self._tree)
        try:
            return commands.follow(argv, self._log, self._tell, env=packages.ENVIRONMENT)
        finally:
            policy_rc_d.drop(self._tree)

    def _tell(self, line: str) -> None:
        if line.startswith(("Setting up ", "Unpacking ", "Get:", "Waiting for cache lock")):
            self._say(_("apt: {line}").format(line=line.partition(" (")[0]))
