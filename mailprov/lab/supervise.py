"""The process that owns one lab host: starts systemd-nspawn, gives it its address, boots it again.

    python3 -I -S supervise.py HOSTDIR/spec.json      standard library only; run by `hosts.start_host`

spec     {"argv": [...], "environment": {...}, "group": str, "hierarchies": [str], "socket": path, "network":
         [ip -batch line]}
HOSTDIR/booted   {"leader": pid, "started": clock ticks, "ready": bool, "boots": count}; not there while the
                 host is down

systemd-nspawn with --keep-unit ends with status 133 when the host reboots (systemd-nspawn(1), --keep-unit);
any other end is the host's power off and ours. We live in a control group beside the host's, so that
cleaning up can end us first.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from typing import Any

REBOOT = 133


def enter(spec: dict[str, Any], name: str) -> None:
    """Makes the group `name` in each hierarchy and moves the calling process there."""
    for hierarchy in spec["hierarchies"]:
        path = os.path.join(hierarchy, name)
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "cgroup.procs"), "w") as procs:
            procs.write(str(os.getpid()))


def empty(spec: dict[str, Any]) -> None:
    """Removes what the last boot left in the host's groups: systemd in the next boot must find them new."""
    for hierarchy in spec["hierarchies"]:
        for directory, _, _ in os.walk(os.path.join(hierarchy, spec["group"]), topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                pass


def started(pid: int) -> int:
    """Start time of a process in clock ticks since boot: proc(5), stat, field 22."""
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[19])


def publish(path: str, value: dict[str, Any]) -> None:
    temporary = path + ".new"
    with open(temporary, "w") as file:
        json.dump(value, file)
    os.rename(temporary, path)


def boot(spec: dict[str, Any], count: int, booted: str, notify: socket.socket) -> int:
    """One life of the host; returns systemd-nspawn's exit status."""
    environment = dict(os.environ, NOTIFY_SOCKET=spec["socket"], **spec["environment"])
    join = partial(enter, spec, spec["group"])
    child = subprocess.Popen(spec["argv"], env=environment, preexec_fn=join)  # noqa: PLW1509 - no threads here
    state = {"leader": 0, "started": 0, "ready": False, "boots": count}
    while child.poll() is None:
        if not select.select([notify], [], [], 0.2)[0]:
            continue
        for line in notify.recv(65536).decode(errors="replace").splitlines():
            if line.startswith("X_NSPAWN_LEADER_PID="):
                leader = int(line.partition("=")[2])
                network(leader, spec["network"])
                state.update(leader=leader, started=started(leader))
                publish(booted, state)
            elif line == "READY=1" and state["leader"]:
                state["ready"] = True
                publish(booted, state)
    try:
        os.unlink(booted)
    except FileNotFoundError:
        pass
    return child.returncode


def network(leader: int, lines: list[str]) -> None:
    """Gives the host its addresses from outside, before anything in it starts."""
    argv = ["nsenter", "-t", str(leader), "-n", "ip", "-batch", "-"]
    deadline = time.monotonic() + 10
    while True:
        done = subprocess.run(argv, input="\n".join(lines) + "\n", text=True, check=False)
        if done.returncode == 0 or time.monotonic() > deadline:
            return
        time.sleep(0.02)


def main(path: str) -> None:
    with open(path) as file:
        spec = json.load(file)
    enter(spec, spec["group"] + ".supervisor")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    booted = os.path.join(os.path.dirname(path), "booted")
    if os.path.exists(spec["socket"]):
        os.unlink(spec["socket"])
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(spec["socket"])
    if (
        os.fork()
    ):  # whoever started us sees our end, and knows that the group is entered and cleaning up will find it
        return
    count = 1
    while boot(spec, count, booted, notify) == REBOOT:
        print("mailprov lab: the host reboots", flush=True)
        empty(spec)
        count += 1
    os.unlink(spec["socket"])


if __name__ == "__main__":
    main(sys.argv[1])
