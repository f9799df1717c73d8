"""What `make demo` does, step by step: lab, first apply, no change, verification; beside the bare apt-get.

    measure(folder, rounds, table)     rows "demo: …"; the lab's name is its own
    lines(table)                       the steps, each as a multiple of the bare apt-get

Every step is the command that a user gives, with the filter that hosts have by default. The bare `apt-get install` has
the same packages as the apply, from the same cache, on pristine clones of the same two hosts, on both at once.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from bench.commands import ROOT, apply, bare_install, mailprov
from bench.measure import Run, Table, run
from mailprov import desired, lab
from mailprov.inventory import SecretMode, load

_NAME = "bench-demo"
_BARE = "demo: bare apt-get, both hosts at once"
_WANTED = {
    "demo: lab up, three hosts from cache": "under 10 s",
    "demo: lab reset, three hosts": "under 5 s",
    "demo: verify": "15 s",
}


def measure(folder: Path, rounds: int, table: Table) -> None:
    """Raises BenchFailed when a step does not do what it is measured at."""
    first = ROOT / "inventories/demo.yml"
    up = ("lab", "up", str(first), "--name", _NAME)
    try:
        mailprov(*up)  # builds roots; not counted
        for _ in range(3 * rounds):
            table.add("demo: lab reset, three hosts", mailprov("lab", "reset", "--name", _NAME))
            table.add("demo: lab down", mailprov("lab", "down", "--name", _NAME))
            table.add("demo: lab up, three hosts from cache", mailprov(*up))
        here = lab.load(_NAME)
        path = here.inventory_path
        apply(path, "Done")  # fills the package cache; not counted
        for _ in range(rounds):
            mailprov("lab", "reset", "--name", _NAME)
            table.add(_BARE, _bare(here, folder))
            mailprov("lab", "reset", "--name", _NAME)
            table.add("demo: first apply", apply(path, "Done"))
            for _ in range(3):
                table.add("demo: no change", apply(path, "No changes"))
            table.add("demo: verify", mailprov("verify", str(path)))
    finally:
        if _NAME in lab.names():
            mailprov("lab", "down", "--name", _NAME)


def lines(table: Table) -> list[str]:
    """Empty when it was not measured."""
    if _BARE not in table.rows:
        return []
    rows = [
        f"| {name.removeprefix('demo: ')} | {table.wall(name):.2f} s | {table.wall(name) / table.wall(_BARE):.3f} × "
        f"| {_WANTED.get(name, '')} |"
        for name in table.rows
        if name.startswith("demo: ")
    ]
    head = [
        "| the demo's two mail hosts and its DNS host | time | of bare apt-get | wanted |",
        "|---|---|---|---|",
    ]
    return [*head, *rows, ""]


def _bare(here: lab.Lab, folder: Path) -> Run:
    """One shell that has both hosts install at once and fails when one of them fails."""
    read = load(here.inventory_path, SecretMode.IGNORE)
    script = ""
    for host in read.hosts:
        install = bare_install(desired.needed_packages(read, host))
        script += f"{shlex.join(here.ssh_argv(host.name, [install]))} & {host.name}=$!\n"
    script += "".join(f"wait ${host.name} || exit 1\n" for host in read.hosts)
    path = folder / "bare.sh"
    path.write_text(script)
    return run(["sh", str(path)])
