"""Run a function of ours as if mailprov were installed on a lab host: in the host's file system, as one of its users.

inside(leader, user, work) -> what `work` gives; it must be writable as JSON. An AssertionError tells what it raised.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPACES = ("pid", "ipc", "net", "mnt")  # the last one takes our files away, /proc of this machine among them


def inside(leader: int, user: str, work: Callable[[], Any]) -> Any:
    """`leader` is the first process of the host. What is not loaded yet cannot be imported there."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _enter(leader)
            if (
                grandchild := os.fork()
            ):  # this process is not in the host's numbers itself, and may have no threads
                os.waitpid(grandchild, 0)
                os._exit(0)
            _become(user)
            answer = {"gives": work()}
        except BaseException as error:
            answer = {"raises": f"{type(error).__name__}: {error}"}
        try:
            os.write(write, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        answer = json.loads(stream.read() or b'{"raises": "it died"}')
    os.waitpid(child, 0)
    assert "raises" not in answer, answer["raises"]
    return answer["gives"]


def _enter(leader: int) -> None:
    """setns(2): the file system at once, the process numbers for whatever is started from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    handles = [os.open(Path(f"/proc/{leader}/ns/{space}"), os.O_RDONLY) for space in SPACES]
    for handle in handles:
        if libc.setns(handle, 0):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(handle)
    os.chdir("/")


def _become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ.clear()
    os.environ.update(HOME=entry.pw_dir, USER=user, LOGNAME=user, PATH="/usr/local/bin:/usr/bin:/bin")
