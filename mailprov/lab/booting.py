"""A lab that is there: its state, its hosts by name, and how they are booted on its network.

known(where) -> LabState            raises LabError where there is none, or none that can be read
hosts_of(state, names) -> [LabHost]   all without names; raises InputError that names those there are
boot(where, state, hosts, emit)     hosts that are down; notes that the lab is up
wait_for_dns(state)                 until the DNS host answers
names() -> [str]                    labs on this machine
now() -> str                        ISO 8601, with zone
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from ipaddress import IPv4Network, IPv6Network

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from mailprov.errors import InputError, LabError
from mailprov.i18n import _
from mailprov.lab import acme_server, network, private
from mailprov.lab.hosts import start_host, wait_for
from mailprov.lab.paths import LabPaths, state_root
from mailprov.lab.state import LabHost, LabState, save
from mailprov.lab.state import load as load_state
from mailprov.model.events import Emit


def known(where: LabPaths) -> LabState:
    state = load_state(where)
    if state is not None:
        return state
    try:
        there = where.directory.exists()
        if there:
            os.listdir(where.directory)
    except PermissionError:
        raise private.refusal() from None
    if there:
        raise LabError(
            f"lab {where.name}",
            _("its state cannot be read"),
            _("Remove it: mailprov lab down --name {name}").format(name=where.name),
        )
    have = names()
    raise LabError(
        f"lab {where.name}",
        _("there is no such lab"),
        _("There is {names}").format(names=", ".join(have)) if have else _("No lab is up"),
    )


def hosts_of(state: LabState, names: Sequence[str]) -> list[LabHost]:
    """The hosts of these names, or all. Raises InputError that names those there are."""
    unknown = sorted(set(names) - {host.name for host in state.all_hosts})
    if unknown:
        has = ", ".join(host.name for host in state.all_hosts)
        raise InputError(
            f"lab {state.name}",
            _("it has no host {names}").format(names=", ".join(unknown)),
            _("Its hosts are {names}").format(names=has),
        )
    return [host for host in state.all_hosts if not names or host.name in names]


def boot(where: LabPaths, state: LabState, hosts: Sequence[LabHost], emit: Emit) -> None:
    """Boots hosts that are down, on the lab's network, and notes that the lab runs."""
    if not hosts:
        return
    second = IPv6Network(state.subnet6) if state.subnet6 else None
    network.restore(where, IPv4Network(state.subnet), second)
    for host in hosts:
        start_host(where, state, host)
    wait_for(where, hosts, emit)
    if state.dns in hosts:
        wait_for_dns(state)
        acme_server.trust(where, state)
    if state.phase != "up":
        save(where, dataclasses.replace(state, phase="up", since=now()))


def wait_for_dns(state: LabState, timeout: float = 15) -> None:
    deadline = time.monotonic() + timeout
    query = dns.message.make_query(state.zones[0], dns.rdatatype.SOA)
    while True:
        try:
            if dns.query.udp(query, state.dns.address, timeout=0.5).answer:
                return
        except (dns.exception.DNSException, OSError):
            pass
        if time.monotonic() > deadline:
            raise LabError(
                state.dns.name, _("its DNS server does not answer for {zone}").format(zone=state.zones[0])
            )
        time.sleep(0.03)


def now() -> str:
    return datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")


def names() -> list[str]:
    """Labs on this machine, also those that are half up or damaged."""
    private.close_off()
    root = state_root()
    try:
        return sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    except PermissionError:
        raise private.refusal() from None
