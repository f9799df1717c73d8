"""What a plan that changes nothing costs the controller, above what its libraries cost by being imported.

    measure(folder, rounds, table)     rows "cpu: …", against one host of a lab of its own, with the default filter
    lines(table)                       them as a table: CPU above the floor, and wall of a cold `ssh HOST true`
    python bench/cpu.py INVENTORY [ROUNDS]     the quick form: the same against a host that is as INVENTORY wants it

The floor is an empty Python that imports the libraries of the run (paramiko, pydantic, ruamel.yaml, jinja2, and
cryptography.x509 for certificates given as files) and does nothing. All commands take turns, each round beginning with
the next one; what counts is the median of the rounds' differences, for the speed of busy cores drifts by half.
CPU is user and system time of the process and its children.
"""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from bench.commands import MAILPROV, apply, mailprov  # noqa: E402
from bench.measure import BenchFailed, Table, run  # noqa: E402
from mailprov import lab  # noqa: E402
from mailprov.inventory import SecretMode, load  # noqa: E402
from mailprov.transport.connections import Connections  # noqa: E402

WANTED = 0.10  # seconds of CPU above the floor
_LAB = "bench-cpu"
_INVENTORY = """\
hosts: {mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts: {ana: {password: {env: BENCH_PASSWORD}}, luis: {password: {env: BENCH_PASSWORD}}}
"""
# As mailprov.transport does it, without what it puts off of paramiko's own imports.
_LIBRARIES = (
    "import mailprov.transport, paramiko, jinja2, ruamel.yaml, cryptography.x509; "
    "from pydantic import BaseModel, Field, ValidationError"
)
_EMPTY, _FLOOR, _SSH = "cpu: empty Python", "cpu: floor", "cpu: ssh true"
_PLANS = {"cpu: plan, hosts alone": ("--only", "hosts"), "cpu: plan, with DNS": ()}


def measure(folder: Path, rounds: int, table: Table) -> None:
    """Raises BenchFailed when a plan is not without changes."""
    first = folder / "cpu.yml"
    first.write_text(_INVENTORY)
    os.environ.setdefault("BENCH_PASSWORD", "of all the accounts of the bench")
    try:
        mailprov("lab", "up", str(first), "--name", _LAB, "--installed")
        path = lab.load(_LAB).inventory_path
        apply(path, "Done")
        compare(path, rounds, table)
    finally:
        if _LAB in lab.names():
            mailprov("lab", "down", "--name", _LAB)


def compare(path: Path, rounds: int, table: Table) -> None:
    """`path`: an inventory whose first host is as it wants it."""
    commands = {
        _EMPTY: [sys.executable, "-c", "pass"],
        _FLOOR: [sys.executable, "-c", _LIBRARIES],
        _SSH: _cold_ssh(path),
        **{name: [*MAILPROV, "plan", *more, str(path)] for name, more in _PLANS.items()},
    }
    names = list(commands)
    for each in range(rounds + 1):
        turn = each % len(names)
        for name in (*names[turn:], *names[:turn]):
            done = run(commands[name], cwd=str(ROOT))
            if name in _PLANS and "No changes" not in done.output:
                raise BenchFailed(f"bench: {name}: not without changes:\n{done.output[-2000:]}")
            if each:  # the first round fills caches
                table.add(name, done)


def lines(table: Table) -> list[str]:
    """Empty when it was not measured."""
    if _FLOOR not in table.rows:
        return []
    floor, ssh = table.rows[_FLOOR], table.rows[_SSH]
    head = [
        f"What a no-change plan of one host costs the controller, medians (least) of {len(floor)} rounds in turns:",
        "",
        "| | CPU s | above the floor, CPU s | wanted | wall s | of `ssh true` | wanted |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = []
    for name in (_EMPTY, _FLOOR, _SSH, *_PLANS):
        runs = table.rows[name]
        plan = name in _PLANS
        above = statistics.median(one.cpu - of.cpu for one, of in zip(runs, floor, strict=True))
        ratio = statistics.median(one.wall / of.wall for one, of in zip(runs, ssh, strict=True))
        hosts_alone = name == next(iter(_PLANS))  # the floor is without dnspython
        cells = [
            name.removeprefix("cpu: "),
            _seconds([one.cpu for one in runs]),
            f"{above:.3f}" if plan else "",
            f"{WANTED:.2f}" if hosts_alone else "",
            _seconds([one.wall for one in runs]),
            f"{ratio:.2f} ×" if plan else "",
            "2.00 ×" if hosts_alone else "",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return [*head, *rows, ""]


def _seconds(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f})"


def _cold_ssh(path: Path) -> list[str]:
    """The system's ssh with the key and the known hosts that the inventory names, and no file of the user."""
    read = load(path, SecretMode.IGNORE)
    with Connections(read.hosts, asks=False) as connections:
        there = connections.endpoint(read.hosts[0])
    options = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-p", str(there.port)]
    options += [part for known in there.user_known_hosts for part in ("-o", f"UserKnownHostsFile={known}")]
    options += [part for key in (there.only_key, *there.keys) if key for part in ("-i", str(key))]
    return ["ssh", *options, f"{there.user}@{there.address}", "true"]


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    measured = Table(quiet=True)
    compare(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5, measured)
    print("\n".join(lines(measured)) + f"Load average {os.getloadavg()[0]:.1f}.")
