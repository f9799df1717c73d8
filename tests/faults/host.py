"""A lab host that faults happen to: power, network, disk, processes, and states to go back to.

    Machine(lab, name)            takes over the host: its disk becomes a bounded file system of its own
    start(state)                  boots it from a kept state ("" is pristine); about 2 s
    keep(state)                   shuts it down and keeps its disk under this name
    power_loss, power_on, reboot  all processes at once, or as systemd does it
    cut, join                     its network link
    fill, free                    its whole disk
    shell, agent, dpkg            commands and processes inside, without SSH
    at(path)                      where a path of the host is on this machine

Kept states are lower layers of the next overlay, so going back copies nothing. Overlays of the lab are mounted
`volatile`: fsync does nothing there, and the page cache outlives the host. So power loss here ends all processes
at once; what a disk loses with the machine under it cannot be shown.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from mailprov import lab
from mailprov.lab import cgroups, hosts
from mailprov.lab.paths import paths
from mailprov.lab.state import load
from mailprov.model.events import Event

DISK = "1400m"  # room for what is installed, and small enough to be filled at once


def _silent(event: Event) -> None:
    """The lab's own words are of no interest here."""


def poll(condition: Callable[[], object], timeout: float) -> bool:
    """Whether `condition()` became true within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _stat(pid: int) -> list[str]:
    """State, parent and so on: proc(5), the fields behind the name."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


