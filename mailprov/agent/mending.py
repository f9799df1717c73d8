"""Packages that an interrupted installation left half installed: by a kill, a lost power, a full disk.

    finish(tree, options, say) -> bool     under dpkg's lock; whether something is broken that only apt-get can mend

dpkg configures what it had unpacked. A package that was torn while it was unpacked is fetched and unpacked once more,
for which nothing else need be in order. What then lacks another package is left, and the caller told. `options` select
apt's lists. Raises Stop when a program is missing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import List, Sequence

from mailprov.agent import commands, files, packages, policyrc

# It tells dpkg that its caller holds the frontend lock, dpkg(1).
_ENVIRONMENT = {**packages.ENVIRONMENT, "DPKG_FRONTEND_LOCKED": "1"}
_LONG = 1800  # seconds


def finish(tree: files.Tree, options: Sequence[str], say: packages.Say) -> bool:
    """Bring the installation to its end, as far as dpkg can."""
    if not _broken():
        return False
    say("finishing an interrupted package installation (dpkg --configure -a)")
    policyrc.hold(tree)
    try:
        torn = _torn()
        if torn:
            say(f"unpacking anew what was torn: {', '.join(torn)}")
            _unpack(torn, options)
        _dpkg("--configure", "-a")
    finally:
        policyrc.drop(tree)
    return _broken()


def _broken() -> bool:
    return bool(commands.run(["dpkg", "--audit"]).out.strip())


def _torn() -> List[str]:
    """Packages that "must be reinstalled", as apt names them: libvbr2:amd64."""
    form = "${db:Status-Eflag} ${Package}:${Architecture}\n"
    rows = commands.run(["dpkg-query", "-W", "-f", form]).out.split("\n")
    # apt knows packages for all architectures by their name alone.
    return [row.split()[1].replace(":all", "") for row in rows if row.startswith("reinstreq ")]


def _unpack(names: Sequence[str], options: Sequence[str]) -> None:
    """What cannot be fetched stays as it is; the installation will name it."""
    folder = tempfile.mkdtemp(prefix="mailprov-packages-")
    os.chmod(folder, 0o755)  # apt downloads as user _apt, which must pass  # noqa: S103
    if files.ids_or_none("_apt", "root"):
        shutil.chown(folder, "_apt")
    try:
        script = 'cd "$1" && shift && exec apt-get -q download "$@"'
        commands.run(["sh", "-c", script, "sh", folder, *options, *names], _LONG, env=packages.ENVIRONMENT)
        found = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".deb")]
        if found:
            _dpkg("--unpack", *found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _dpkg(*words: str) -> None:
    commands.run(["dpkg", "--force-confold", *words], _LONG, env=_ENVIRONMENT)
