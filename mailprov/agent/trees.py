"""Trees of directories that belong to users: walked, measured and deleted without following a link.

    enter(parent, name)          the directory of this name below an open one; OSError
    attempt(parent, name)        the same, or None for what is no directory, or has just gone
    is_directory(parent, name)   itself, no link to one
    walk(place, look, leave)     through all of it, however deep
    remove(parent, name)         deletes it
    readable(size)               a number of bytes, for people

Whoever owns such a tree may change it meanwhile. OSError; Moved where directories are moved about.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Callable, List, Optional, Tuple

from mailprov.agent.sentences import ngettext


def enter(parent: int, name: str) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


def attempt(parent: int, name: str) -> Optional[int]:
    """The directory of this name, opened; None for a file, a link, or what has just gone. Another error is one."""
    try:
        return enter(parent, name)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise


def is_directory(parent: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


class Moved(OSError):
    """Somebody moves directories about while they are walked through."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "its folders are being moved while they are read")


def walk(
    place: int,
    look: Callable[[int, str], List[str]],
    leave: Callable[[int, str], None] = lambda up, name: None,
) -> None:
    """Through all directories below an open one, however many and however deep they are.

    `look(directory, its name)` gives the names of those inside to go into; `leave(parent, name)` comes after all of
    them. One directory is open at a time: the way back is "..", and only if that is the very directory from which it
    came. Paths have a longest length and processes a number of open files; users can make more of both by IMAP.
    """
    here = os.dup(place)
    above: List[Tuple[Tuple[int, int], List[str], str]] = []
    name = ""
    try:
        todo = look(here, name)
        while True:
            if todo:
                inner = attempt(here, todo[-1])
                if inner is None:
                    todo.pop()
                    continue
                above.append((_identity(here), todo, name))
                name = todo.pop()
                os.close(here)
                here = inner
                todo = look(here, name)
            elif above:
                parent, todo, upper = above.pop()
                up = enter(here, "..")
                os.close(here)
                here = up
                if _identity(here) != parent:
                    raise Moved
                leave(here, name)
                name = upper
            else:
                return
    finally:
        os.close(here)


def _identity(handle: int) -> Tuple[int, int]:
    seen = os.fstat(handle)
    return seen.st_dev, seen.st_ino


def remove(parent: int, name: str) -> None:
    """A directory with all that is in it. Works on open directories: a link put in the way leads nowhere."""

    def look(here: int, folder: str) -> List[str]:
        inside = []
        for inner in os.listdir(here):
            if is_directory(here, inner):
                inside.append(inner)
            else:
                os.unlink(inner, dir_fd=here)
        return inside

    place = enter(parent, name)
    try:
        walk(place, look, lambda up, inner: os.rmdir(inner, dir_fd=up))
    finally:
        os.close(place)
    os.rmdir(name, dir_fd=parent)


def readable(size: float) -> str:
    """A number of bytes for people."""
    units = ["bytes", "KB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    if units[0] == "bytes":
        return ngettext("{count} byte", "{count} bytes", int(size)).format(count=int(size))
    return f"{size:.1f} {units[0]}"
