"""One apply at a time on a host: flock on /run/mailprov/lock, with a text that says who holds it.

It lives in /run, which is memory: an apply that has nothing to do, or is not confirmed, writes nothing to a disk.

    take(tree, owner, seconds, wait) -> handle    hold it as long as the lock is needed; it dies with the process
    orphaned(tree)                                says in it that the controller of this run is gone
    holder(tree) -> str                           "OWNER since TIME" while somebody holds the lock, else ""

Raises AgentError "locked by OWNER since TIME" when another run holds it and goes on holding it for so many seconds.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import Callable

from mailprov.agent import files
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

_DIRECTORY = "/run/mailprov"
TOLD = _DIRECTORY + "/told"  # of which run an apply has told already that it lost its controller
_NAME = "lock"
_LOOK = 0.1  # seconds between looks while waiting
_BRIEFLY = 5  # seconds that everybody waits for a change of a password, which takes milliseconds


def take(tree: files.Tree, owner: str, seconds: float, wait: Callable[[str], None]) -> int:
    """Lock the host for this run. The descriptor is not inherited, so no child can keep the lock alive.

    `wait` is told by whom the lock is held at each look while it is waited for; it may raise to end the waiting.
    """
    directory = tree.at(_DIRECTORY)
    for parent in files.missing_parents(directory):
        files.make_directory(parent)
    if files.look(directory) is None:
        files.make_directory(directory, 0o700)
    path = os.path.join(directory, _NAME)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AgentError(
            _("the lock {path} cannot be opened: {error}").format(path=path, error=error.strerror),
            _("run as root or with sudo"),
        ) from error
    began = time.monotonic()
    deadline = began + seconds
    try:
        while not _locked(handle):
            held = os.pread(handle, 4096, 0)
            by = _holder(held)
            if time.monotonic() >= max(deadline, began + _BRIEFLY if _is_brief(held) else 0):
                advice = _(
                    "wait until that run has ended, then try again (--lock-timeout SECONDS waits for it)"
                )
                if not seconds:
                    raise AgentError(_("locked by {owner}").format(owner=by), advice)
                what = _("locked by {owner} and still after {seconds} s")
                raise AgentError(what.format(owner=by, seconds=f"{seconds:g}"), advice)
            wait(by)
            time.sleep(_LOOK)
    except BaseException:
        os.close(handle)
        raise
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    text = json.dumps({"owner": owner, "since": since, "pid": os.getpid()}).encode("ascii")
    os.ftruncate(handle, 0)
    os.pwrite(handle, text, 0)
    return handle


def orphaned(tree: files.Tree) -> None:
    """For whoever finds the host locked and sees no mailprov running anywhere. Only where this process holds it."""
    try:
        handle = os.open(tree.at(f"{_DIRECTORY}/{_NAME}"), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        holder = json.loads(os.pread(handle, 4096, 0))
        if holder["pid"] == os.getpid():
            os.pwrite(handle, json.dumps({**holder, "orphaned": True}).encode("ascii"), 0)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    finally:
        os.close(handle)


def holder(tree: files.Tree) -> str:
    """Who is at work on this host now. Only looks: trying the lock would make a run that begins now fail."""
    path = tree.at(f"{_DIRECTORY}/{_NAME}")
    try:
        inode = os.stat(path).st_ino
        with open("/proc/locks", encoding="ascii") as file:
            held = any(" FLOCK " in line and f":{inode} " in line for line in file)
    except OSError:
        return ""
    return _holder(files.read(path) or b"") if held else ""


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_brief(text: bytes) -> bool:
    try:
        return bool(json.loads(text).get("brief"))
    except (ValueError, AttributeError):
        return False


def _holder(text: bytes) -> str:
    try:
        holder = json.loads(text)
        form = _("{owner} since {time}")
        if holder.get("orphaned"):
            form = _(
                "{owner} since {time}; its controller is gone, and the agent on the host brings it to a safe end"
            )
        return form.format(owner=holder["owner"], time=holder["since"])
    except (ValueError, KeyError, TypeError):
        return _("another run that has just begun")
