"""200 simulated hosts: a real sshd of this machine, the real agent, a temporary root for each host.

    measure(folder, counts, rounds, table)     rows "N simulated hosts, no change", each in a process of its own

What is simulated: under a root the agent compares files, directories and accounts, but no packages, users and services
(it refuses to touch those of the machine it runs on), so these are taken out of the desired state, and the
versions that rendering needs are given. Connections, the agent, rendering and orchestration are real, and
everything but the controller itself runs on the same cores: the wall time says little, the controller's CPU and memory
say much.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from bench.hosts import DOMAIN
from bench.measure import BenchFailed, Table, run
from tests.lab.sshd import Sshd

_ROOT = Path(__file__).resolve().parent.parent
_INSTALLED = {
    "postfix": "3.7.11-0+deb12u1",
    "dovecot-core": "1:2.3.19.1+dfsg1-2.1+deb12u1",
    "postsrsd": "1.10-2",
}


def measure(folder: Path, counts: list[int], rounds: int, table: Table) -> None:
    # This machine's root has start-up files of its own (a version manager's, say), which 200 logins would wait for.
    settings = f"MaxStartups 1000\nLoginGraceTime 120\nSetEnv HOME={folder}"
    with Sshd(folder / "sshd", settings, kinds=("ed25519",)) as server:
        jobs = {count: _job(folder, count, server) for count in counts}
        for path in jobs.values():
            run(_argv(path), cwd=str(_ROOT))  # makes the hosts what they must be
        for _ in range(rounds):
            for count, path in jobs.items():
                result = run(_argv(path), cwd=str(_ROOT))
                if "No changes" not in result.output:
                    raise BenchFailed(f"bench: the simulated hosts changed again:\n{result.output[-2000:]}")
                table.add(f"{count} simulated hosts, no change: mailprov", result)


def _argv(path: Path) -> list[str]:
    return [sys.executable, "-m", "bench.fleet", str(path)]


def _job(folder: Path, count: int, server: Sshd) -> Path:
    """The inventory of `count` hosts, and where their roots are."""
    names = [f"s{number}" for number in range(1, count + 1)]
    lines = [
        f"ssh: {{user: root, identity_file: {server.identity}, host_key: '{server.fingerprint('ed25519')}'}}"
    ]
    lines += ["filter: none", "hosts:"]
    for index, name in enumerate(names):
        address = f"127.77.{index // 250}.{index % 250 + 1}"
        lines.append(f"  {name}: {{address: {address}, fqdn: {name}.{DOMAIN}, ssh: {{port: {server.port}}}}}")
    accounts = ", ".join(f"user{each}: {{password: {{env: BENCH_PASSWORD}}}}" for each in range(10))
    lines += ["domains:", f"  {DOMAIN}: {{hosts: [{', '.join(names)}], accounts: {{{accounts}}}}}"]
    inventory = folder / f"fleet-{count}.yml"
    inventory.write_text("\n".join(lines) + "\n")
    path = folder / f"fleet-{count}.json"
    path.write_text(json.dumps({"inventory": str(inventory), "roots": str(folder / f"roots-{count}")}))
    return path


def _controller(path: Path) -> int:
    """One apply, as `mailprov apply --yes --no-verify` does it, but for the roots."""
    from mailprov import desired
    from mailprov.cli.reports import Reports
    from mailprov.inventory import load
    from mailprov.run import deploy
    from mailprov.run.select import select
    from mailprov.transport.connections import Connections

    job = json.loads(path.read_text())
    roots = Path(job["roots"])
    whole = desired.build

    def build(inventory: Any, host: Any, facts: dict[str, Any], *more: Any) -> Any:
        facts["packages"] = {name: {"installed": v, "candidate": v} for name, v in _INSTALLED.items()}
        state = whole(inventory, host, facts, *more)
        mine = {"owner": "root", "group": "root"}
        return dataclasses.replace(
            state,
            packages=(), users=(), services=(), certificates=(), rendered_for=(),
            keys=tuple(dataclasses.replace(each, group="root") for each in state.keys),
            files=tuple(dataclasses.replace(each, **mine) for each in state.files),
            directories=tuple(dataclasses.replace(each, **mine) for each in state.directories),
            account_files=tuple(dataclasses.replace(each, **mine) for each in state.account_files),
        )  # fmt: skip

    def start(host: Any, asked: dict[str, Any]) -> Any:
        root = roots / host.name
        root.mkdir(parents=True, exist_ok=True)
        # An inventory has each place once; here all of them are the one sshd.
        return connections.start(dataclasses.replace(host, address="127.0.0.1"), {**asked, "root": str(root)})

    desired.build = build  # type: ignore[assignment]
    inventory = load(job["inventory"])
    reports = Reports(json=False)
    options = deploy.Options(command="apply", verify=False)
    with Connections(inventory.hosts) as connections:
        return deploy.apply(inventory, select(inventory), options, start=start, report=reports.emit)


if __name__ == "__main__":
    sys.exit(_controller(Path(sys.argv[1])))
