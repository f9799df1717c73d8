"""One host through one fault at a time.

    Campaign(machine, phases)       installs once, changes once, keeps both states, records the event streams
    points(phase, kind)             name → number of each event of the undisturbed run at which this fault is tried
    sample(phase, kind, name)       back to the start, disturb, look, recover, count: a Sample

A sample has recovered when `problems` is empty.
"""

from __future__ import annotations

import imaplib
import itertools
import json
import re
import socket
import ssl
import string
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.host import Machine, poll
from tests.faults.kinds import KINDS, FullDisk, fits
from tests.faults.mail import Stream
from tests.faults.phases import (
    ACCOUNTS,
    FQDN,
    LOGIN,
    MAIL_PORTS,
    PHASES,
    ROUTES,
    Phase,
    Picture,
    compare,
    inventory,
    managed,
    picture,
    write_inventories,
)
from tests.lab.program import COMMAND, run

Event = dict[str, Any]


@dataclass
class Sample:
    host: str
    phase: str
    kind: str
    point: str  # the event it was to strike at, as in an undisturbed run
    event: str  # the one it struck at
    hit: bool
    accepted: int = 0
    unknown: int = 0
    lost: int = 0
    duplicated: int = 0
    seconds: float = 0.0
    parts: str = ""  # where the seconds went
    said: str = ""  # what the next apply found
    problems: list[str] = field(default_factory=list)


def label(event: Event) -> str:
    """What a person calls this event."""
    if event["event"] == "applied":
        change = event["change"]
        return f"applied {change['kind']} {change['name']}"
    return f"{event['event']} {event.get('text', '')}".strip()[:100]


def _sort(event: Event) -> str:
    """What neighbours share: kind of event and of change, or the first words of a text."""
    if event["event"] == "applied":
        return f"applied {event['change']['kind']}"
    words = " ".join(str(event.get("text", "")).split()[:2])
    return f"{event['event']} {words.rstrip(string.digits)}"


_OF_THIS_LAB = re.compile(r"\d+\.\d+\.\d+\.\d+")  # the next one has other addresses


def _names(events: list[Event]) -> list[str]:
    """Each event's label, with a number where it comes again."""
    seen: Counter[str] = Counter()
    names = []
    for event in events:
        text = _OF_THIS_LAB.sub("…", label(event))
        seen[text] += 1
        names.append(text if seen[text] == 1 else f"{text} #{seen[text]}")
    return names


