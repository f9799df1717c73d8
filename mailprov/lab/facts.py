"""What others may know of a lab: addresses, paths, how to log in, and how it is doing.

Lab, LabMember          a lab that is up
LabStatus, HostStatus   how it is doing now; str() is for people
lab_of, status_of       made from the state
disk_usage, size        bytes on the disk of a tree, and in words
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mailprov.errors import InputError
from mailprov.i18n import _, ngettext
from mailprov.lab import client
from mailprov.lab.hosts import boot_of
from mailprov.lab.paths import LabPaths, cache_root
from mailprov.lab.state import LabState
from mailprov.model.values import dataclass


@dataclass(frozen=True)
class LabMember:
    """One host of a lab, the DNS host included. `address6` is "" where the lab has no IPv6."""

    name: str
    fqdn: str
    release: str
    address: str
    address6: str


@dataclass(frozen=True)
class Lab:
    """A lab that is up. `hosts` are the inventory's; `dns` is the lab's own name server."""

    name: str
    directory: Path
    inventory_path: Path
    subnet: str
    subnet6: str
    hosts: tuple[LabMember, ...]
    dns: LabMember
    zones: tuple[str, ...]
    identity_file: Path
    known_hosts: Path
    ca_file: Path

    def host(self, name: str) -> LabMember:
        """The host of this name. Raises InputError that names those there are."""
        for member in (*self.hosts, self.dns):
            if member.name == name:
                return member
        have = ", ".join(member.name for member in (*self.hosts, self.dns))
        raise InputError(
            f"lab {self.name}",
            _("it has no host {name}").format(name=name),
            _("Its hosts are {names}").format(names=have),
        )

    def ssh_argv(self, host: str, command: Sequence[str] = ()) -> list[str]:
        """Arguments of ssh: root on `host`, the lab's key, the pinned host key, no user settings."""
        return [
            "ssh", "-F", "none", "-i", str(self.identity_file),
            "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
            "-o", f"UserKnownHostsFile={_quote(self.known_hosts)}", "-o", "GlobalKnownHostsFile=none",
            f"root@{self.host(host).address}", *(["--", *command] if command else []),
        ]  # fmt: skip


@dataclass(frozen=True)
class HostStatus:
    """`state` is up, booting or down; `uptime` is in seconds or None; `boots` counts from the last reset."""

    name: str
    fqdn: str
    release: str
    address: str
    state: str
    uptime: float | None
    boots: int


@dataclass(frozen=True)
class LabStatus:
    name: str
    since: str
    phase: str  # up, starting, stopped
    subnet: str
    inventory_path: Path
    hosts: tuple[HostStatus, ...]
    dns: HostStatus
    zones: tuple[str, ...]
    ca_file: Path
    cache: Path
    client: tuple[str, ...]  # settings for a mail client, one line each

    def __str__(self) -> str:
        rows = [
            (host.name, host.fqdn, host.address, host.release, host.state, _span(host.uptime))
            for host in self.hosts
        ]
        rows.append(
            (
                self.dns.name,
                "DNS",
                self.dns.address,
                ngettext("{count} zone", "{count} zones", len(self.zones)).format(count=len(self.zones)),
                self.dns.state,
                _span(self.dns.uptime),
            )
        )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = [
            "  " + "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        off = sum(host.state == "down" for host in (*self.hosts, self.dns))
        form = ngettext("{count} off; boot as left: {command}", "{count} off; boot as left: {command}", off)
        start = form.format(count=off, command=f"mailprov lab start --name {self.name}")
        head = _("Lab {name}: {phase} since {date}, subnet {subnet}")
        settings = _("Settings for a mail client on this machine (let it trust the CA above):")
        cache = _("{path} (its size: {command})").format(path=self.cache, command="mailprov lab cache")
        names = [
            (_("inventory"), self.inventory_path),
            (_("CA"), self.ca_file),
            (_("passwords"), self.inventory_path.parent / "secrets"),
            (_("cache"), cache),
        ]
        width = max(len(name) for name, value in names)
        return "\n".join(
            [
                head.format(name=self.name, phase=self.phase, date=self.since, subnet=self.subnet),
                *table,
                *([f"  {start}"] if off else []),
                *(f"  {name.ljust(width)}  {value}" for name, value in names),
                f"  {settings}",
                *(f"    {line}" for line in self.client),
            ]
        )


def lab_of(paths: LabPaths, state: LabState) -> Lab:
    members = [LabMember(h.name, h.fqdn, h.release, h.address, h.address6) for h in state.all_hosts]
    return Lab(
        name=state.name, directory=paths.directory, inventory_path=paths.inventory, subnet=state.subnet,
        subnet6=state.subnet6, hosts=tuple(members[1:]), dns=members[0], zones=state.zones,
        identity_file=paths.identity, known_hosts=paths.known_hosts, ca_file=paths.ca,
    )  # fmt: skip


def status_of(paths: LabPaths, state: LabState) -> LabStatus:
    hosts = []
    for host in state.all_hosts:
        boot = boot_of(paths, host.name)
        word = "down" if boot is None else "up" if boot.ready else "booting"
        hosts.append(
            HostStatus(
                host.name, host.fqdn, host.release, host.address, word,
                uptime=boot.uptime if boot else None, boots=boot.count if boot else 0,
            )
        )  # fmt: skip
    return LabStatus(
        name=state.name, since=state.since, phase=state.phase, subnet=state.subnet,
        inventory_path=paths.inventory, hosts=tuple(hosts[1:]), dns=hosts[0],
        zones=state.zones, ca_file=paths.ca,
        cache=cache_root(),
        client=tuple(client.settings(paths.inventory)) if paths.inventory.is_file() else (),
    )  # fmt: skip


def disk_usage(directory: Path) -> int:
    """Bytes on disk of a tree; what cannot be read counts nothing."""
    total = 0
    for parent, __, files in os.walk(directory, onerror=lambda error: None):
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except OSError:
                continue
    return total


def size(count: int) -> str:
    """5.4 GiB, 310 MiB, 0 MiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _quote(path: Path) -> str:
    """ssh_config(5): several file names may follow an option, so one with blanks is quoted."""
    return f'"{path}"' if " " in str(path) else str(path)
