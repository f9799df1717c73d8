"""Every mutation on real hosts, and whether `mailprov verify` says so.

    make mutations                 boots two hosts, builds them, puts one in after the other; ONLY=name,name for some
    build/mutations/results.jsonl  what was said of each

Exit code 0: each was seen on each of its hosts, by a probe that is for it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from mailprov import lab
from mailprov.inventory import SecretMode, load
from mailprov.model.events import Event
from tests.lab.program import run
from tests.mutations.catalogue import MUTATIONS, Mutation
from tests.mutations.hosts import INVENTORY, Hosts, Seen

RESULTS = Path(os.environ.get("STATE", "build/mutations")) / "results.jsonl"


def silent(event: Event) -> None:
    """What the lab says is not for this report."""


def main() -> int:
    only = set(filter(None, os.environ.get("ONLY", "").split(",")))
    chosen = [each for each in MUTATIONS if not only or each.name in only]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    running = os.environ.get("LAB")
    if running:  # one that is up and built, for whoever writes a mutation
        return tried(Hosts(lab.load(running)), chosen)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mail.yml"
        path.write_text(INVENTORY)
        made = lab.up(load(path, SecretMode.IGNORE), name=f"mutations-{os.getpid()}", emit=silent)
        try:
            built = run("apply", "--yes", "--no-verify", str(made.inventory_path))
            if built.code != 0:
                print(f"mutations: the hosts could not be built: {built.events[-3:]}")
                return 1
            return tried(Hosts(made), chosen)
        finally:
            lab.down(made.name, silent)


def tried(hosts: Hosts, chosen: list[Mutation]) -> int:
    sound = hosts.sound()
    if sound.code != 0:
        red = [
            (each["id"], each["observed"])
            for each in sound.of("found")
            if each["verdict"] in ("fail", "error")
        ]
        print(f"mutations: the hosts are not sound to begin with: {red}")
        return 1
    missed = []
    for mutation in chosen:
        began = time.monotonic()
        seen = hosts.tried(mutation)
        with RESULTS.open("a") as file:
            for each in seen:
                file.write(json.dumps(row(mutation, each)) + "\n")
        for each in seen:
            print(line(mutation, each, time.monotonic() - began), flush=True)
            if not each.good:
                missed.append(f"{mutation.name} on {each.host}")
    print(f"{len(chosen)} mutations tried, not seen: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


def row(mutation: Mutation, seen: Seen) -> dict[str, object]:
    return {
        "mutation": mutation.name,
        "host": seen.host,
        "seen": seen.good,
        "by": sorted({f"{each['id']} {each['verdict']}" for each in seen.wanted}),
        "others": sorted({f"{each['id']} {each['verdict']}" for each in seen.others}),
        "observed": [each["observed"] for each in (*seen.wanted, *seen.others)][:6],
    }


def line(mutation: Mutation, seen: Seen, seconds: float) -> str:
    words = row(mutation, seen)
    sign = "seen    " if seen.good else "NOT SEEN"
    by = ", ".join(words["by"]) or "nothing"  # type: ignore[arg-type]
    more = ", ".join(words["others"])  # type: ignore[arg-type]
    return f"{sign} {mutation.name:26} {seen.host}  {by}{f'; also {more}' if more else ''} ({seconds:.0f} s)"


if __name__ == "__main__":
    sys.exit(main())
