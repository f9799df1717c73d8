"""What is disturbed: a first install, a change, a rollback; and how a host looks before and after each.

PHASES                     by name; each starts from a kept state and leads from one picture to another
write_inventories(machine) the inventories of one host: old.yml and new.yml
picture(machine)           what the managed files hold now
compare(seen, old, new)    "old", "new", or what is neither
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from tests.faults.host import Machine

PASSWORD = "a-Password-of-the-campaign-1"
MAIL_PORTS = (25, 465, 587, 110, 995, 143, 993)

# The change touches everything that both daemons read: the host's name (main.cf, dovecot.conf, the certificate and
# its paths), an account and an alias.
_INVENTORY = """\
ssh: {{user: root, identity_file: {identity}, known_hosts: {known}}}
tls: {{mode: self-signed}}
filter: none
hosts:
  {host}: {{address: {address}, fqdn: {fqdn}}}
domains:
  faults.test:
    hosts: [{host}]
    accounts:
      ana: {{password: {{file: password}}, quota: 200M}}{accounts}
    aliases: {{postmaster: ana, ventas: ana{aliases}}}
"""
LOGIN = ("ana@faults.test", PASSWORD)
# address → the mailbox it stores into; the last two exist after the change only
ROUTES = {
    "ana@faults.test": "ana@faults.test",
    "ventas@faults.test": "ana@faults.test",
    "eva@faults.test": "eva@faults.test",
    "compras@faults.test": "eva@faults.test",
}
ACCOUNTS: dict[str, set[str]] = {
    "": set(),
    "old": {"ana@faults.test"},
    "new": {"ana@faults.test", "eva@faults.test"},
}
FQDN = {"old": "mx.faults.test", "new": "mail.faults.test"}


@dataclass(frozen=True)
class Phase:
    """`command` runs with the inventory of `after`; recovery is a plain apply of the inventory of `after`."""

    name: str
    before: str  # kept state and picture it starts from; "" is pristine
    after: str
    command: str = "apply"


PHASES = {
    phase.name: phase
    for phase in (
        Phase("install", "", "old"),
        Phase("change", "old", "new"),
        Phase("rollback", "new", "old", "rollback"),
    )
}


def inventory(machine: Machine, state: str) -> Path:
    return machine.lab.directory / machine.name / f"{state}.yml"


def write_inventories(machine: Machine) -> None:
    for state in ("old", "new"):
        path = inventory(machine, state)
        path.parent.mkdir(exist_ok=True)
        path.with_name("password").write_text(PASSWORD + "\n")
        path.write_text(
            _INVENTORY.format(
                identity=machine.lab.identity_file,
                known=machine.lab.known_hosts,
                host=machine.name,
                address=machine.address,
                fqdn=FQDN[state],
                accounts="" if state == "old" else "\n      eva: {password: {file: password}}",
                aliases="" if state == "old" else ", compras: eva",
            )
        )


Picture = dict[str, str]


def managed(machine: Machine) -> list[str]:
    """The paths in the host's manifest."""
    return sorted(json.loads(machine.at("/var/lib/mailprov/manifest.json").read_text())["files"])


def picture(machine: Machine, paths: list[str]) -> Picture:
    """Each path's content as a hash, "absent", the users of the accounts' file, or that a made key is there."""
    return {path: _look(machine.at(path)) for path in paths}


def _look(path: Path) -> str:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    if path.name == "mailprov-users":  # salts differ from run to run
        return " ".join(line.partition(":")[0] for line in data.decode().splitlines())
    if path.suffix in (".crt", ".key"):  # made anew in every run
        return "made" if data.startswith(b"-----BEGIN") else "damaged"
    if path.parent.name == "dkim" and path.suffix == ".txt":  # the public half of one that was made
        return "made" if data.strip() else "damaged"
    return hashlib.sha256(data).hexdigest()


def compare(seen: Picture, old: Picture | None, new: Picture) -> tuple[set[str], list[str]]:
    """Which of "old" and "new" the differing paths show, and the paths that show neither.

    `old` is None on a host that was pristine: what packages bring there is as good as nothing.
    """
    shows: set[str] = set()
    strange = []
    for path, now in seen.items():
        if old is None and now == "made" and "/dkim/" in path:
            continue  # made for the plan, which shows its record; serves nothing by itself
        if old is None and new[path] != "absent":
            shows.add("new" if now == new[path] else "old")
        elif old is None:
            strange += [path] if now != "absent" else []
        elif old[path] == new[path]:
            strange += [path] if now != old[path] else []
        elif now in (old[path], new[path]):
            shows.add("old" if now == old[path] else "new")
        else:
            strange.append(path)
    return shows, strange
