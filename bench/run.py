"""make bench: how long mailprov takes, beside its peers and beside the bare work, in one run on one machine.

    demo              what `make demo` does, step by step: lab up, first apply, no change, verify; beside bare `apt-get`
    first install     bare `apt-get install` of the same packages, mailprov (FULL: and the peers), on a pristine host
    no change         mailprov, ansible-core, pyinfra and a cold `ssh true`; near, and 100 ms away
    one alias         the same; the alias comes and goes
    many hosts        eight real ones; then 1, 50 and 200 simulated ones
    many accounts     10 and 10,000 on one host; many domains: 10 and 1,000
    load              mail through a provisioned host, beside the distribution's stock configuration; the filter's cost
    since             hosts of 0.1.0 before and after this version: memory of 50 idle clients on 587, mail in and out
    web               what the web corner adds to a first apply: time, packages, memory
    trace             a message of the past among 100,000 records: time beside `journalctl --grep`, the agent's memory
    zones             questions and rounds of DNS: 100 domains in a zone, ten zones, wildcards; calls of each driver
    verify            a whole verify of sound hosts, with Rspamd and without, beside checkdmarc, sslyze and swaks
    cpu               a no-change plan of one host: the controller's CPU above its libraries', wall beside `ssh true`
    start             `--version` and `--help` beside an empty Python

Tools take turns, so that a drift of the machine hits all of them; what is judged is the median of the rounds' ratios.
Each counted run is checked: a no-change run must say that nothing changed, and at the end mailprov must find its
hosts as it wants them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import (  # noqa: E402
    cpu,
    demo,
    fleet,
    mail_load,
    peers,
    since,
    trace_logs,
    verify_speed,
    web_corner,
    zone_calls,
    zones,
)
from bench.commands import apply, bare_install, mailprov  # noqa: E402
from bench.hosts import FRESH, NAMES, QUOTA, Hosts, Place, many_domains, small_domain  # noqa: E402
from bench.measure import BenchFailed, Run, Table, run  # noqa: E402
from bench.results import write  # noqa: E402
from mailprov import desired  # noqa: E402
from mailprov.inventory import load  # noqa: E402

ROUND_TRIP = 0.1
PHASES = (
    "start",
    "cpu",
    "demo",
    "install",
    "near",
    "far",
    "hosts",
    "fleet",
    "sizes",
    "load",
    "since",
    "web",
    "trace",
    "zones",
    "verify",
)


class Bench:
    def __init__(self, full: bool, folder: Path, cache: Path) -> None:
        self.full, self.folder, self.cache = full, folder, cache
        self.table = Table()
        self.hosts = Hosts(folder)
        self.venv = peers.install(cache)
        self.failed: list[str] = []
        self.tables: list[str] = []  # lines of what has a table of its own
        self.tools: dict[str, peers.Ansible | peers.Pyinfra] = {}

    def inventory(self, label: str, places: list[Place], alias: bool) -> Path:
        return self.hosts.inventory(label, places, small_domain([place.name for place in places], alias))

    def prepare(self) -> None:
        """All eight hosts as wanted, by mailprov; then the peers get the same state described."""
        near = [self.hosts.near(name) for name in NAMES]
        self.table.add(
            "8 real hosts, first install: mailprov",
            apply(self.inventory("eight", near, False), "Done"),
        )
        apply(self.inventory("a", near[:1], False), "")
        described = peers.describe(
            self.hosts, "h1",
            {"a": self.inventory("a", near[:1], False), "b": self.inventory("b", near[:1], True)},
            self.folder / "described",
        )  # fmt: skip
        self.tools = {
            "pyinfra": peers.Pyinfra(self.venv, self.hosts, described),
            "ansible": peers.Ansible(self.venv, self.hosts, described),
        }
        for tool in self.tools.values():
            tool.run(near[:1], "a")  # not counted: the first one lets apt fetch its lists

    def start(self) -> None:
        for _ in range(40 if self.full else 20):
            self.table.add("empty Python", run([sys.executable, "-c", "pass"]))
            self.table.add("mailprov --version", mailprov("--version"))
            self.table.add("mailprov --help", mailprov("--help"))

    def cpu(self) -> None:
        cpu.measure(self.folder, 25 if self.full else 15, self.table)

    def demo(self) -> None:
        demo.measure(self.folder, 3 if self.full else 1, self.table)

    def install(self) -> None:
        place = self.hosts.near(FRESH)
        path = self.inventory("fresh", [place], False)
        described = self.folder / "described-fresh"
        self.hosts.reset_fresh()
        apply(path, "Done")  # fills the package cache; not counted
        read = load(path)
        install = bare_install(desired.needed_packages(read, read.hosts[0]))
        works: dict[str, Callable[[], Run]] = {
            "bare apt-get": lambda: run(self.hosts.ssh_argv(place, install)),
            "mailprov": lambda: apply(path, "Done"),
        }
        if self.full:
            peers.describe(self.hosts, FRESH, {"a": path}, described)
            for name, kind in (("pyinfra", peers.Pyinfra), ("ansible", peers.Ansible)):
                tool = kind(self.venv, self.hosts, described)
                works[name] = lambda tool=tool: tool.run([place], "a", first=True)  # type: ignore[misc]
        for _ in range(3 if self.full else 2):
            for name, work in works.items():
                self.hosts.reset_fresh()
                self.table.add(f"first install: {name}", work())

    def compare(self, where: str, place: Place, rounds: int) -> None:
        """No change and one alias, all tools in turn on the first host."""
        states = {label: self.inventory(f"{label}-{where}", [place], label == "b") for label in ("a", "b")}
        for _ in range(rounds):
            self.table.add(f"no change, {where}: ssh true", run(self.hosts.ssh_argv(place, "true")))
            self.table.add(f"no change, {where}: mailprov", apply(states["a"], "No changes"))
            for name, tool in self.tools.items():
                result = tool.run([place], "a")
                if tool.changed(result):
                    raise SystemExit(
                        f"bench: {name} changed something it should find as wanted:\n{result.output}"
                    )
                self.table.add(f"no change, {where}: {name}", result)
        for _ in range(rounds):
            for name, tool in self.tools.items():
                for wanted in ("b", "a"):  # there and back again, so that the next one finds the same state
                    result = tool.run([place], wanted)
                    if not tool.changed(result):
                        raise BenchFailed(f"bench: {name} did not write the alias:\n{result.output}")
                    self.table.add(f"one alias, {where}: {name}", result)
            for wanted in ("b", "a"):
                self.table.add(f"one alias, {where}: mailprov", apply(states[wanted], "Done"))
            apply(states["a"], "No changes")

    def near(self) -> None:
        self.compare("near", self.hosts.near("h1"), 7 if self.full else 4)

    def far(self) -> None:
        with self.hosts.far("h1", ROUND_TRIP) as place:
            self.compare("100 ms away", place, 3 if self.full else 1)

    def eight(self) -> None:
        near = [self.hosts.near(name) for name in NAMES]
        path = self.inventory("eight", near, False)
        for _ in range(5 if self.full else 3):
            self.table.add("8 real hosts, no change: mailprov", apply(path, "No changes"))
            one = self.inventory("one", near[1:2], False)
            self.table.add("1 real host, no change: mailprov", apply(one, ""))
            apply(path, "")

    def sizes(self) -> None:
        sizes = {
            "10 accounts": (1, 10),
            "10,000 accounts": (1, 10_000),
            "10 domains": (10, 1),
            "1,000 domains": (1000, 1),
        }
        paths: dict[str, Path] = {}
        for (label, (domains, accounts)), name in zip(sizes.items(), ("h3", "h4", "h5", "h6"), strict=True):
            place = self.hosts.near(name)
            paths[label] = self.hosts.inventory(
                label.replace(" ", "-"), [place], many_domains([name], domains, accounts)
            )
            apply(paths[label], "")
        for _ in range(25 if self.full else 15):  # a second each
            for label, path in paths.items():
                self.table.add(f"{label}, no change: mailprov", apply(path, "No changes"))

    def fleet(self) -> None:
        fleet.measure(self.folder, [1, 50, 200], 3 if self.full else 1, self.table)

    def load(self) -> None:
        def provision(name: str, filter_: str, quotas: bool) -> None:
            path = self.inventory(f"load-{name}", [self.hosts.near(name)], False)
            # Nobody answers for a DNS blocklist here, and to wait for that is no work of the host's.
            asked = "" if filter_ == "none" else "\nblocklists: none"
            text = path.read_text().replace("filter: none", f"filter: {filter_}{asked}")
            path.write_text(text if quotas else text.replace(QUOTA, ""))
            apply(path, "Done")

        mail_load.measure(self.hosts, provision, 5 if self.full else 3, self.table)

    def since(self) -> None:
        self.tables += since.measure(5 if self.full else 3)

    def web(self) -> None:
        folder = self.folder / "web"
        folder.mkdir()
        self.tables += web_corner.measure(folder, 5 if self.full else 3)

    def trace(self) -> None:
        folder = self.folder / "trace"
        folder.mkdir()
        self.tables += trace_logs.measure(folder, 9 if self.full else 5)

    def zones(self) -> None:
        folder = self.folder / "zones"
        folder.mkdir()
        self.tables += zones.measure(folder)
        self.tables += zone_calls.measure(folder)

    def verify(self) -> None:
        folder = self.folder / "verify"
        folder.mkdir()
        self.tables += verify_speed.measure(folder, self.cache, 5 if self.full else 3)

    def run(self, phases: list[str]) -> None:
        try:
            if set(phases) - {
                "start",
                "cpu",
                "demo",
                "fleet",
                "since",
                "web",
                "trace",
                "zones",
                "verify",
            }:  # these need none of its hosts
                self.hosts.up()
            if set(phases) & {"near", "far", "hosts"}:
                self.prepare()
            for phase in phases:
                print(f"{phase}:", flush=True)
                try:
                    getattr(self, {"hosts": "eight"}.get(phase, phase))()
                except BenchFailed as failure:
                    print(failure, flush=True)
                    self.failed.append(f"{phase}: {str(failure).splitlines()[0]}")
        finally:
            self.hosts.down()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="more rounds, and the peers' first install")
    parser.add_argument("--only", action="append", choices=PHASES, help="some phases alone")
    parser.add_argument("--output", type=Path, default=ROOT / "bench/RESULTS.md")
    parser.add_argument(
        "--cache", type=Path, default=Path("/var/cache/mailprov-bench"), help="the peers live here"
    )
    given = parser.parse_args()
    if sys.platform != "linux" or os.geteuid() != 0:
        raise SystemExit("make bench boots real hosts: it needs root on Linux (sudo make bench)")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # so that the lab goes away then, too
    os.environ["BENCH_PASSWORD"] = "of all the accounts of the bench"
    folder = Path(tempfile.mkdtemp(prefix="mailprov-bench-"))
    began = time.monotonic()
    bench = Bench(given.full, folder, given.cache)
    try:
        bench.run(given.only or list(PHASES))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        minutes = (time.monotonic() - began) / 60
        write(
            bench.table,
            given.output,
            full=given.full,
            minutes=minutes,
            failed=bench.failed,
            more=bench.tables,
        )
    if bench.failed:
        raise SystemExit("bench: a part of it failed; see above")


if __name__ == "__main__":
    main()
