"""Users with a shell who have left the inventory: their homes, and what else is theirs on the host.

    left(tree, wanted, address) -> Iterator[Home]   users that mailprov made and that are none of `wanted` (names)
    delete(tree, home)                              the user, its home, its jobs, its files where everybody may write
    describe(home) -> SENTENCE

They were locked when they left (resources/logins.py). Raises AgentError.
"""

from __future__ import annotations

import os
import stat
from typing import Collection, Iterator, List, NamedTuple, Optional, Tuple

from mailprov.agent import commands, files, trees
from mailprov.agent.errors import AgentError
from mailprov.agent.resources import logins
from mailprov.agent.sentences import _, joined, ngettext

_GOING = ".mailprov-purge-"
# Where everybody may write, and where cron and at keep what is somebody's.
_PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/var/spool/cron/atjobs")
_BY_NAME = ("/var/spool/cron/crontabs/{name}", "/var/mail/{name}", "/var/lib/systemd/linger/{name}")


class Home(NamedTuple):
    """`changed`: when something in it was changed last, unix seconds, 0 where it is empty or gone."""

    address: str
    user: str
    path: str
    files: int
    bytes: int
    changed: int


def left(tree: files.Tree, wanted: Collection[str], address: Optional[str] = None) -> Iterator[Home]:
    for name, entry in sorted(logins.entries(tree).items()):
        if not entry.address or name in wanted or (address is not None and entry.address != address):
            continue
        yield Home(entry.address, name, entry.home, *_measure(tree.at(entry.home)))


def can_log_in(tree: files.Tree, home: Home) -> bool:
    entry = logins.entries(tree).get(home.user)
    return entry is not None and entry.shell != logins.LOCKED


def describe(home: Home) -> str:
    count = ngettext("{count} file", "{count} files", home.files).format(count=home.files)
    return joined(
        [
            _("the user of {address}, with its home {path}").format(address=home.address, path=home.path),
            count,
            trees.readable(home.bytes),
        ]
    )


def delete(tree: files.Tree, home: Home) -> None:
    """The home first: while it is there, the user is there, and both are told."""
    uid = logins.entries(tree)[home.user].uid
    try:
        _forget(tree.at(home.path))
        for form in _BY_NAME:
            files.remove(tree.at(form.format(name=home.user)))
        for place in _PLACES:
            _sweep(tree.at(place), uid)
    except OSError as error:
        raise AgentError(
            _("what was {user}'s cannot be deleted: {error}").format(
                user=home.user, error=error.strerror or error
            ),
            _("fix this on the host, then purge again"),
        ) from error
    logins.remember(tree, uid)
    if tree.root:
        return
    outcome = commands.run(["userdel", "--", home.user])
    if outcome.code != 0:
        raise AgentError(
            _("the user {name} cannot be deleted").format(name=home.user),
            _("look at the output"),
            outcome.lines(),
        )


def _measure(path: str) -> Tuple[int, int, int]:
    total = {"files": 0, "bytes": 0, "changed": 0}

    def look(here: int, folder: str) -> List[str]:
        inside = []
        for name in os.listdir(here):
            try:
                seen = os.stat(name, dir_fd=here, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(seen.st_mode):
                inside.append(name)
                continue
            total["files"] += 1
            total["bytes"] += seen.st_size
            total["changed"] = max(total["changed"], int(seen.st_ctime))
        return inside

    try:
        place = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return 0, 0, 0
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        trees.walk(place, look)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(place)
    return total["files"], total["bytes"], total["changed"]


def _unreadable(path: str, error: OSError) -> AgentError:
    return AgentError(
        _("{path} cannot be read: {error}").format(path=path, error=error.strerror),
        _("fix this on the host, then try again"),
    )


def _forget(path: str) -> None:
    """Out of its name first: nothing that is half deleted looks like a home."""
    above, name = os.path.split(path)
    try:
        place = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        going = f"{_GOING}{name}"
        if trees.is_directory(place, going):  # what a killed one left
            trees.remove(place, going)
        if trees.is_directory(place, name):
            os.rename(name, going, src_dir_fd=place, dst_dir_fd=place)
            os.fsync(place)
            trees.remove(place, going)
    finally:
        os.close(place)


def _sweep(path: str, uid: int) -> None:
    """What is this user's in a directory of all users: whoever gets the number later must not get it."""
    try:
        place = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        for name in os.listdir(place):
            try:
                seen = os.stat(name, dir_fd=place, follow_symlinks=False)
                if seen.st_uid != uid:
                    continue
                if stat.S_ISDIR(seen.st_mode):
                    trees.remove(place, name)
                else:
                    os.unlink(name, dir_fd=place)
            except FileNotFoundError:
                pass
    finally:
        os.close(place)
