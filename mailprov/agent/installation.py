"""One apt transaction for all packages, without daemons that start half configured.

    install(…)               debconf presets, policy-rc.d guard, apt-get install
    release_guard(tree, say) take the guard of a killed run away; safe to call at any time
    hold_units, release_units   units that packages bring do not start, not even when the host boots, before the
                             first configuration of ours is in its place

The guard forbids stop and restart as well: a daemon that runs goes on as it is until the services' turn.
Waits for another package manager and what a killed one left running (dpkglock). Raises Stop with apt's last lines.
"""

from __future__ import annotations

import os
import re
from typing import Sequence

from mailprov.agent import commands, dpkglock, files, packages
from mailprov.agent.trouble import Stop

GUARD = "/usr/sbin/policy-rc.d"
_KEPT = GUARD + ".kept-by-mailprov"
_MARK = b"mailprov: no daemon starts before it is configured"
_NOT_YET = b"""# mailprov has installed this service and not configured it yet: its first apply did not come to its end.
# Apply again, or remove this file (and run systemctl daemon-reload) to start the service as it is.
[Unit]
ConditionPathExists=!/etc
"""
_OLD_LISTS = re.compile(r"404 +Not Found|Unable to fetch some archives|Failed to fetch|Hash Sum mismatch")


def hold_guard(tree: files.Tree) -> None:
    """policy-rc.d that refuses every start; one of the administrator's is kept aside and put back."""
    path = tree.at(GUARD)
    if files.look(path) is not None and _MARK not in (files.read(path) or b""):
        os.rename(path, tree.at(_KEPT))
    files.write(path, b"#!/bin/sh\n# " + _MARK + b"\nexit 101\n", 0o755)


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


def _not_yet(unit: str) -> str:
    return f"/etc/systemd/system/{unit}.d/mailprov-not-yet.conf"


def release_guard(tree: files.Tree, say: packages.Say) -> None:
    """After a run that was killed: take our guard away, once no apt of that run goes on behind it."""
    if _MARK in (files.read(tree.at(GUARD)) or b"") and not tree.root:
        os.close(dpkglock.take(tree, say))
    _take_guard_away(tree)


def _take_guard_away(tree: files.Tree) -> None:
    path, kept = tree.at(GUARD), tree.at(_KEPT)
    if _MARK in (files.read(path) or b""):
        files.remove(path)
    if files.look(kept) is not None and files.look(path) is None:
        os.rename(kept, path)


def install(
    tree: files.Tree,
    names: Sequence[str],
    *,
    debconf: Sequence[Sequence[str]],
    lists: packages.Lists,
    log: str,
    say: packages.Say,
) -> None:
    """Install these packages in one transaction; apt's whole output goes to the file `log`."""
    lists.settle()
    lock = dpkglock.take(tree, say)
    try:
        _prepare(tree, debconf, say)
    finally:
        os.close(lock)
    outcome = _install(tree, names, lists, log, say)
    if outcome.code != 0 and _OLD_LISTS.search(outcome.out):
        say("the package lists were out of date: fetching them again")
        lists.close()
        packages.update([])
        outcome = _install(tree, names, lists, log, say)
    if outcome.code != 0:
        raise Stop(
            f"apt-get install ended with code {outcome.code}",
            "mend what the output names, then try again",
            outcome.lines(),
        )


def _prepare(tree: files.Tree, debconf: Sequence[Sequence[str]], say: packages.Say) -> None:
    """Presets, and the end of an installation that something interrupted; under dpkg's lock."""
    if debconf:
        text = "".join(" ".join(line) + "\n" for line in debconf)
        outcome = commands.run(["debconf-set-selections"], stdin=text.encode("utf-8"))
        if outcome.code != 0:
            raise Stop("debconf refused the presets", "mend what the output names", outcome.lines())
    if not commands.run(["dpkg", "--audit"]).out.strip():
        return
    say("finishing an interrupted package installation (dpkg --configure -a)")
    # The variable tells dpkg that its caller holds the frontend lock, dpkg(1).
    environment = {**packages.ENVIRONMENT, "DPKG_FRONTEND_LOCKED": "1"}
    hold_guard(tree)
    try:
        outcome = commands.run(["dpkg", "--force-confold", "--configure", "-a"], 1800, env=environment)
    finally:
        _take_guard_away(tree)
    left = commands.run(["dpkg", "--audit"]).out
    # What must be reinstalled is beyond dpkg; apt-get install does that, if it is one of ours.
    if outcome.code != 0 and "reinstalled" not in left:
        raise Stop(
            "the host's packages are half configured and `dpkg --configure -a` did not mend it",
            "mend the packages named in the output by hand, then try again",
            outcome.lines(),
        )


def _install(
    tree: files.Tree, names: Sequence[str], lists: packages.Lists, log: str, say: packages.Say
) -> commands.Outcome:
    argv = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *lists.options()]
    for option in ("DPkg::Lock::Timeout=300", "Dpkg::Options::=--force-confold", "Dpkg::Use-Pty=0"):
        argv += ["-o", option]

    def tell(line: str) -> None:
        if line.startswith(("Setting up ", "Unpacking ", "Get:", "Waiting for cache lock")):
            say("apt: " + line.partition(" (")[0])

    hold_guard(tree)
    try:
        return commands.follow([*argv, "--", *names], log, tell, env=packages.ENVIRONMENT)
    finally:
        _take_guard_away(tree)
