"""Control groups: each lab host has its own, so its processes are known for ours and end together.

    hierarchies   the cgroup hierarchies systemd-nspawn cares for, as mounted here
    enter_paths   the directories a host's process has to enter
    members       processes in a group and below it
    kill_members  SIGKILL to all of them until none is left
    remove        deletes the (empty) groups

Without a group of its own every nspawn host started from one shell shares one `payload` group, and their
systemds kill each other's services. Raises LabError.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from mailprov.errors import LabError
from mailprov.i18n import _


def hierarchies() -> list[Path]:
    """Mount points of cgroup2 and, on a machine with version 1, of name=systemd and cpuacct (cgroups(7))."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        kind, options = fields[fields.index("-") + 1], set(fields[-1].split(","))
        if kind == "cgroup2" or (kind == "cgroup" and options & {"name=systemd", "cpuacct"}):
            found.append(Path(fields[4]))
    return found


def unified() -> bool:
    """Whether hosts can have a pure cgroup2 tree, which newer systemd insists on."""
    return any((path / "cgroup.controllers").exists() for path in hierarchies())


def members(group: str) -> set[int]:
    """Process ids in `group` (such as mailprov-lab-mpl1234567/mx1) and below it, in any hierarchy."""
    return _members(group, ())


def payload_members(group: str) -> set[int]:
    """The processes inside the hosts; systemd-nspawn itself is in `supervisor`, a subgroup beside theirs."""
    return _members(group, ("payload",))


def _members(group: str, within: tuple[str, ...]) -> set[int]:
    """Those whose group's path has the names `within`. Groups come and go while we look: os.walk does not mind."""
    pids: set[int] = set()
    for hierarchy in hierarchies():
        top = hierarchy / group
        for directory, __, files in os.walk(top):
            parts = Path(directory).relative_to(top).parts
            if "cgroup.procs" not in files or not all(name in parts for name in within):
                continue
            try:
                pids.update(int(line) for line in (Path(directory) / "cgroup.procs").read_text().split())
            except OSError:
                continue
    return pids


def kill_members(group: str, *, timeout: float = 10) -> None:
    """Ends all processes in the group. Raises LabError when some live on after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while pids := members(group):
        for pid in pids:
            kill(pid)
        if time.monotonic() > deadline:
            raise LabError(
                "lab", _("processes {pids} of {group} do not end").format(pids=sorted(pids), group=group)
            )
        time.sleep(0.02)


def kill(pid: int) -> None:
    """SIGKILL; a process that is gone already is fine."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def remove(group: str, *, timeout: float = 5) -> None:
    """Deletes the group and those below. Raises LabError when they stay busy for `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        left = [hierarchy / group for hierarchy in hierarchies() if (hierarchy / group).exists()]
        if not left:
            return
        for top in left:
            for directory, __, __ in os.walk(top, topdown=False):
                try:
                    os.rmdir(directory)
                except OSError:
                    pass
        if any(top.exists() for top in left):
            if time.monotonic() > deadline:
                raise LabError("lab", _("the control group {group} cannot be removed").format(group=left[0]))
            time.sleep(0.02)


def groups(parent: str) -> set[str]:
    """Names of the groups directly below `parent`."""
    return {
        path.name
        for hierarchy in hierarchies()
        if (hierarchy / parent).is_dir()
        for path in (hierarchy / parent).iterdir()
        if path.is_dir()
    }
