"""Debian packages: what is installed, what could be, and one transaction that installs what is missing.

    Lists(tree)                 the package lists in use; `private` when they had to be fetched aside
    query(names, lists, say)    name → {"installed", "candidate"}; fetches lists aside when need be
    install(…)                  debconf presets, policy-rc.d guard, apt-get install
    release_guard(tree)         take the guard away (also after a crash); safe to call at any time
    version_matches(version, prefix)

Until `go` nothing on the host is written but a directory under /tmp, which `Lists.close` removes.
"""

from __future__ import annotations

import os
import re
from typing import Callable, Dict, Iterable, List, Optional, Sequence

from mailprov.agent import commands, files
from mailprov.agent.trouble import Stop

SYSTEM_LISTS = "/var/lib/apt/lists"
GUARD = "/usr/sbin/policy-rc.d"
_KEPT = GUARD + ".kept-by-mailprov"
_MARK = b"mailprov: no daemon starts before it is configured"
_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "NEEDRESTART_MODE": "a",
    "NEEDRESTART_SUSPEND": "1",
    "APT_LISTCHANGES_FRONTEND": "none",
    "UCF_FORCE_CONFFOLD": "1",
}
# As root apt-cache would write its binary caches; before `go` nothing may be written.
_NO_CACHES = ["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]
_OLD_LISTS = re.compile(r"404 +Not Found|Unable to fetch some archives|Failed to fetch|Hash Sum mismatch")

Say = Callable[[str], None]


class Lists:
    """Where apt's package lists are. `private` is "" for the system's own."""

    def __init__(self) -> None:
        self.private = ""

    def options(self) -> List[str]:
        """apt options that select these lists."""
        return ["-o", f"Dir::State::lists={self.private}/lists"] if self.private else []

    def fetch(self, say: Say) -> None:
        """`apt-get update` into a directory of our own."""
        import shutil
        import tempfile

        say("fetching the package lists")
        self.private = tempfile.mkdtemp(prefix="mailprov-lists-")
        os.chmod(self.private, 0o755)  # apt downloads as user _apt, which must pass  # noqa: S103
        os.makedirs(self.private + "/lists/partial")
        if files.ids_or_none("_apt", "root"):
            shutil.chown(self.private + "/lists/partial", "_apt")
        _update([*self.options(), *_NO_CACHES])

    def settle(self) -> None:
        """After `go`: make the fetched lists the system's, when it has none."""
        import shutil

        if not self.private or any(name.endswith("Packages") for name in os.listdir(SYSTEM_LISTS)):
            return
        for name in os.listdir(self.private + "/lists"):
            source = os.path.join(self.private, "lists", name)
            if os.path.isfile(source) and name != "lock":
                shutil.copyfile(source, os.path.join(SYSTEM_LISTS, name))
        self.close()

    def close(self) -> None:
        """Remove what `fetch` made."""
        import shutil

        if self.private:
            shutil.rmtree(self.private, ignore_errors=True)
            self.private = ""


def _update(options: Sequence[str]) -> None:
    argv = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *options, "update"]
    outcome = commands.run(argv, timeout=600, env=_ENVIRONMENT)
    if outcome.code != 0:
        raise Stop(
            f"apt-get update ended with code {outcome.code}",
            "mend the host's package sources or its network, then try again",
            outcome.lines(),
        )


def query(names: Iterable[str], lists: Lists, say: Say) -> Dict[str, Dict[str, Optional[str]]]:
    """Installed and candidate versions: one dpkg-query, and apt only when something is not installed."""
    wanted = sorted(set(names))
    found: Dict[str, Dict[str, Optional[str]]] = {
        name: {"installed": None, "candidate": None} for name in wanted
    }
    if not wanted:
        return found
    outcome = commands.run(["dpkg-query", "-W", "-f", "${Package}\t${Status}\t${Version}\n", "--", *wanted])
    for line in outcome.out.splitlines():
        name, status, version = line.split("\t")
        if status.endswith(" ok installed") and name in found:
            found[name]["installed"] = version
    missing = [name for name in wanted if found[name]["installed"] is None]
    if missing:
        candidates = _candidates(missing, lists)
        if not lists.private and len(candidates) < len(missing):
            lists.fetch(say)
            candidates = _candidates(missing, lists)
        for name, version in candidates.items():
            found[name]["candidate"] = version
    return found


