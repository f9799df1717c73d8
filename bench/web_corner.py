"""What the web corner and webmail cost: the time of a first apply with and without, what is fetched and stored, memory.

    measure(folder, rounds) -> lines     of Markdown

One host each of Debian 12 and 13, without the filter, whose start would be most of the time. In each round the host is
made pristine and provisioned without `web`, made pristine again and provisioned with it, and once more with webmail
besides; packages come from the same cache. Memory is the sum of proportional set sizes (PSS, proc(5)): of nginx after
it has served each of its files; with webmail of nginx and PHP, once the login page was fetched and PHP's processes for
that have gone again.
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
_WEB = "nginx-light"
_WEBMAIL = "php-fpm php-zip roundcube-core roundcube-plugins roundcube-sqlite3"
# Under a host that has the others: how many come, and how many bytes are fetched.
_FETCHED = (
    "apt-get install -y --no-install-recommends --print-uris {} | "
    "awk '/^.http/ {{n++; s += $3}} END {{print n + 0, s + 0}}'"
)
_STORED = "dpkg-query -W -f '${Package} ${Installed-Size}\\n' | awk '{s += $2} END {print s}'"
_ASK = (
    "for name in autoconfig autodiscover; do for path in mail/config-v1.1.xml autodiscover/autodiscover.xml "
    'mail.mobileconfig; do python3 -c "import ssl, sys, urllib.request as u; '
    "u.urlopen(u.Request('https://127.0.0.1/$path', headers={'Host': '$name.DOMAIN'}), "
    'context=ssl._create_unverified_context()).read()" 2>/dev/null; done; done; true'
)
_MEMORY = "cat $(pidof {} | xargs -n 1 | sed 's,.*,/proc/&/smaps_rollup,') | awk '/^Pss:/ {{s += $2}} END {{print s}}'"
_VISIT = (
    "python3 -c \"import ssl, urllib.request as u; u.urlopen(u.Request('https://127.0.0.1/', headers="
    "{'Host': 'webmail.DOMAIN'}), context=ssl._create_unverified_context()).read()\"; "
    "for each in $(seq 60); do sleep 1; pgrep -f '[p]ool webmail' >/dev/null || exit 0; done; exit 1"
)
_PHP = "$(ls /usr/sbin/php-fpm* | xargs -n 1 basename)"
_HEAD = (
    "| host | n | without, s | with, s | more, s | packages | fetched | on disk | memory at rest |",
    "|---|---|---|---|---|---|---|---|---|",
)


def measure(folder: Path, rounds: int) -> list[str]:
    path = folder / "web.yml"
    path.write_text(_inventory())
    made = lab.up(load(path, SecretMode.IGNORE), name=NAME, emit=silent)
    corner, webmail = [], []
    try:
        ways = [_only(made, way) for way in ("false", "true", "webmail")]
        for host, release in RELEASES.items():
            _first(made, host, ways[2])  # fills the package cache; not counted
            walls: list[list[float]] = []
            stored: list[int] = []
            fetched: list[list[str]] = []
            for _ in range(rounds):
                walls.append([])
                stored, fetched = [], []
                for way, packages in zip(ways, (_WEB, _WEBMAIL, ""), strict=True):
                    walls[-1].append(_first(made, host, way))
                    stored.append(int(_on(made, host, _STORED)))
                    fetched.append(_on(made, host, _FETCHED.format(packages)).split() if packages else [])
                    if way == ways[1]:
                        _on(made, host, _ASK.replace("DOMAIN", f"{host}.test"))
                        nginx = int(_on(made, host, _MEMORY.format("nginx")))
            _on(made, host, _VISIT.replace("DOMAIN", f"{host}.test"))
            both = int(_on(made, host, _MEMORY.format(f"nginx {_PHP}")))
            for lines, step, memory in ((corner, 0, nginx), (webmail, 1, both)):
                less, more = (statistics.median(each[step + part] for each in walls) for part in (0, 1))
                apart = statistics.median(each[step + 1] - each[step] for each in walls)
                count, size = fetched[step]
                lines.append(
                    f"| {release} | {rounds} | {less:.1f} | {more:.1f} | {apart:.1f} | {count} "
                    f"| {int(size) / 1e6:.1f} MB | {(stored[step + 1] - stored[step]) / 1e3:.1f} MB "
                    f"| {memory / 1024:.1f} MiB |"
                )
    finally:
        lab.down(NAME, silent)
    first = "The web corner (phase `web`), first apply of one host without the filter:"
    second = "Webmail besides (without: the web corner alone; memory: nginx and PHP):"
    return [first, "", *_HEAD, *corner, "", second, "", *_HEAD, *webmail, ""]


def _inventory() -> str:
    lines = ["filter: none", "web: true", "hosts:"]
    for number, (host, release) in enumerate(RELEASES.items(), 1):
        lines.append(
            f"  {host}: {{address: 192.0.2.{number}, fqdn: {host}.{host}.test, lab: {{release: {release}}}}}"
        )
    lines.append("domains:")
    for host in RELEASES:
        lines.append(
            f"  {host}.test: {{hosts: [{host}], webmail: roundcube, accounts: {{ana: {{password: {{env: P}}}}}}}}"
        )
    return "\n".join(lines) + "\n"


def _only(made: lab.Lab, way: str) -> Path:
    path = made.inventory_path.with_name(f"web-{way}.yml")
    text = made.inventory_path.read_text()
    if text.count("web: true") != len(RELEASES):
        raise BenchFailed(f"bench: the lab's inventory does not have `web: true` at each host:\n{text}")
    if way != "webmail":
        text = text.replace("    webmail: roundcube\n", "").replace("web: true", f"web: {way}")
    path.write_text(text)
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