class Machine:
    def __init__(self, where: lab.Lab, name: str) -> None:
        self.name, self.lab = name, where
        self.paths = paths(where.name)
        state = load(self.paths)
        assert state is not None
        self._state = state
        self._host = next(host for host in state.hosts if host.name == name)
        self.address = self._host.address
        self._layers = self._host.root
        self._group = f"{self.paths.cgroup}/{name}"
        self._disks = self.paths.directory / "disks" / name
        self._lives = 0
        self._disk: Path | None = None
        self._state_now = ""
        self._kept: dict[str, Path] = {}  # disks by the state that they hold
        self._below: dict[str, str] = {}  # each kept state stands on the one it was made from
        self._end()
        for part in ("upper", "work"):
            own = self.paths.host(self.name) / part
            shutil.rmtree(own)
            own.symlink_to(self._disks / "now" / part)

    def _new_disk(self) -> None:
        """A file system for each life: what an earlier one holds, for as long as its processes go away, is its own."""
        if self._disk is not None and self._disk not in self._kept.values():
            subprocess.run(["umount", "-l", str(self._disk)], check=True)
            self._disk.rmdir()
        self._lives += 1
        self._disk = self._disks / f"life-{self._lives}"
        self._disk.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "disk", str(self._disk)], check=True)
        now = self._disks / "now"
        now.unlink(missing_ok=True)
        now.symlink_to(self._disk.name)

    # --- power and states

    def start(self, state: str) -> None:
        """Boot it with a disk that is in the kept state; "" is pristine."""
        self._end()
        self._new_disk()
        self._state_now = state
        self._layers = ":".join([*self._chain(state), self._host.root])
        self._fresh("upper")
        (self.paths.host(self.name) / "made").unlink(
            missing_ok=True
        )  # a new disk has nothing of this host yet
        self.power_on()

    def keep(self, state: str) -> None:
        """Shut it down in good order and keep what its disk holds now. It is down afterwards."""
        self.shell("systemctl poweroff --no-block")
        assert poll(lambda: not cgroups.members(self._group), 60), f"{self.name} does not shut down"
        self._end()
        assert self._disk is not None
        self._kept[state] = self._disk
        self._below[state] = self._state_now

    def _chain(self, state: str) -> list[str]:
        return [str(self._kept[state] / "upper"), *self._chain(self._below[state])] if state else []

    def power_loss(self) -> None:
        """Every process of the host ends at once; its disk keeps what it held."""
        self._end()

    def power_on(self) -> None:
        """Boot it on the disk it has; returns when it has booted and SSH answers."""
        self._fresh("work")
        hosts.start_host(self.paths, self._state, dataclasses.replace(self._host, root=self._layers))
        self.wait()

    def reboot(self) -> None:
        """As `systemctl reboot` does it, services ended in their order; the lab's supervisor boots it again."""
        before = self._boots()
        # Not by `systemctl reboot`: apt of Debian 13 forbids that while dpkg works.
        self.shell("systemctl start reboot.target --job-mode=replace-irreversibly --no-block")
        # systemd gives each session 90 s to end.
        assert poll(lambda: self._boots() > before, 240), f"{self.name} does not reboot"
        self.wait()

    def wait(self) -> None:
        hosts.wait_for(self.paths, [self._host], _silent)

    def _boots(self) -> int:
        boot = hosts.boot_of(self.paths, self.name)
        return boot.count if boot else 0

    def _end(self) -> None:
        hosts.stop_hosts(self.paths, [(self.name, self._host.index)])

    def _fresh(self, part: str) -> None:
        path = self._disks / "now" / part
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()

    # --- network and disk

    def cut(self) -> None:
        self._link("down")

    def join(self) -> None:
        self._link("up")

    def _link(self, state: str) -> None:
        subprocess.run(["ip", "link", "set", self.paths.link(self._host.index), state], check=True)

    def fill(self) -> None:
        """Take every free byte of the host's disk; what it frees meanwhile is taken too, for a moment."""
        assert self._disk is not None
        handle = os.open(self._disk / "filler", os.O_WRONLY | os.O_CREAT)
        try:
            for _ in range(50):
                state = os.statvfs(self._disk)
                # Not the last megabytes at once: where the host is faster by one block, nothing would be taken.
                length = max(state.f_bavail * state.f_bsize - 4 * 2**20, state.f_bsize)
                while length >= state.f_bsize:
                    try:
                        os.posix_fallocate(handle, os.fstat(handle).st_size, length)
                    except OSError:
                        length //= 2
        finally:
            os.close(handle)

    def free(self) -> None:
        (self._disks / "now" / "filler").unlink(missing_ok=True)

    # --- inside

    def at(self, path: str) -> Path:
        return self.paths.host(self.name) / "root" / path.lstrip("/")

    def shell(self, command: str, *, timeout: float = 60) -> str:
        """Standard output of a command in the host, through its namespaces: works without its network."""
        done = self.popen(command, stdout=subprocess.PIPE)
        return done.communicate(timeout=timeout)[0].decode()

    def popen(self, command: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        boot = hosts.boot_of(self.paths, self.name)
        assert boot is not None, f"{self.name} is down"
        argv = ["nsenter", "-t", str(boot.leader), "-m", "-u", "-i", "-n", "-p", "--", "sh", "-c", command]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.DEVNULL)

    def processes(self, wanted: Callable[[list[bytes]], bool]) -> list[int]:
        """Processes of the host by their words, as numbers of this machine."""
        found = []
        for pid in sorted(cgroups.payload_members(self._group)):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if wanted(words):
                found.append(pid)
        return found

    def agents(self) -> list[int]:
        """The agent and its guardian: the loader, never the shell around it."""
        return self.processes(lambda w: w[0].endswith(b"python3") and w[1:4] == [b"-I", b"-u", b"-c"])

    def agent(self) -> list[int]:
        """The agent alone, which says hello with this number: the guardian's child."""
        both = self.agents()
        parents = {pid: int(_stat(pid)[1]) for pid in both}
        children = [pid for pid in both if parents[pid] in both]
        return children or both

    def dpkgs(self) -> list[int]:
        """dpkg and what it runs for a package, not apt above it."""
        return self.processes(lambda w: w[0].rpartition(b"/")[2] in (b"dpkg", b"dpkg-deb"))

    def kill(self, pids: list[int]) -> bool:
        """SIGKILL these; whether there was one."""
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return bool(pids)