def _candidates(names: Sequence[str], lists: Lists) -> Dict[str, str]:
    outcome = commands.run(["apt-cache", *lists.options(), *_NO_CACHES, "policy", *names])
    found: Dict[str, str] = {}
    name = ""
    for line in outcome.out.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            name = line[:-1]
        elif line.startswith("  Candidate: ") and "(none)" not in line:
            found[name] = line.split(": ", 1)[1].strip()
    return found


def version_matches(version: str, prefix: str) -> bool:
    """Whether a Debian version is of this upstream line: "1:2.3.19.1+dfsg1-2" matches "2.3", not "2.31"."""
    if ":" not in prefix:
        version = version.rpartition(":")[2]
    return version.startswith(prefix) and (prefix[-1:] in ".-+~" or not version[len(prefix) :][:1].isdigit())


def hold_guard(tree: files.Tree) -> None:
    """policy-rc.d that refuses every start; one of the administrator's is kept aside and put back."""
    path = tree.at(GUARD)
    if files.look(path) is not None and _MARK not in (files.read(path) or b""):
        os.rename(path, tree.at(_KEPT))
    files.write(path, b"#!/bin/sh\n# " + _MARK + b"\nexit 101\n", 0o755)


def release_guard(tree: files.Tree) -> None:
    """Remove our guard if it is there, and put the administrator's back."""
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
    lists: Lists,
    log: str,
    say: Say,
) -> None:
    """Install these packages in one transaction; apt's whole output goes to the file `log`."""
    lists.settle()
    if debconf:
        text = "".join(" ".join(line) + "\n" for line in debconf)
        outcome = commands.run(["debconf-set-selections"], stdin=text.encode("utf-8"))
        if outcome.code != 0:
            raise Stop("debconf refused the presets", "look at the output", outcome.lines())
    if commands.run(["dpkg", "--audit"]).out.strip():
        say("finishing an interrupted package installation (dpkg --configure -a)")
        hold_guard(tree)
        try:
            outcome = commands.run(["dpkg", "--force-confold", "--configure", "-a"], 1800, env=_ENVIRONMENT)
        finally:
            release_guard(tree)
        if outcome.code != 0:
            raise Stop(
                "the host's packages are half configured and `dpkg --configure -a` did not mend it",
                "mend the packages named in the output by hand, then try again",
                outcome.lines(),
            )
    outcome = _install(tree, names, lists, log, say)
    if outcome.code != 0 and _OLD_LISTS.search(outcome.out):
        say("the package lists were out of date: fetching them again")
        lists.close()
        _update([])
        outcome = _install(tree, names, lists, log, say)
    if outcome.code != 0:
        raise Stop(
            f"apt-get install ended with code {outcome.code}",
            "mend what the output names, then try again",
            outcome.lines(),
        )


def _install(tree: files.Tree, names: Sequence[str], lists: Lists, log: str, say: Say) -> commands.Outcome:
    argv = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *lists.options()]
    for option in ("DPkg::Lock::Timeout=300", "Dpkg::Options::=--force-confold", "Dpkg::Use-Pty=0"):
        argv += ["-o", option]

    def tell(line: str) -> None:
        if line.startswith(("Setting up ", "Unpacking ", "Get:", "Waiting for cache lock")):
            say("apt: " + line.partition(" (")[0])

    hold_guard(tree)
    try:
        return commands.follow([*argv, "--", *names], log, tell, env=_ENVIRONMENT)
    finally:
        release_guard(tree)