class Campaign:
    def __init__(self, machine: Machine, phases: Iterable[Phase] = tuple(PHASES.values())) -> None:
        self.machine = machine
        self.streams: dict[str, list[Event]] = {}
        self.pictures: dict[str, Picture] = {}
        write_inventories(machine)
        paths: set[str] = set()
        for phase in phases:
            machine.start(phase.before)
            result = run(*self.words(phase))
            assert result.code == 0, result.events[-3:]
            self.streams[phase.name] = result.events
            paths |= set(managed(machine))
            if phase.after not in self.pictures:
                self.pictures[phase.after] = {}
                machine.keep(phase.after)
        self._paths = sorted(paths)
        for state in self.pictures:
            machine.start(state)
            self.pictures[state] = picture(machine, self._paths)

    def words(self, phase: Phase, command: str = "") -> list[str]:
        first = command or phase.command
        more = {"plan": ["--exit-code"], "apply": ["--yes", "--no-verify"], "rollback": ["--yes"]}[first]
        return [first, *more, str(inventory(self.machine, phase.after))]

    def points(self, phase: str, kind: str) -> dict[str, int]:
        """The events at which this fault can be tried; of neighbours of one sort the first and the last.

        Between those nothing happens on the host that did not happen before: a dozen packages are unpacked, a dozen
        files are said to be in their places, which they reached together.
        """
        events = self.streams[phase]
        go = next(n for n, event in enumerate(events) if event["event"] == "planned")
        packages = [
            n for n, e in enumerate(events) if e["event"] == "applied" and e["change"]["kind"] == "package"
        ]
        last = packages[0] if packages else -1
        fitting = [n for n, event in enumerate(events) if fits(KINDS[kind], event, n > go, n >= last)]
        names, found = _names(events), {}
        for _, group in itertools.groupby(fitting, lambda n: _sort(events[n])):
            members = list(group)
            found.update({names[n]: n for n in (members[0], members[-1])})
        return found

    def sample(self, phase_name: str, kind_name: str, point: str) -> Sample:
        phase, kind, machine = PHASES[phase_name], KINDS[kind_name](), self.machine
        index = _names(self.streams[phase_name]).index(point)
        began = time.monotonic()
        machine.start(phase.before)
        if phase.before:
            # Booted is not serving: a Postfix that is still starting when the disk becomes full never starts.
            ready = poll(lambda: not _answers(machine.address, {FQDN[phase.before]}), 60)
            assert ready, f"{machine.name} does not serve as before, and nothing has struck yet"
        marks = [("start", began), ("boot", time.monotonic())]
        done = Sample(machine.name, phase.name, kind.name, point, "", False)
        with Stream(machine, ROUTES, LOGIN) as stream:
            running = Running(self.words(phase))
            event = running.read_to(index)
            if event is not None:
                done.event = label(event)
                done.hit = kind.strike(machine, running.process)
            marks.append(("strike", time.monotonic()))
            if not kind.outlives_controller:
                running.wait(150)
            kind.after(machine)
            marks.append(("end", time.monotonic()))
            if not poll(lambda: not machine.agents(), 120):
                done.problems.append("the agent still runs 120 s after the fault, and nobody talks to it")
                machine.kill(machine.agents())
            done.problems += [f"after the fault: {what}" for what in self._look(phase)]
            if isinstance(kind, FullDisk):
                done.problems += self._apply_without_room(phase)
            marks.append(("look", time.monotonic()))
            kind.heal(machine)
            running.wait(90)
            done.problems += running.complaints + kind.complaints
            done.problems += self._recover(phase, done)
            marks.append(("recover", time.monotonic()))
            before = len(stream.sent.accepted)
            if not poll(lambda: len(stream.sent.accepted) > before, 30):
                done.problems.append(f"no message is accepted in the end: {dict(stream.sent.why)}")
            tally = stream.settle(gone=ACCOUNTS[phase.before] - ACCOUNTS[phase.after])
        done.accepted, done.unknown = tally.accepted, tally.unknown
        done.lost, done.duplicated = len(tally.lost), len(tally.duplicated)
        if tally.left:
            done.problems.append(f"the queue did not become empty: {tally.left[-600:]}")
        if tally.lost:
            done.problems.append(f"lost: {tally.lost}")
        marks.append(("count", time.monotonic()))
        done.seconds = marks[-1][1] - began
        done.parts = ", ".join(
            f"{name} {at - before:.1f}" for (_, before), (name, at) in itertools.pairwise(marks)
        )
        return done

    # --- looking

    def _look(self, phase: Phase) -> list[str]:
        """What is neither as before nor as wanted."""
        machine, problems = self.machine, []
        old = self.pictures[phase.before] if phase.before else None
        shows, strange = compare(picture(machine, self._paths), old, self.pictures[phase.after])
        if strange:
            problems.append(f"neither old nor new: {', '.join(strange)}")
        if len(shows) > 1:
            problems.append("the configuration is half old and half new")
        if old is None and shows != {"new"}:
            up = [port for port in MAIL_PORTS if _open(machine.address, port)]
            return [*problems, f"nothing is configured, and ports {up} listen"] if up else problems
        if old is None and not _open(machine.address, 25):
            return problems  # configured and not started yet: the next apply does it
        names = {FQDN[phase.after]} | ({FQDN[phase.before]} if phase.before else set())
        if shows == {"old"}:
            names = {FQDN[phase.before]}
        return problems + self._serving(names)

    def _serving(self, names: set[str]) -> list[str]:
        """What does not answer, or not as one of these host names; a restart takes a moment."""
        last: list[str] = []

        def well() -> bool:
            last[:] = _answers(self.machine.address, names)
            return not last

        poll(well, 20)
        return last

    def _apply_without_room(self, phase: Phase) -> list[str]:
        """With the disk still full an apply ends with a sentence, or finds all done; it makes nothing worse."""
        result = run(*self.words(phase, "apply"))
        ended = result.ended(self.machine.name)
        if result.code not in (0, 1) or (result.code and not ended["error"]):
            return [f"apply on a full disk: exit {result.code}, {ended}"]
        return [f"after an apply on a full disk: {what}" for what in self._look(phase)]

    # --- recovery

    def _recover(self, phase: Phase, done: Sample) -> list[str]:
        machine = self.machine
        left = machine.at("/var/lib/mailprov/journal").exists()
        broken = bool(machine.shell("dpkg --audit").strip())
        again = run(*self.words(phase, "apply"))
        problems = []
        if again.code != 0:
            problems.append(f"the next apply: exit {again.code}: {again.ended(machine.name)['error']}")
        said = [e["text"] for e in again.events if e["event"] in ("progress", "notice") and _tells(e["text"])]
        done.said = "; ".join(said)
        if left and not any("earlier run" in text for text in said):
            problems.append("a journal was left, and the next apply says nothing of it")
        if broken and not any("interrupted package" in text for text in said):
            problems.append("packages were half installed, and the next apply says nothing of it")
        plan = run(*self.words(phase, "plan"))
        if plan.code != 0:
            problems.append(f"plan afterwards: exit {plan.code}: {plan.changes(machine.name)[:4]}")
        seen = picture(machine, self._paths)
        wrong = [path for path, now in seen.items() if now != self.pictures[phase.after][path]]
        if wrong:
            problems.append(f"not as wanted in the end: {', '.join(wrong)}")
        problems += [f"in the end: {what}" for what in self._serving({FQDN[phase.after]})]
        litter = machine.shell(
            "ls -d /usr/sbin/policy-rc.d* /var/lib/mailprov/journal /tmp/mailprov-* 2>/dev/null; dpkg --audit; "
            "find /etc /var/lib/mailprov -name '.*.mailprov'"
        )
        return [*problems, f"left behind: {litter.strip()}"] if litter.strip() else problems


