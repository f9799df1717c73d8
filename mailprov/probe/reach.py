"""Where any connection of a run may lead, for whoever relays it: other targets are refused there.

Public: targets. Raises nothing.
"""

from __future__ import annotations

import contextlib
import ipaddress

from mailprov.model import mta_sts
from mailprov.probe.checks.stray_ports import STRAY
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.context import Run
from mailprov.probe.registry import ALL_PORTS

_WEB = (80, 443)
_SSH = 22


def targets(run: Run) -> tuple[list[str], list[int], list[str]]:
    """Where any connection of this run may lead: addresses, ports; and which addresses are those of the host that is
    looked from. The hosts', and for policies those of the names that have them, where these are public.
    """
    addresses = dict.fromkeys(each for found in run.addresses.values() for each in found)
    direct = run.addresses.get(run.way.name, ()) if run.way.name else ()
    if run.way.name:
        for domain in run.inventory.domains:
            for name in (domain.name, *domain.domain_aliases):
                with contextlib.suppress(ProbeError):
                    found = run.resolver.addresses(mta_sts.host(name))
                    addresses.update((each, None) for each in found if ipaddress.ip_address(each).is_global)
    ports = {*ALL_PORTS, *STRAY, *_WEB, *(host.ssh.port or _SSH for host in run.inventory.hosts)}
    return [*addresses], sorted({*ports, *run.port_map.values()}), [*direct]
