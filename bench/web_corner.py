"""What the web corner costs: the time of a first apply with and without it, what is fetched and stored, memory at rest.

    measure(folder, rounds) -> lines     of Markdown

One host each of Debian 12 and 13, without the filter, whose start would be most of the time. In each round the host is
made pristine and provisioned without `web`, made pristine again and provisioned with it; packages come from the same
cache. Memory is the sum of nginx's proportional set sizes (PSS, proc(5)) after it has served each of its files.
Raises BenchFailed.
"""

from __future__ import annotations

import statistics
import subprocess
from pathlib import Path

from bench.commands import apply, mailprov
from bench.measure import BenchFailed
from mailprov import lab
from mailprov.inventory import SecretMode, load
from tests.lab.labs import silent

NAME = "bench-web"
RELEASES = {"mx1": "debian-12", "mx2": "debian-13"}
_FETCHED = (
    "apt-get install -y --no-install-recommends --print-uris nginx-light | "
    "awk '/^.http/ {n++; s += $3} END {print n, s}'"
)
_STORED = "dpkg-query -W -f '${Package} ${Installed-Size}\\n' | awk '{s += $2} END {print s}'"
_ASK = (
    "for name in autoconfig autodiscover; do for path in mail/config-v1.1.xml autodiscover/autodiscover.xml "
    'mail.mobileconfig; do python3 -c "import ssl, sys, urllib.request as u; '
    "u.urlopen(u.Request('https://127.0.0.1/$path', headers={'Host': '$name.DOMAIN'}), "
    'context=ssl._create_unverified_context()).read()" 2>/dev/null; done; done; true'
)
_MEMORY = "cat $(pidof nginx | xargs -n 1 | sed 's,.*,/proc/&/smaps_rollup,') | awk '/^Pss:/ {s += $2} END {print s}'"


def measure(folder: Path, rounds: int) -> list[str]:
    path = folder / "web.yml"
    path.write_text(_inventory())
    made = lab.up(load(path, SecretMode.IGNORE), name=NAME, emit=silent)
    lines = [
        "The web corner (phase `web`), first apply of one host without the filter:",
        "",
        "| host | n | without, s | with, s | more, s | packages | fetched | on disk | memory at rest |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    try:
        ways = {way: _only(made, way) for way in ("false", "true")}
        for host, release in RELEASES.items():
            _first(made, host, ways["true"])  # fills the package cache; not counted
            seen: list[tuple[float, float]] = []
            for _ in range(rounds):
                without = _first(made, host, ways["false"])
                count, size = _on(made, host, _FETCHED).split()
                before = int(_on(made, host, _STORED))
                seen.append((without, _first(made, host, ways["true"])))
                stored = int(_on(made, host, _STORED)) - before
            _on(made, host, _ASK.replace("DOMAIN", f"{host}.test"))
            memory = int(_on(made, host, _MEMORY))
            less, more = (statistics.median(each) for each in zip(*seen, strict=True))
            apart = statistics.median(after - before for before, after in seen)
            lines.append(
                f"| {release} | {rounds} | {less:.1f} | {more:.1f} | {apart:.1f} | {count} | {int(size) / 1e6:.1f} MB "
                f"| {stored / 1e3:.1f} MB | {memory / 1024:.1f} MiB |"
            )
    finally:
        lab.down(NAME, silent)
    return [*lines, ""]


def _inventory() -> str:
    lines = ["filter: none", "web: true", "hosts:"]
    for number, (host, release) in enumerate(RELEASES.items(), 1):
        lines.append(
            f"  {host}: {{address: 192.0.2.{number}, fqdn: {host}.{host}.test, lab: {{release: {release}}}}}"
        )
    lines.append("domains:")
    for host in RELEASES:
        lines.append(f"  {host}.test: {{hosts: [{host}], accounts: {{ana: {{password: {{env: P}}}}}}}}")
    return "\n".join(lines) + "\n"


def _only(made: lab.Lab, way: str) -> Path:
    path = made.inventory_path.with_name(f"web-{way}.yml")
    text = made.inventory_path.read_text()
    if text.count("web: true") != len(RELEASES):
        raise BenchFailed(f"bench: the lab's inventory does not have `web: true` at each host:\n{text}")
    path.write_text(text.replace("web: true", f"web: {way}"))
    return path


def _first(made: lab.Lab, host: str, path: Path) -> float:
    mailprov("lab", "reset", "--name", NAME, "--host", host)
    return apply(path, "Done", "--host", host, "--only", "hosts").wall


def _on(made: lab.Lab, host: str, command: str) -> str:
    done = subprocess.run(
        made.ssh_argv(host, [command]), capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise BenchFailed(f"bench: the web corner, on {host}: {done.stderr.strip()[-2000:]}")
    return done.stdout
