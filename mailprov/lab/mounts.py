"""Mounts, locks and trees to delete: cleaning up without ever deleting through a mount.

    mounts_below, lower_directories   what /proc/self/mountinfo says
    unmount_below                     unmounts everything under a directory
    delete_tree                       deletes a directory after making sure nothing is mounted in it
    Lock                              an advisory lock on a file, freed by the kernel when its holder dies

Raises LabError.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path
from types import TracebackType

from mailprov.errors import LabError
from mailprov.lab.preflight import run_tool


def _unescape(field: str) -> str:
    """proc(5): blanks, tabs, newlines and backslashes in mountinfo are three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _mountinfo() -> list[list[str]]:
    return [line.split(" ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def mounts_below(directory: Path) -> list[Path]:
    """Mount points at or under `directory`, and of overlays with changes kept there; deepest first."""
    inside = []
    for fields in _mountinfo():
        point = Path(_unescape(fields[4]))
        uppers = [Path(_unescape(o[9:])) for o in fields[-1].split(",") if o.startswith("upperdir=")]
        if any(path == directory or directory in path.parents for path in (point, *uppers)):
            inside.append(point)
    return sorted(inside, key=lambda point: len(point.parts), reverse=True)


def lower_directories() -> set[Path]:
    """The lower directories of all mounted overlays: roots that are in use."""
    found: set[Path] = set()
    for fields in _mountinfo():
        kind = fields[fields.index("-") + 1]
        if kind == "overlay":
            for option in fields[-1].split(","):
                if option.startswith("lowerdir="):
                    found.update(Path(_unescape(part)) for part in option[9:].split(":") if part)
    return found


def unmount_below(directory: Path) -> None:
    """Unmounts all at or under `directory`; a mount that stays busy for 3 s is detached (umount --lazy)."""
    deadline = time.monotonic() + 3
    while points := mounts_below(directory):
        late = time.monotonic() > deadline + 2
        try:
            lazy = ["--lazy"] if time.monotonic() > deadline else []
            run_tool(["umount", *lazy, str(points[0])])
        except LabError:
            if late:
                raise
            time.sleep(0.05)


def delete_tree(directory: Path) -> None:
    """Deletes `directory` if it is there, never crossing into another file system."""
    if not os.path.lexists(directory):
        return
    unmount_below(directory)
    run_tool(["rm", "-rf", "--one-file-system", "--", str(directory)], timeout=300)


class Lock:
    """`with Lock(path)`: waits for the lock; with `wait=False`: BlockingIOError when it is held.

    The file and its directory are made when missing. If its holder deleted it meanwhile (the lab went down),
    the lock is taken on the new file, so that two holders never hold two files of one name.
    """

    def __init__(self, path: Path, *, wait: bool = True) -> None:
        self._path = path
        self._wait = wait
        self._file = -1

    def take(self) -> Lock:
        """Takes the lock; a `with` block around the result gives it back."""
        while True:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except FileNotFoundError:  # the last lab went down between the two lines
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if self._wait else fcntl.LOCK_NB))
                same = os.path.samestat(os.fstat(file), os.stat(self._path))
            except FileNotFoundError:
                same = False
            except BaseException:
                os.close(file)
                raise
            if same:
                self._file = file
                return self
            os.close(file)

    def __enter__(self) -> Lock:
        return self if self._file >= 0 else self.take()

    def forget(self) -> None:
        """Deletes the lock's file; the lock is held on until the end of the `with` block."""
        self._path.unlink(missing_ok=True)
        try:
            self._path.parent.rmdir()
        except OSError:  # others have locks there
            pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
        self._file = -1
