"""The lab's own network on this machine: bridge, subnet, address translation, and a fence around it.

    claim     chooses a free subnet, makes bridge and nftables table, sets the kernel to forward
    restore   makes them again for a subnet that was chosen before, where a restart of this machine took them
    release   removes them; the last lab that goes puts the kernel's settings back as they were
    links     names of the network links of this machine

Traffic: lab hosts reach each other, this machine, and (translated) the world for packages and DNS. Mail
never leaves the lab: ports 25, 465 and 587 to the outside are refused, so that a rehearsal cannot write to
real people. Labs do not reach each other. IPv6 is a ULA prefix (RFC 4193) inside the lab only.

Raises LabError.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from mailprov.errors import LabError
from mailprov.i18n import _
from mailprov.lab.mounts import Lock
from mailprov.lab.paths import RUN_ROOT, TAG_PREFIX, LabPaths
from mailprov.lab.preflight import run_tool

FIRST, LAST = IPv4Network("10.78.0.0/24"), IPv4Network("10.95.255.0/24")
# Settings of the kernel that a lab needs at least. All hosts are root's, whose 128 inotify instances are used up by
# about ten systemds; the next one ends with "Too many open files".
_KERNEL = {
    Path("/proc/sys/net/ipv4/ip_forward"): 1,
    Path("/proc/sys/fs/inotify/max_user_instances"): 8192,
}


def claim(
    paths: LabPaths,
    record: Callable[[IPv4Network, IPv6Network | None], None],
    reserved: Iterable[IPv4Network] = (),
) -> None:
    """Makes the network. `record` is called with the chosen subnets before the first thing is made.

    `reserved` are subnets of labs that are stopped: nothing on this machine shows them, perhaps.
    """
    with Lock(RUN_ROOT / "lock"):
        subnet = choose_subnet([*_networks_in_use(), *reserved])
        subnet6 = ula(paths.tag) if _has_ipv6() else None
        record(subnet, subnet6)
        _make(paths, subnet, subnet6)


def restore(paths: LabPaths, subnet: IPv4Network, subnet6: IPv6Network | None) -> None:
    """Makes the network again where it is gone, with the addresses that the lab's keys and inventory know."""
    with Lock(RUN_ROOT / "lock"):
        if paths.bridge in links():
            return
        if any(network.overlaps(subnet) for network in _networks_in_use() if network.prefixlen >= 12):
            raise LabError(
                f"lab {paths.name}",
                _("something else on this machine uses its subnet {subnet} by now").format(subnet=subnet),
                _("Take that away, or the lab (mailprov lab down), whose hosts cannot have other addresses"),
            )
        _make(paths, subnet, subnet6)


def _make(paths: LabPaths, subnet: IPv4Network, subnet6: IPv6Network | None) -> None:
    commands = [
        f"link add {paths.bridge} type bridge forward_delay 0",
        f"addr add {subnet[1]}/{subnet.prefixlen} dev {paths.bridge}",
        *([f"addr add {subnet6[1]}/{subnet6.prefixlen} dev {paths.bridge} nodad"] if subnet6 else []),
        f"link set {paths.bridge} up",
    ]
    run_tool(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n", where=f"lab {paths.name}")
    run_tool(["nft", "-f", "-"], stdin=ruleset(paths, subnet), where=f"lab {paths.name}")
    _pass_docker(paths, "-I")
    for path, least in _KERNEL.items():
        if int(was := path.read_text()) < least:
            (RUN_ROOT / path.name).write_text(was)
            path.write_text(str(least))


def release(paths: LabPaths) -> None:
    """Removes bridge, links and table, whichever are there; after the last lab also what all shared."""
    with Lock(RUN_ROOT / "lock"):
        for link in links():
            if link == paths.bridge or link.startswith(paths.link_prefix):
                try:
                    run_tool(["ip", "link", "delete", link])
                except LabError:
                    if link in links():  # a host's link goes with its host and may be faster than we are
                        raise
        _pass_docker(paths, "-D")
        if paths.table in run_tool(["nft", "list", "tables", "inet"]).split():
            run_tool(["nft", "delete", "table", "inet", paths.table])
        if any(link.startswith(TAG_PREFIX) for link in links()):
            return
        for path in _KERNEL:
            saved = RUN_ROOT / path.name
            if saved.exists():
                path.write_text(saved.read_text())
                saved.unlink()
        (RUN_ROOT / "lock").unlink()
    try:
        RUN_ROOT.rmdir()
    except OSError:  # another mailprov is beginning a lab
        pass


def links() -> list[str]:
    return [link["ifname"] for link in json.loads(run_tool(["ip", "-j", "link", "show"]) or "[]")]


def choose_subnet(in_use: list[IPv4Network]) -> IPv4Network:
    """The first /24 from 10.78.0.0 to 10.95.255.0 that touches nothing in use.

    Routes wider than /12 do not count: a default route or a company's 10.0.0.0/8 is not a use of one /24.
    """
    taken = [network for network in in_use if network.prefixlen >= 12]
    for number in range(int(FIRST.network_address), int(LAST.network_address) + 1, 256):
        candidate = IPv4Network((number, 24))
        if not any(candidate.overlaps(network) for network in taken):
            return candidate
    raise LabError(
        "lab",
        _("no free subnet from 10.78.0.0 to 10.95.255.0 on this machine"),
        _("Take a lab down, or remove a route"),
    )


def ula(tag: str) -> IPv6Network:
    """A /64 of the lab's own: fd, 40 bits from the name's hash, subnet 1 (RFC 4193 section 3.2)."""
    number = (
        (0xFD << 120) | (int.from_bytes(hashlib.sha256(tag.encode()).digest()[:5], "big") << 80) | (1 << 64)
    )
    return IPv6Network((number, 64))


def ruleset(paths: LabPaths, subnet: IPv4Network) -> str:
    """The lab's nftables table. It judges only packets to or from the lab's bridge."""
    lab = f'"{paths.bridge}"'
    return f"""table inet {paths.table} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {subnet} ip daddr != {subnet} oifname != {lab} masquerade
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname {lab} oifname {lab} accept
    oifname {lab} ct state established,related accept
    oifname {lab} reject with icmpx type admin-prohibited
    iifname != {lab} accept
    tcp dport {{ 25, 465, 587 }} reject with icmpx type admin-prohibited
    ip daddr {FIRST[0]}-{LAST[-1]} reject with icmpx type admin-prohibited
    meta nfproto ipv6 reject with icmpx type no-route
  }}
}}
"""


def _pass_docker(paths: LabPaths, action: str) -> None:
    """Inserts (-I) or deletes (-D) rules that let the lab's packets pass where Docker is.

    Docker drops all forwarded packets it does not know; DOCKER-USER is its documented place for exceptions,
    to be used through iptables. Elsewhere there is no such chain, and nothing is done.
    """
    for side in ("-i", "-o"):
        rule = ["iptables", "-w", action, "DOCKER-USER", side, paths.bridge, "-j", "ACCEPT"]
        try:
            run_tool(rule)
        except LabError:  # no iptables, no such chain, or no such rule
            return


def _networks_in_use() -> list[IPv4Network]:
    found = []
    for route in json.loads(run_tool(["ip", "-j", "-4", "route", "show", "table", "all"]) or "[]"):
        if route["dst"] != "default":
            network = ip_network(route["dst"], strict=False)
            if isinstance(network, IPv4Network):
                found.append(network)
    return found


def _has_ipv6() -> bool:
    disabled = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    return disabled.exists() and disabled.read_text().strip() == "0"
