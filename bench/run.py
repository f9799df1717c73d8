"""make bench: how long mailprov takes, next to the bare work, measured in one run on one machine.

Phases, each on the same kind of host (Debian 12 and Debian 13 in a lab of its own, from the cache):
    lab up            boot of the hosts, DNS and CA included
    bare apt          `apt-get update && apt-get install` of the same packages alone on a pristine host
    first apply       mailprov on a pristine host: packages, configuration, DNS (verification apart)
    no-change apply   the same command again
    floor             `ssh HOST true`, cold: what any tool pays before it has done anything
    verify            all probes

bare apt and first apply are alternated on reset hosts, ROUNDS times, so that a drift of the machine hits both; what is
quoted is the ratio of medians. Absolute seconds are printed for orientation only. Results go to stdout and, as a table
with the machine's description, to the file given with --output.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAILPROV = [str(ROOT / ".venv/bin/mailprov")]
LAB = "bench"
PACKAGES = "postfix dovecot-imapd dovecot-pop3d dovecot-lmtpd ca-certificates openssl"
BARE_APT = (
    "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update && "
    f"apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install {PACKAGES} >/dev/null"
)


class Bench:
    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.times: dict[str, list[float]] = {}
        self.inventory = ""

    def timed(self, name: str, work: Callable[[], None]) -> None:
        began = time.monotonic()
        work()
        seconds = time.monotonic() - began
        self.times.setdefault(name, []).append(seconds)
        print(f"  {name:<28} {seconds:7.2f} s", flush=True)

    def mailprov(self, *words: str) -> str:
        return _run([*MAILPROV, *words])

    def on_both(self, command: str) -> None:
        """The same shell command on both hosts at once, each over a cold ssh."""
        started = [
            subprocess.Popen(
                [*MAILPROV, "lab", "ssh", "--name", LAB, host, command], stdout=subprocess.DEVNULL
            )
            for host in ("mx1", "mx2")
        ]
        if any(process.wait() for process in started):
            raise SystemExit(f"bench: `{command}` failed on a host")

    def run(self) -> None:
        demo = str(ROOT / "inventories/demo.yml")
        self.timed("(first lab up, builds caches)", lambda: self._up(demo))
        self.mailprov("lab", "down", "--name", LAB)
        self.timed("lab up, from cache", lambda: self._up(demo))
        self.inventory = self.mailprov("lab", "inventory", "--name", LAB).strip()
        self.on_both(BARE_APT)  # fills the package cache; not counted
        for _ in range(self.rounds):
            self.timed("lab reset", lambda: self.mailprov("lab", "reset", "--name", LAB, "--quiet"))
            self.timed("bare apt-get, both hosts", lambda: self.on_both(BARE_APT))
            self.mailprov("lab", "reset", "--name", LAB, "--quiet")
            self.timed("first apply, both hosts", lambda: self._apply("Done"))
            for _ in range(3):
                self.timed("no-change apply", lambda: self._apply("No changes"))
                self.timed("floor: ssh true", lambda: self.on_both("true"))
            self.timed("verify", lambda: self.mailprov("verify", "--quiet", self.inventory))

    def _up(self, inventory: str) -> None:
        self.mailprov("lab", "up", inventory, "--name", LAB, "--quiet")

    def _apply(self, expected: str) -> None:
        said = self.mailprov("apply", "--yes", "--no-verify", self.inventory)
        if expected not in said:
            raise SystemExit(f"bench: apply did not say “{expected}”:\n{said}")

    def table(self) -> str:
        median = {name: statistics.median(values) for name, values in self.times.items()}
        apt, floor = median["bare apt-get, both hosts"], median["floor: ssh true"]
        lines = [
            "| phase | n | median s (min-max) | ratio |",
            "|---|---|---|---|",
        ]
        for name, values in self.times.items():
            ratio = {
                "first apply, both hosts": f"{median[name] / apt:.2f} × bare apt-get",
                "no-change apply": f"{median[name] / floor:.2f} × ssh true; 1/{apt / median[name]:.0f} of bare apt-get",
                "verify": f"{median[name] / apt:.2f} × bare apt-get",
                "lab up, from cache": f"{median[name] / apt:.2f} × bare apt-get",
                "lab reset": f"{median[name] / apt:.2f} × bare apt-get",
            }.get(name, "")
            lines.append(
                f"| {name} | {len(values)} | {median[name]:.2f} ({min(values):.2f}-{max(values):.2f}) | {ratio} |"
            )
        return "\n".join(lines)


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench: {' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=Path, help="write the table here too")
    arguments = parser.parse_args()
    if sys.platform != "linux" or os.geteuid() != 0:
        raise SystemExit("make bench boots real hosts: it needs root on Linux (sudo make bench)")
    bench = Bench(arguments.rounds)
    try:
        bench.run()
    finally:
        subprocess.run([*MAILPROV, "lab", "down", "--name", LAB, "--quiet"], check=False)
    table = bench.table()
    print("\n" + table)
    if arguments.output:
        python = platform.python_version()
        machine = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, Python {python}"
        arguments.output.write_text(
            f"# Results: {time.strftime('%d %b %Y')}\n\n{machine}; hosts share these cores.\n\n{table}\n"
        )


if __name__ == "__main__":
    main()
