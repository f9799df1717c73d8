"""Hosts and zones as an earlier release left them, for tests of what takes them over.

    FIXTURE                    the folder hosts_of_0_1_0, whose README says what is in it
    boot(name) -> Lab          hosts with the packages that were there, not more
    lay(lab)                   makes them and the lab's zones what 0.1.0 left; again: as if nothing had happened since
    inventory(lab) -> Path     the inventory that they were provisioned with, for this lab
    ADDRESSES                  of each host in the fixture

A lab chooses its own addresses. The fixture's are told apart by being those of RFC 5737, and are replaced where they
occur: in the zones, in the images of zones that the journal keeps, and in the digests that stand for them in the zone's
marker. Owners go by name, so hosts may give their users other numbers. The keys and passwords are in the fixture.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mailprov import lab
from mailprov.inventory import SecretMode, load
from mailprov.lab.nameserver import zone_file
from mailprov.lab.paths import paths
from mailprov.lab.state import LabState
from mailprov.lab.state import load as load_state
from tests.lab.labs import run_on, silent

FIXTURE = Path(__file__).parent / "hosts_of_0_1_0"
ADDRESSES = {"mx1": "192.0.2.11", "mx2": "192.0.2.12", "mx3": "192.0.2.13", "mx4": "192.0.2.14"}
_NAME_SERVER = "192.0.2.53"
_FACTS = json.loads((FIXTURE / "facts.json").read_text())
_LOG = re.compile(r"var/lib/mailprov/runs/[^/]+/log")
# As 0.1.0 makes this user (agent/resources/users.py), unless it is there.
_USER = (
    "id vmail >/dev/null 2>&1 || useradd --system --home-dir /var/vmail --no-create-home "
    "--shell /usr/sbin/nologin --comment 'virtual mailboxes' vmail"
)
_CONFIGURED = "find /etc -xdev -type f -exec sha256sum {} + | sort"
# Nothing here goes wrong in silence: a daemon that does not start fails the command.
_START = """
systemctl daemon-reload
for unit in opendkim rspamd postsrsd dovecot postfix fail2ban mailprov-firewall; do
  [ "$(systemctl show -p LoadState --value $unit)" = not-found ] || systemctl restart $unit || exit 1
done
# Rspamd is ready long after it is started.
systemctl -q is-active rspamd || exit 0
for try in $(seq 3000); do ! ss -Hltn sport = :11332 | grep -q . || exit 0; sleep 0.1; done
echo 'Rspamd does not listen' >&2; exit 1
"""


def boot(name: str) -> lab.Lab:
    """A lab of the fixture's hosts, which have the packages that they had: what a later release needs besides shows
    in its plan."""
    read = load(FIXTURE / "inventory.yml", SecretMode.IGNORE)
    return lab.up(
        read, name=name, packages={host: facts["packages"] for host, facts in _FACTS.items()}, emit=silent
    )


def inventory(where: lab.Lab) -> Path:
    """Beside the lab's own, with the lab's addresses; its secrets and keys are found there."""
    path = where.directory / "of-0-1-0.yml"
    text = (FIXTURE / "inventory.yml").read_text().replace(_NAME_SERVER, where.dns.address)
    path.write_text(_of_this_lab(where, text))
    return path


def lay(where: lab.Lab) -> None:
    for account in re.findall(r"secrets/(\S+@[a-z.]+)", (FIXTURE / "inventory.yml").read_text()):
        (where.directory / "secrets" / account).write_text(f"{account} of 0.1.0\n")
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(_lay_zones, where), *(pool.submit(_lay_host, where, host) for host in ADDRESSES)]
        for job in jobs:
            job.result()


def _lay_host(where: lab.Lab, host: str) -> None:
    before = run_on(where, host, _CONFIGURED)
    run_on(where, host, f"{_USER}; rm -rf /var/lib/mailprov")
    _send(where, host, "tar -C / -xp", _archive(where, host))
    if run_on(where, host, _CONFIGURED) != before:
        _send(where, host, _START, b"")


def _lay_zones(where: lab.Lab) -> None:
    """BIND has its zones in files that it writes itself, so it is down meanwhile. A zone that the lab would have and
    the fixture has not is part of its parent: the lab makes one for each domain."""
    state = load_state(paths(where.name))
    assert state is not None
    parts = re.split(r"(?m)^; zone (.*)\n", (FIXTURE / "zones.txt").read_text())[1:]
    zones = dict(zip(parts[::2], parts[1::2], strict=True))
    commands = ["systemctl stop named"]
    for zone in where.zones:
        if zone not in zones:
            commands.append(f"sed -i '/^zone \"{zone}\"/d' /etc/bind/named.conf")
    run_on(where, where.dns.name, " && ".join([*commands, "rm -f /var/lib/bind/lab/*.jnl"]))
    for zone, records in zones.items():
        text = _zone(where, state, zone, records)
        _send(where, where.dns.name, f"cat >/var/lib/bind/lab/{zone}", text.encode())
    run_on(where, where.dns.name, "systemctl start named")


def _zone(where: lab.Lab, state: LabState, zone: str, records: str) -> str:
    return zone_file(zone, state) + _of_this_lab(where, records)


def _send(where: lab.Lab, host: str, command: str, data: bytes) -> None:
    argv = where.ssh_argv(host, [command])
    done = subprocess.run(argv, input=data, capture_output=True, check=False, timeout=600)
    assert done.returncode == 0, f"{host}: {command}: {done.stderr.decode()}"


def _archive(where: lab.Lab, host: str) -> bytes:
    """What the fixture has of this host, as a tar, with this lab's addresses and this host's numbers."""
    made = io.BytesIO()
    numbers = {word: _numbers(where, host, kind) for word, kind in (("uid", "passwd"), ("gid", "group"))}
    with (
        tarfile.open(FIXTURE / f"{host}.tar.gz") as archive,
        tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as copy,
    ):
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            data = content.read() if content is not None else b""
            if _LOG.fullmatch(member.name):
                data = _journal(where, data.decode("ascii"), numbers).encode("ascii")
                member.size = len(data)
            copy.addfile(member, io.BytesIO(data))
    return made.getvalue()


def _journal(where: lab.Lab, text: str, numbers: dict[str, dict[str, str]]) -> str:
    for word, known in numbers.items():
        text = re.sub(
            f'"{word}": (\\d+)', lambda match, word=word, known=known: f'"{word}": {known[match[1]]}', text
        )
    return _of_this_lab(where, text)


def _numbers(where: lab.Lab, host: str, kind: str) -> dict[str, str]:
    """Number in the fixture → number on this host."""
    told = run_on(where, host, f"getent {kind}").splitlines()
    here = {fields[0]: fields[2] for line in told if (fields := line.split(":"))}
    return {number: here[name] for number, name in _FACTS[host][kind].items()}


def _of_this_lab(where: lab.Lab, text: str) -> str:
    for host, address in ADDRESSES.items():
        own = where.host(host).address
        text = text.replace(_digest(address), _digest(own))
        text = re.sub(re.escape(address) + r"\b", own, text)
    return text


def _digest(address: str) -> str:
    """What stands for an A record in 0.1.0's marker."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"A {address}".encode()).digest()[:9]).decode("ascii")
