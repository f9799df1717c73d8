"""The bench's hosts: eight alike and one that is made pristine again, all Debian 12, in a lab of their own.

LAB, NAMES, FRESH
Hosts()             up, down, reset_fresh, ssh; inventory(names, …) writes one for mailprov
Hosts.far(…)        with …: the first host behind a proxy that delays each way
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure import BenchFailed
from mailprov import lab
from mailprov.components.dovecot.passwd import MAIL_ROOT
from mailprov.inventory import SecretMode, load
from mailprov.model.events import Event
from tests.lab.delayproxy import DelayProxy

LAB = "bench"
NAMES = tuple(f"h{number}" for number in range(1, 9))
FRESH = "fresh"
QUOTA = ", quota: 200M"  # of each account
DOMAIN = "alpha.test"


def _silent(event: Event) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Place:
    """Where a tool finds a host: through a proxy or not."""

    name: str
    address: str
    port: int
    known_hosts: Path


class Hosts:
    """`folder` holds what the bench writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lab: lab.Lab | None = None

    def up(self) -> None:
        lines = ["filter: none", "hosts:"]
        for index, name in enumerate((*NAMES, FRESH)):
            lines.append(
                f"  {name}: {{address: 192.0.2.{index + 1}, fqdn: {name}.{DOMAIN}, lab: {{release: debian-12}}}}"
            )
        lines += ["domains:", f"  {DOMAIN}: {{hosts: [h1], accounts: {{ana: {{password: {{env: NONE}}}}}}}}"]
        path = self.folder / "lab.yml"
        path.write_text("\n".join(lines) + "\n")
        self.lab = lab.up(load(path, SecretMode.IGNORE), name=LAB, emit=_silent)

    def down(self) -> None:
        if LAB in lab.names():
            lab.down(LAB, _silent)

    def reset_fresh(self) -> None:
        lab.reset(LAB, [FRESH], _silent)

    @property
    def directory(self) -> Path:
        return lab.load(LAB).directory

    @property
    def identity(self) -> Path:
        return self.directory / "id_ed25519"

    def near(self, name: str) -> Place:
        return Place(name, lab.load(LAB).host(name).address, 22, self.directory / "known_hosts")

    @contextlib.contextmanager
    def far(self, name: str, round_trip: float) -> Iterator[Place]:
        """The host at 127.0.0.1, `round_trip` seconds away."""
        near = self.near(name)
        with DelayProxy(near.address, 22, round_trip / 2) as proxy:
            key = next(
                line.split(maxsplit=1)[1]
                for line in near.known_hosts.read_text().splitlines()
                if near.address in line.split()[0].split(",")
            )
            known = self.folder / f"known_hosts-{proxy.port}"
            known.write_text(f"[127.0.0.1]:{proxy.port} {key}\n")
            yield Place(name, "127.0.0.1", proxy.port, known)

    def ssh_argv(self, place: Place, command: str) -> list[str]:
        """A cold ssh of the system: no file of the user, no shared connection."""
        options = ["-F", "none", "-i", str(self.identity), "-o", f"UserKnownHostsFile={place.known_hosts}"]
        options += ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-p", str(place.port)]
        return ["ssh", *options, f"root@{place.address}", command]

    def on(self, name: str, command: str) -> str:
        """Standard output of a command on a host."""
        argv = self.ssh_argv(self.near(name), command)
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchFailed(f"bench: `{command}` on {name}: {done.stderr}")
        return done.stdout

    def maildir(self, domain: str, user: str) -> str:
        """Where mailprov's hosts keep an account's mail."""
        return f"{MAIL_ROOT}/{domain}/{user}/Maildir"

    def inventory(self, label: str, places: list[Place], domains: str) -> Path:
        """An inventory of these hosts; `domains` is YAML, indented by two."""
        lines = [
            f"ssh: {{user: root, identity_file: {self.identity}, known_hosts: {places[0].known_hosts}}}",
            "filter: none",  # what is measured elsewhere; `load` changes it
            "hosts:",
        ]
        for place in places:
            tls = f"certificate: {self.directory}/tls/{place.name}.pem, key: {self.directory}/tls/{place.name}.key"
            lines.append(
                f"  {place.name}: {{address: {place.address}, fqdn: {place.name}.{DOMAIN}, "
                f"ssh: {{port: {place.port}}}, tls: {{mode: files, {tls}}}}}"
            )
        path = self.folder / f"{label}.yml"
        path.write_text("\n".join([*lines, "domains:", domains]))
        return path


def small_domain(hosts: list[str], alias: bool, accounts: int = 10) -> str:
    """The domain of the comparison: a few accounts, and an alias that comes and goes."""
    return many_domains(hosts, 1, accounts).replace(
        "aliases: {postmaster: user0", "aliases: {postmaster: user0" + (", info: user1" if alias else "")
    )


def many_domains(hosts: list[str], domains: int, accounts: int) -> str:
    """`domains` domains with `accounts` accounts each; the first is DOMAIN."""
    text = []
    for number in range(domains):
        name = DOMAIN if number == 0 else f"d{number}.{DOMAIN}"
        text.append(
            f"  {name}:\n    hosts: [{', '.join(hosts)}]\n    aliases: {{postmaster: user0}}\n    accounts:\n"
        )
        text += [
            f"      user{each}: {{password: {{env: BENCH_PASSWORD}}{QUOTA}}}\n" for each in range(accounts)
        ]
    return "".join(text)
