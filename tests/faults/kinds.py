"""The faults: how each strikes, and how the world is put right again before the next apply.

KINDS        by name, in the order of the table
Kind.strike  at an event of the run; False when there was nothing to hit (no agent yet, no dpkg running)
Kind.after   when the disturbed run has ended, or cannot know better
Kind.heal    before the next apply
"""

from __future__ import annotations

import signal
import subprocess
import threading
from typing import Any, cast

from tests.faults.host import Machine, poll

CUT = 4.0  # s; TCP outlives it
LOCKED = 8  # s

_HOLD = (
    'exec python3 -c "import fcntl,time,os;'
    "f=os.open('/var/lib/dpkg/lock-frontend',os.O_RDWR|os.O_CREAT,0o640);"
    f'fcntl.lockf(f,fcntl.LOCK_EX);time.sleep({LOCKED})"'
)


class Kind:
    """One fault. `process` is mailprov on the controller."""

    name = ""
    only_while_packages = False
    outlives_controller = False  # the controller may take long to notice; nobody waits for it
    slow = False  # takes a long time; the full campaign tries it at fewer events

    def __init__(self) -> None:
        self.complaints: list[str] = []

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        raise NotImplementedError

    def after(self, machine: Machine) -> None:
        pass

    def heal(self, machine: Machine) -> None:
        pass


class KillAgent(Kind):
    name = "kill agent"

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        return machine.kill(machine.agent())


class KillController(Kind):
    name = "kill controller"

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        process.kill()
        return True


class CtrlC(Kind):
    name = "Ctrl-C"

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        process.send_signal(signal.SIGINT)
        return True


class CutNetwork(Kind):
    """Short: the connection outlives it, and both sides go on."""

    name = "cut network"

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        machine.cut()
        threading.Timer(CUT, machine.join).start()
        return True


class CutForLong(Kind):
    """Until the controller has given up; the host hears nothing of that."""

    name = "cut for long"
    slow = True

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        machine.cut()
        return True

    def after(self, machine: Machine) -> None:
        machine.join()


class PowerLoss(Kind):
    name = "power loss"
    outlives_controller = True

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        machine.power_loss()
        machine.power_on()
        return True


class Reboot(Kind):
    name = "reboot"
    outlives_controller = True

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        machine.reboot()
        return True


class FullDisk(Kind):
    """The whole disk: journal, configuration, queue and mailboxes are on it."""

    name = "full disk"

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        machine.fill()
        return True

    def heal(self, machine: Machine) -> None:
        machine.free()


class DpkgLock(Kind):
    """Somebody else's package manager, for some seconds."""

    name = "dpkg lock"
    only_while_packages = True

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        self._holder = machine.popen(_HOLD)
        return True

    def heal(self, machine: Machine) -> None:
        self._holder.kill()
        self._holder.wait()


class SecondApply(Kind):
    """The same command once more, at the same time: one of the two does it, the other says who is at it."""

    name = "second apply"

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        words = [str(word) for word in cast("list[str]", process.args)]
        self._other = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return True

    def after(self, machine: Machine) -> None:
        said = self._other.communicate(timeout=150)[0]
        locked = self._other.returncode == 1 and "locked by" in said
        if not locked and self._other.returncode != 0:
            self.complaints.append(f"the second apply: exit {self._other.returncode}: {said[-500:]}")


class BreakApt(Kind):
    """dpkg is killed in the middle of a package."""

    name = "apt broken"
    only_while_packages = True

    def strike(self, machine: Machine, process: subprocess.Popen[str]) -> bool:
        return poll(lambda: machine.kill(machine.dpkgs()), 3)


KINDS = {
    kind.name: kind
    for kind in (
        KillAgent, KillController, CtrlC, CutNetwork, CutForLong, PowerLoss, Reboot, FullDisk, DpkgLock,
        BreakApt, SecondApply
    )
}  # fmt: skip


def fits(kind: type[Kind], event: dict[str, Any], seen_go: bool, packages_done: bool) -> bool:
    """Whether this fault can be tried at this event of an undisturbed run."""
    if kind is BreakApt:
        return str(event.get("text", "")).startswith(("apt: Unpacking", "apt: Setting up"))
    if kind is DpkgLock:
        return not packages_done
    if kind is KillAgent:
        return event["event"] not in ("run_started", "ended", "run_ended")
    return event["event"] != "run_ended"
