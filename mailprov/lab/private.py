"""The directories above the roots of lab hosts are for root alone.

Whoever is root in a lab host may leave a program there with the set-user-ID bit; whoever reaches it by way of this
machine's file system would run it as root of this machine. The roots themselves cannot be closed, as their mode is that
of "/" inside; so what is above them is.

    make_private(directory)     made for root alone
    admit(paths)                lets the user who called sudo read the lab's inventory; its hosts stay closed
    close_off()                 closes what an earlier mailprov left open; for the beginning of every command
    own(directory)              one of the roots given to us: made private when it is ours
    refusal()                   what a user hears whom all this keeps out

Modes: 0700, but for whoever called sudo: 0750 with his group on the lab's own directory, 0711 on the one above.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mailprov.errors import LabError
from mailprov.i18n import _
from mailprov.lab.paths import CACHE, RUN_ROOT, STATE, LabPaths, cache_root, state_root


def refusal() -> LabError:
    return LabError(
        "lab", _("the labs of this machine are for root alone"), _("Run the same command with sudo")
    )


def make_private(directory: Path) -> Path:
    """Makes the directory, mode 0700 whatever the umask, or closes the one that is there. Gives it back."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    return directory


def own(directory: Path) -> Path:
    """A state or cache root, closed when it is ours.

    One that a user named (MAILPROV_LAB_…) and that was there before may be /srv or /tmp: its mode is the user's.
    What we make in it is closed in any case.
    """
    if not directory.exists() or directory in (STATE, CACHE):
        _close(directory, search=_is_searched(directory))
    return directory


def admit(paths: LabPaths) -> None:
    """To be called when the lab's inventory is there and belongs to whom it is for (see `keys.give`)."""
    group = paths.inventory.stat().st_gid
    if group:
        os.chown(paths.directory, -1, group)
        paths.directory.chmod(0o750)
        above = paths.directory.parent
        above.chmod(stat.S_IMODE(above.stat().st_mode) | 0o111)


def close_off() -> None:
    """What of labs and cache is on this machine. Raises nothing; does nothing for anybody but root."""
    if os.geteuid() != 0:
        return
    for directory in (state_root(), cache_root()):
        if directory.is_dir():
            own(directory)
    labs = [path for path in state_root().iterdir() if _is_lab(path)] if state_root().is_dir() else []
    hosts = [path for lab in labs if (lab / "hosts").is_dir() for path in (lab / "hosts").iterdir()]
    shared = [cache_root() / "roots", cache_root() / "proxy", RUN_ROOT]
    for directory in (*labs, *(lab / "hosts" for lab in labs), *hosts, *shared):
        if directory.is_dir() and not directory.is_symlink():
            _close(directory, group=_group(directory) if directory in labs else 0)


def _is_lab(path: Path) -> bool:
    """A lab of root's. In a directory that others may write to, theirs could lead our chmod anywhere."""
    status = path.lstat()
    known = stat.S_ISDIR(status.st_mode) and status.st_uid == 0
    return known and ((path / "hosts").is_dir() or (path / "state.json").exists())


def _group(lab: Path) -> int:
    """The group of whom the lab was made for; 0 where that is root."""
    inventory = lab / "inventory.yml"
    return inventory.stat().st_gid if inventory.exists() else 0


def _is_searched(directory: Path) -> bool:
    return directory.is_dir() and any(_group(path) for path in directory.iterdir() if _is_lab(path))


def _close(directory: Path, *, group: int = 0, search: bool = False) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(directory, -1, group)
    directory.chmod(0o750 if group else 0o711 if search else 0o700)
