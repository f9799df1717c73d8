"""The fault campaign in full: every fault at every event of every phase, on Debian 12 and 13 side by side; and `trace
--wire`, struck at each of its steps.

    make faults                 goes on where it stopped; MINUTES=60 at most; FRESH=1 begins anew
    make faults ONLY=wire       `trace --wire` alone
    STATE=build/faults          where results.jsonl, what has been tried, is kept
    tests/faults/RESULTS.md     the table, also printed at the end; WIRE.md has the one of `trace --wire`

Each (phase, fault, event) is tried on one of the two hosts; EACH=1 tries it on both. Exit code 0: all that was tried
has recovered and nothing was lost.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

from mailprov import lab
from mailprov.inventory import SecretMode, load
from mailprov.model.events import Event
from tests.faults import wire
from tests.faults.campaign import Campaign, Sample
from tests.faults.host import Machine
from tests.faults.kinds import KINDS
from tests.faults.phases import PHASES, Phase
from tests.faults.table import Results, report, table, wire_report

STATE = Path(os.environ.get("STATE", "build/faults"))
RESULTS = Path(__file__).with_name("RESULTS.md")
WIRE = Path(__file__).with_name("WIRE.md")
ONLY_WIRE = os.environ.get("ONLY") == "wire"
LAB = """\
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx.faults.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx.more.test, lab: {release: debian-13}}
domains:
  faults.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}
  more.test: {hosts: [mx2], accounts: {ana: {password: {env: ANA}}}}
"""
SLOW_EVERY = 4  # of faults that take a minute each, every fourth event
Point = tuple[str, str, str]  # phase, fault, event


def silent(event: Event) -> None:
    """What the lab says is not for this report."""


def prepared(made: lab.Lab, phases: tuple[Phase, ...] = tuple(PHASES.values())) -> dict[str, Campaign]:
    """One campaign for each host, all prepared at once."""
    found: dict[str, Campaign] = {}
    failures: list[BaseException] = []

    def prepare(name: str) -> None:
        try:
            found[name] = Campaign(Machine(made, name), phases)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=prepare, args=(host.name,)) for host in made.hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return dict(sorted(found.items()))


def points(campaign: Campaign) -> list[Point]:
    """Everything that can be tried on a host."""
    found = []
    for phase in PHASES:
        for name, kind in KINDS.items():
            events = list(campaign.points(phase, name))
            found += [(phase, name, event) for event in events[:: SLOW_EVERY if kind.slow else 1]]
    return found


def shared_out(campaigns: dict[str, Campaign], each: bool) -> dict[str, list[Point]]:
    """What each host tries, in an order that shows something of all soon and is the same in every run."""
    possible = {host: points(campaign) for host, campaign in campaigns.items()}
    todo: dict[str, list[Point]] = {host: [] for host in possible}
    for point in sorted({point for some in possible.values() for point in some}):
        able = [host for host in possible if point in possible[host]]
        chosen = able if each else [able[zlib.crc32(" ".join(point).encode()) % len(able)]]
        for host in chosen:
            todo[host].append(point)
    for host, some in todo.items():
        random.Random(host).shuffle(some)
    return todo


def tried(campaign: Campaign, point: Point) -> Sample:
    """A sample, also when the host does not do what the campaign wants: one that is lost must not end the others."""
    try:
        return campaign.sample(*point)
    except (AssertionError, OSError, LookupError, subprocess.SubprocessError) as error:
        problem = f"{type(error).__name__}: {error}"
        return Sample(campaign.machine.name, *point, "", True, problems=[problem])


def wired(campaign: Campaign, results: Results, until: float) -> None:
    """Each fault at each step of `trace --wire`, on both hosts."""
    machine, serves = campaign.machine, False
    every = [(kind, step) for kind in wire.KINDS for step in wire.STEPS]
    random.Random(machine.name).shuffle(every)  # so that a part of it shows something of all
    for kind, step in every:
        if results.has(machine.name, wire.PHASE, kind, step) or time.monotonic() > until:
            continue
        if not serves:
            machine.start("old")
        sample = wire.tried(machine, kind, step)
        serves = not sample.problems
        results.add(sample)
        how = "; ".join(sample.problems) or ("recovered" if sample.hit else "nothing to hit")
        print(f"{machine.name} wire {kind:23} {step:15} {sample.seconds:4.0f} s  {how}", flush=True)


def work(campaign: Campaign, todo: list[Point], results: Results, until: float) -> None:
    host = campaign.machine.name
    left = [point for point in todo if not results.has(host, *point)]
    for done, point in enumerate(left, 1):
        if time.monotonic() > until:
            return
        sample = tried(campaign, point)
        results.add(sample)
        how = "; ".join(sample.problems) or ("recovered" if sample.hit else "nothing to hit")
        where = f"{host} {done}/{len(left)} {sample.phase:8} {sample.kind:15} {sample.point[:50]:50}"
        print(f"{where} {sample.seconds:4.0f} s  {how}", flush=True)


def everything(campaign: Campaign, todo: list[Point], results: Results, until: float) -> None:
    wired(campaign, results, until)
    if not ONLY_WIRE:
        work(campaign, todo, results, until)


def main() -> int:
    if sys.platform != "linux" or os.geteuid() != 0:
        print("make faults boots real hosts: it needs root on Linux")
        return 3
    name = f"faults-{zlib.crc32(str(STATE.absolute()).encode()):08x}"  # a lab for each memory
    if os.environ.get("FRESH"):
        (STATE / "results.jsonl").unlink(missing_ok=True)
    results = Results(STATE / "results.jsonl")
    until = time.monotonic() + 60 * float(os.environ.get("MINUTES", "60"))
    inventory = STATE / "lab.yml"
    inventory.write_text(LAB)
    lab.down(name, silent)
    made = lab.up(load(inventory, SecretMode.IGNORE), name=name, emit=silent)
    campaigns: dict[str, Campaign] = {}
    todo: dict[str, list[Point]] = {}
    try:
        campaigns = prepared(made, (PHASES["install"],) if ONLY_WIRE else tuple(PHASES.values()))
        todo = {} if ONLY_WIRE else shared_out(campaigns, bool(os.environ.get("EACH")))
        threads = [
            threading.Thread(
                target=everything, args=(campaigns[host], todo.get(host, []), results, until), daemon=True
            )
            for host in campaigns
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        print("stopped; `make faults` goes on from here")
    finally:
        lab.down(name, silent)
    events = {
        host: {phase: len(events) for phase, events in campaign.streams.items()}
        for host, campaign in campaigns.items()
    }
    others = [sample for sample in results.samples if sample.phase != wire.PHASE]
    WIRE.write_text(wire_report([sample for sample in results.samples if sample.phase == wire.PHASE]))
    if not ONLY_WIRE:
        RESULTS.write_text(report(others, events, sum(map(len, todo.values()))))
    print(table(results.samples))
    return 1 if any(sample.problems for sample in results.samples if sample.hit) else 0


if __name__ == "__main__":
    sys.exit(main())
