"""`mailprov trace --wire`, struck at each of its steps: the host must be as before, and mail flows meanwhile.

    STEPS               name → whether the host (or the controller) is there now, in their order
    KINDS               name → a function that strikes
    sample(…) -> Sample one fault at one step; recovered when `problems` is empty. tried: the same, raises nothing

As before: every file of /etc, what Postfix and Dovecot say is in force, sockets, mailprov's own files, units, mounts. A
shutdown takes it back itself. After a loss of power nothing is in force any more, and the next run removes the
sockets that nobody listens at.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mailprov.lab import hosts
from tests.faults.campaign import Sample
from tests.faults.host import Machine, poll
from tests.faults.mail import Stream
from tests.faults.phases import LOGIN, inventory

PHASE = "wire"
LIMIT = 6  # seconds until the host takes it back, whoever is left
_IN_FORCE = """\
find /etc -xdev -type f ! -name resolv.conf ! -name machine-id -exec sha256sum {} +  | sort -k2
find /etc -xdev ! -name resolv.conf ! -name machine-id -printf '%p %y %m %U %G %l\\n' | sort
postconf -n; postconf -M; doveconf -n 2>/dev/null
systemctl list-unit-files --no-legend --plain | sort
grep -c mailprov/wire /proc/self/mountinfo
"""
_LEFT = """\
find /var/spool/postfix/private /var/spool/postfix/public -printf '%p %y %m\\n' | sort
find /run/mailprov -name 'wire*' 2>/dev/null
find /var/lib/mailprov -maxdepth 2 -printf '%p %y %m\\n' | sort
ls /run/systemd/transient 2>/dev/null | grep wire
"""

# The host goes on from sample to sample, with the messages of all in its mailbox: a number that came again would hide
# one that is lost.
_NUMBERS = itertools.count(1, 100_000)


class Run:
    """One controller of --wire at a host."""

    def __init__(self, machine: Machine, seconds: int = LIMIT) -> None:
        self.machine, self.asked = machine, False
        words = [str(inventory(machine, "old")), str(seconds), LOGIN[0]]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.listener", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        boot = hosts.boot_of(machine.paths, machine.name)
        assert boot is not None
        self.proc = Path(f"/proc/{boot.leader}")

    def laid(self, name: str) -> bool:
        return f"/mailprov/wire/{name} " in (self.proc / "mountinfo").read_text()

    def inside(self, path: str) -> bool:
        return (self.proc / "root" / path).exists()

    def listens(self) -> bool:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == "on\n", line
        return True

    def ask(self) -> bool:
        if not self.asked:
            self.asked = self.listens()
            assert self.process.stdin is not None
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        return True

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


STEPS: dict[str, Callable[[Run], bool]] = {
    "journal begun": lambda run: run.machine.at("/var/lib/mailprov/journal/log").exists(),
    "copies made": lambda run: run.inside("run/mailprov/wire/master.cf"),
    "unit begun": lambda run: run.inside("run/systemd/transient/mailprov-wire.service"),
    "master.cf laid": lambda run: run.laid("master.cf"),
    "main.cf laid": lambda run: run.laid("main.cf"),
    "listening": lambda run: run.listens(),
    "asked": lambda run: run.ask(),
    "main.cf back": lambda run: run.ask() and not run.laid("main.cf"),
    "master.cf back": lambda run: run.ask() and not run.laid("master.cf"),
}


def _kill_agent(run: Run) -> bool:
    return run.machine.kill(run.machine.agent())


def _kill_all(run: Run) -> bool:
    """The agent and its guardian: nobody but the host itself is left."""
    return run.machine.kill(run.machine.agents())


def _kill_controller(run: Run) -> bool:
    run.process.kill()
    return True


def _cut(run: Run) -> bool:
    run.machine.cut()
    return True


def _power_loss(run: Run) -> bool:
    run.machine.power_loss()
    run.machine.power_on()
    return True


def _reboot(run: Run) -> bool:
    run.machine.reboot()
    return True


KINDS: dict[str, Callable[[Run], bool]] = {
    "kill agent": _kill_agent,
    "kill agent and guardian": _kill_all,
    "kill controller": _kill_controller,
    "cut network": _cut,
    "power loss": _power_loss,
    "reboot": _reboot,
}


def picture(machine: Machine, script: str) -> list[str]:
    return machine.shell(script).splitlines()


def _differs(machine: Machine, script: str, before: list[str]) -> list[str]:
    return sorted(set(picture(machine, script)) ^ set(before))


def sample(machine: Machine, kind: str, step: str) -> Sample:
    """On a host that serves. Its disk must be in the state `old`."""
    began = time.monotonic()
    done = Sample(machine.name, PHASE, kind, step, step, False)
    in_force, left = picture(machine, _IN_FORCE), picture(machine, _LEFT)
    with Stream(machine, {LOGIN[0]: LOGIN[0]}, LOGIN, first=next(_NUMBERS)) as stream:
        run = Run(machine)
        try:
            assert poll(lambda: STEPS[step](run), 60), f"{step} did not come"
            done.hit = KINDS[kind](run)
            boots = kind in ("power loss", "reboot")
            # The host's own limit, and a slow machine; nobody else comes to its help.
            if not poll(lambda: not _differs(machine, _IN_FORCE, in_force), 90):
                done.problems.append(f"in force: {_differs(machine, _IN_FORCE, in_force)[:6]}")
            if not boots and not poll(lambda: not _differs(machine, _LEFT, left), 60):
                done.problems.append(f"left: {_differs(machine, _LEFT, left)[:6]}")
        finally:
            machine.join()
            run.end()
        if not poll(lambda: not machine.agents(), 90):
            done.problems.append("the agent still runs, and nobody talks to it")
        done.problems += _again(machine)
        if more := _differs(machine, _LEFT, left) + _differs(machine, _IN_FORCE, in_force):
            done.problems.append(f"after the next run: {more[:6]}")
        before = len(stream.sent.accepted)
        if not poll(lambda: len(stream.sent.accepted) > before, 30):
            done.problems.append(f"no message is accepted in the end: {dict(stream.sent.why)}")
        tally = stream.settle()
    done.accepted, done.unknown = tally.accepted, tally.unknown
    done.lost, done.duplicated = len(tally.lost), len(tally.duplicated)
    if tally.left:
        done.problems.append(f"the queue did not become empty: {tally.left[-600:]}")
    if tally.lost:
        done.problems.append(f"lost: {tally.lost}")
    done.seconds = time.monotonic() - began
    return done


def tried(machine: Machine, kind: str, step: str) -> Sample:
    """A sample, also when the host does not do what is wanted of it."""
    try:
        return sample(machine, kind, step)
    except (AssertionError, OSError, LookupError, subprocess.SubprocessError) as error:
        problem = f"{type(error).__name__}: {error}"
        return Sample(machine.name, PHASE, kind, step, "", True, problems=[problem])


def _again(machine: Machine) -> list[str]:
    """The next run listens as if nothing had been."""
    run = Run(machine, 60)
    out = run.process.communicate("\n", timeout=120)[0]
    return [] if out == "on\noff\n" else [f"the next run: {out[-600:]}"]
