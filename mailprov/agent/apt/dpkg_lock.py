"""Waits until nobody else works on the host's packages: a package manager, or what a killed one left running.

    take(tree, say, check) -> handle    dpkg's frontend lock, as apt takes it; the caller closes the handle
    LOCK_TIMEOUT                 seconds

When dpkg is killed (out of memory, by hand), the maintainer script that it was running goes on, and so does debconf
above it, which keeps its database locked; neither holds dpkg's locks. When apt is killed, dpkg goes on with its own
lock. Whoever configures the same packages meanwhile runs their scripts twice at once, or is refused by debconf.

Says who is waited for, once each. `check` is called at each look and may raise to end the waiting (Ctrl-C at the
controller). Raises AgentError, with the name of the one that does not end.
"""

from __future__ import annotations

import os
import time
from typing import Callable, Iterator, List, NamedTuple, Tuple

from mailprov.agent import files
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import N_, _

LOCK_TIMEOUT = 300  # seconds
_FRONTEND = "/var/lib/dpkg/lock-frontend"
_DPKG = "/var/lib/dpkg/lock"
_DEBCONF = (
    "/var/cache/debconf/config.dat",
    "/var/cache/debconf/passwords.dat",
    "/var/cache/debconf/templates.dat",
)
# Maintainer scripts: deb-preinst(5) and its siblings, debconf-devel(7).
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")

Say = Callable[[str], None]


class _Way(NamedTuple):
    """How somebody is at work: while that is waited for, and when it is still so at the end of the patience."""

    waiting: str
    still: str


_SYSTEM = _Way(
    N_("waiting for {program}, which has locked the package system"),
    N_("{program} has locked the package system, and still after {seconds} s"),
)
_DPKGS = _Way(
    N_("waiting for {program}, which has locked dpkg's database"),
    N_("{program} has locked dpkg's database, and still after {seconds} s"),
)
_DEBCONFS = _Way(
    N_("waiting for {program}, which has locked debconf's database"),
    N_("{program} has locked debconf's database, and still after {seconds} s"),
)
_LEFT = _Way(
    N_("waiting for {program}, which an interrupted package manager left running"),
    N_("{program}, which an interrupted package manager left running, has not ended after {seconds} s"),
)


def take(tree: files.Tree, say: Say, check: Callable[[], None]) -> int:
    """The frontend lock, once it is free and no part of an earlier package manager is still at work."""
    handle = os.open(tree.at(_FRONTEND), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    deadline = time.monotonic() + LOCK_TIMEOUT
    told = ""
    held = False
    try:
        while True:
            check()
            held = held or _lock(handle)
            if held:
                holder, how = next(_remains(tree), ("", _SYSTEM))
                if not holder:
                    return handle
            else:
                holder, how = _holder(handle), _SYSTEM
            if time.monotonic() > deadline:
                what = _(how.still).format(program=holder, seconds=LOCK_TIMEOUT)
                raise AgentError(what, _("wait until it has ended, or end it, then try again"))
            if told != holder:
                say(_(how.waiting).format(program=holder))
                told = holder
            time.sleep(0.1)
    except BaseException:
        os.close(handle)
        raise


def _lock(handle: int) -> bool:
    import fcntl

    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remains(tree: files.Tree) -> Iterator[Tuple[str, _Way]]:
    """Who is at work although nobody else holds the frontend lock, and what that one does."""
    import fcntl

    # dpkg's lock is of the process (fcntl), debconf's of the open file (flock).
    locks: List[Tuple[str, Callable[[int, int], object], _Way]] = [
        (_DPKG, fcntl.lockf, _DPKGS),
        *((path, fcntl.flock, _DEBCONFS) for path in _DEBCONF),
    ]
    for path, lock, how in locks:
        try:
            handle = os.open(tree.at(path), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # no debconf here, or not yet
        try:
            lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield _holder(handle), how
        finally:
            os.close(handle)
    if not tree.root:
        yield from _scripts()


def _scripts() -> Iterator[Tuple[str, _Way]]:
    """Maintainer scripts that run on this host; those of containers on it are none of ours.

    dpkg runs them as root. Anybody can name a process of his own so, and would hold up every apply by it.
    """
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read(4096).decode("utf-8", "replace").split("\0")
            package = next(filter(None, map(_package, words[:4])), "")
            if package and _of_root(pid) and os.path.samestat(os.stat(f"/proc/{pid}/root"), os.stat("/")):
                yield (
                    _("the installation script of {package} (pid {pid})").format(package=package, pid=pid),
                    _LEFT,
                )
        except OSError:
            continue  # it has ended


def _of_root(pid: str) -> bool:
    """By all four user ids, proc_pid_status(5): whoever starts a set-user-ID program gives it its name, too."""
    with open(f"/proc/{pid}/status", "rb") as file:
        return b"\nUid:\t0\t0\t0\t0\n" in file.read()


def _package(word: str) -> str:
    """Of whom this is the maintainer script: /var/lib/dpkg/info/postfix.postinst, or tmp.ci/preinst."""
    directory, _slash, name = word.rpartition("/")
    package, _dot, kind = name.rpartition(".")
    if kind in _SCRIPTS and directory == "/var/lib/dpkg/info":
        return package
    return "a package" if name in _SCRIPTS and directory == "/var/lib/dpkg/tmp.ci" else ""


def _holder(handle: int) -> str:
    """Who holds a lock on this file, from /proc/locks: "apt-get (pid 115)"."""
    inode = os.fstat(handle).st_ino
    try:
        with open("/proc/locks", encoding="ascii") as file:
            pids = [line.split()[4] for line in file if f":{inode} " in line and "->" not in line]
        with open(f"/proc/{pids[0]}/comm", encoding="utf-8") as file:
            return f"{file.read().strip()} (pid {pids[0]})"
    except (OSError, IndexError):
        return _("another package manager")
