"""Debian packages: what is installed, and what could be. Writes nothing but a directory under /tmp.

    Lists()                     the package lists in use; `private` when they had to be fetched aside
    query(names, lists, say)    name → {"installed", "candidate"}; fetches lists aside when need be
    update(options)             apt-get update
    version_matches(version, prefix)

Raises AgentError with apt's last lines.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Optional, Sequence

from mailprov.agent import commands, files
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

SYSTEM_LISTS = "/var/lib/apt/lists"
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "NEEDRESTART_MODE": "a",
    "NEEDRESTART_SUSPEND": "1",
    "APT_LISTCHANGES_FRONTEND": "none",
    "UCF_FORCE_CONFFOLD": "1",
}
# As root apt-cache would write its binary caches; before `go` nothing may be written.
_NO_CACHES = ["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]

Say = Callable[[str], None]


class Lists:
    """Where apt's package lists are. `private` is "" for the system's own."""

    def __init__(self) -> None:
        self.private = ""
        self.problems: List[str] = []  # what apt could not fetch; it ends with code 0 all the same

    def options(self) -> List[str]:
        """apt options that select these lists."""
        return ["-o", f"Dir::State::lists={self.private}/lists"] if self.private else []

    def fetch(self, say: Say) -> None:
        """`apt-get update` into a directory of our own."""
        import shutil
        import tempfile

        say(_("fetching the package lists"))
        self.private = tempfile.mkdtemp(prefix="mailprov-lists-")
        os.chmod(self.private, 0o755)  # apt downloads as user _apt, which must pass  # noqa: S103
        for name in ("/lists", "/lists/partial"):
            files.make_directory(self.private + name, 0o755)
        if files.ids_or_none("_apt", "root"):
            shutil.chown(self.private + "/lists/partial", "_apt")
        outcome = update([*self.options(), *_NO_CACHES])
        self.problems = [line for line in outcome.lines(100) if line.startswith(("W: Failed", "E:", "Err:"))]

    def adopt(self) -> None:
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


def update(options: Sequence[str]) -> commands.Outcome:
    """Fetch the package lists."""
    argv = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *options, "update"]
    outcome = commands.run(argv, timeout=600, env=ENVIRONMENT)
    if outcome.code != 0:
        raise AgentError(
            _("apt-get update ended with code {code}").format(code=outcome.code),
            _("fix the host's package sources or its network, then try again"),
            outcome.lines(),
        )
    return outcome


def query(names: Sequence[str], lists: Lists, say: Say) -> Dict[str, Dict[str, Optional[str]]]:
    """Installed and candidate versions: one dpkg-query, and apt only when something is not installed.

    Of a name with "?" before it only whether it is installed is asked: a package that is used where somebody has it.
    """
    only_installed = {name[1:] for name in names if name.startswith("?")}
    wanted = sorted({name.lstrip("?") for name in names})
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
    missing = [name for name in wanted if found[name]["installed"] is None and name not in only_installed]
    if missing:
        candidates = _candidates(missing, lists)
        if not lists.private and len(candidates) < len(missing):
            lists.fetch(say)
            candidates = _candidates(missing, lists)
            unknown = [name for name in missing if name not in candidates]
            if unknown and lists.problems:
                raise AgentError(
                    _(
                        "the package lists cannot all be fetched, and {package} is in none of those that are there"
                    ).format(package=unknown[0]),
                    _("fix the host's network or its package sources, then try again"),
                    lists.problems,
                )
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