def _tells(text: str) -> bool:
    return any(word in text for word in ("earlier run", "interrupted", "waiting for", "put back"))


class Running:
    """mailprov on the controller, read event by event, then drained by a thread."""

    def __init__(self, words: list[str]) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *words, "--json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.complaints: list[str] = []
        self._rest = ""
        self._drain = threading.Thread(target=self._read_rest, daemon=True)

    def read_to(self, index: int) -> Event | None:
        """The event of this number when it has come; None when the run ended before."""
        assert self.process.stdout is not None
        event = None
        for _ in range(index + 1):
            line = self.process.stdout.readline()
            if not line:
                event = None
                break
            event = json.loads(line)
        self._drain.start()
        return event

    def _read_rest(self) -> None:
        out, err = self.process.communicate()
        self._rest = out + err

    def wait(self, timeout: float) -> None:
        """Until it has ended; one that does not, or says what no user should read, is a complaint."""
        self._drain.join(timeout)
        if self._drain.is_alive():
            self.complaints.append(f"mailprov did not end within {timeout:.0f} s")
            self.process.kill()
            self._drain.join()
        for word in ("Traceback", "internal error", "unforeseen"):
            if word in self._rest and not self.complaints:
                self.complaints.append(f"{word}: {self._rest[-800:]}")


def _open(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=60).close()
    except OSError:
        return False
    return True


def _answers(address: str, names: set[str]) -> list[str]:
    """What is wrong with the service as seen from outside."""
    shut = [port for port in MAIL_PORTS if not _open(address, port)]
    if shut:
        return [f"ports {shut} do not answer"]
    try:
        with socket.create_connection((address, 25), timeout=120) as connection:
            greeting = connection.recv(200).decode(errors="replace").split()
        if greeting[:1] != ["220"] or greeting[1] not in names:
            return [f"port 25 greets with {' '.join(greeting)[:80]}, wanted {' or '.join(sorted(names))}"]
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with imaplib.IMAP4_SSL(address, 993, ssl_context=context, timeout=120) as client:
            client.login(*LOGIN)
            client.select("INBOX", readonly=True)
    except (OSError, imaplib.IMAP4.error, IndexError) as error:
        return [f"an old account cannot log in: {type(error).__name__}: {error}"]
    return []
