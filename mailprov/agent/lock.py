"""One apply at a time on a host: flock on /run/mailprov/lock, with a text that says who holds it.

It lives in /run, which is memory: an apply that has nothing to do, or is not confirmed, writes nothing to a disk.

    take(tree, owner) -> handle     hold the handle as long as the lock is needed; it dies with the process

Raises Stop "locked by OWNER since TIME" when another run holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time

from mailprov.agent import files
from mailprov.agent.trouble import Stop

_DIRECTORY = "/run/mailprov"


def take(tree: files.Tree, owner: str) -> int:
    """Lock the host for this run. The descriptor is not inherited, so no child can keep the lock alive."""
    directory = tree.at(_DIRECTORY)
    for parent in files.missing_parents(directory):
        files.make_directory(parent)
    if files.look(directory) is None:
        files.make_directory(directory, 0o700)
    path = os.path.join(directory, "lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Stop(
            f"the lock {path} cannot be opened: {error.strerror}", "run as root or with sudo"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        text = os.pread(handle, 4096, 0)
        os.close(handle)
        raise Stop(f"locked by {_holder(text)}", "wait until that run has ended, then try again") from error
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    text = json.dumps({"owner": owner, "since": since, "pid": os.getpid()}).encode("ascii")
    os.ftruncate(handle, 0)
    os.pwrite(handle, text, 0)
    return handle


def _holder(text: bytes) -> str:
    try:
        holder = json.loads(text)
        return f"{holder['owner']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another run that has just begun"
