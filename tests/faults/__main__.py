"""The fault campaign in full: every fault at every event of every phase, on Debian 12 and 13 side by side.

    make faults                     goes on where it stopped; MINUTES=60 at most; FRESH=1 begins anew
    build/faults/results.jsonl      what has been tried
    build/faults/table.md           the table, also printed at the end

Exit code 0: all that was tried has recovered and nothing was lost.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from pathlib import Path

from mailprov import lab
from mailprov.inventory import SecretMode, load
from mailprov.model.events import Event
from tests.faults.campaign import Campaign
from tests.faults.host import Machine
from tests.faults.kinds import KINDS
from tests.faults.phases import PHASES
from tests.faults.table import Results, table

HERE = Path("build/faults")
NAME = "fault-campaign"
LAB = """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx.faults.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx.more.test, lab: {release: debian-13}}
domains:
  faults.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}
  more.test: {hosts: [mx2], accounts: {ana: {password: {env: ANA}}}}
"""
SLOW_EVERY = 6  # of faults that take a minute each, every sixth event


def silent(event: Event) -> None:
    """What the lab says is not for this report."""


def todo(campaign: Campaign, host: str) -> list[tuple[str, str, int]]:
    """Everything to try, in an order that shows something of all soon and is the same in every run."""
    wanted = []
    for phase in PHASES:
        for name, kind in KINDS.items():
            points = campaign.points(phase, name)
            wanted += [(phase, name, index) for index in points[:: SLOW_EVERY if kind.slow else 1]]
    random.Random(host).shuffle(wanted)
    return wanted


def work(made: lab.Lab, host: str, results: Results, until: float) -> None:
    campaign = Campaign(Machine(made, host))
    for phase, kind, index in todo(campaign, host):
        if time.monotonic() > until:
            return
        if results.has(host, phase, kind, index):
            continue
        sample = campaign.sample(phase, kind, index)
        results.add(sample)
        how = "; ".join(sample.problems) or ("recovered" if sample.hit else "nothing to hit")
        print(
            f"{host} {phase:8} {kind:15} {index:3} {sample.event[:50]:50} {sample.seconds:4.0f} s  {how}",
            flush=True,
        )


def main() -> int:
    if sys.platform != "linux" or os.geteuid() != 0:
        print("make faults boots real hosts: it needs root on Linux")
        return 3
    if os.environ.get("FRESH"):
        (HERE / "results.jsonl").unlink(missing_ok=True)
    results = Results(HERE / "results.jsonl")
    until = time.monotonic() + 60 * float(os.environ.get("MINUTES", "60"))
    inventory = HERE / "lab.yml"
    inventory.write_text(LAB)
    lab.down(NAME, silent)
    made = lab.up(load(inventory, SecretMode.IGNORE), name=NAME, emit=silent)
    try:
        threads = [
            threading.Thread(target=work, args=(made, host.name, results, until), daemon=True)
            for host in made.hosts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        print("stopped; `make faults` goes on from here")
    finally:
        lab.down(NAME, silent)
    text = table(results.samples)
    (HERE / "table.md").write_text(text)
    print(text)
    return 1 if any(sample.problems for sample in results.samples if sample.hit) else 0


if __name__ == "__main__":
    sys.exit(main())
