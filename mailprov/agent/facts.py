"""Reads what the controller needs to know before it can say what the host must be. Changes nothing.

    refuse_unsupported(tree)         AgentError unless the host has dpkg, apt and systemd (tools, not names, decide)
    facts(tree, packages) -> FACTS   the dictionary of wire.messages; packages as packages.query gives them

Raises AgentError on an unsupported system.
"""

from __future__ import annotations

import array
import os
import socket
import struct
import time
from typing import Any, Dict, List, Tuple

from mailprov.agent import commands, files, srs
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

# Bridges of container and virtual-machine managers: their addresses are nobody's way to this host.
_MOST_PARENTS = 8  # shells and sudo between sshd and this process
_INNER = ("docker", "br-", "virbr", "lxcbr", "veth", "cni", "podman")


def system(tree: files.Tree) -> Dict[str, Any]:
    """os-release(5) as {"id", "version", "name", "like"}."""
    data = files.read(tree.at("/etc/os-release"), follow=True) or b""
    if not data:
        data = files.read(tree.at("/usr/lib/os-release"), follow=True) or b""
    values: Dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            values[key.strip()] = value.strip().strip("\"'")
    identity = values.get("ID", "linux")
    version = values.get("VERSION_ID", "")
    return {
        "id": identity,
        "version": version,
        "name": values.get("PRETTY_NAME") or f"{values.get('NAME', identity)} {version}".strip(),
        "like": values.get("ID_LIKE", "").split(),
    }


def init() -> str:
    """The name of process 1: "systemd" or another."""
    if os.path.isdir("/run/systemd/system"):  # sd_booted(3)
        return "systemd"
    try:
        with open("/proc/1/comm", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def refuse_unsupported(tree: files.Tree) -> None:
    """AgentError on a host without dpkg, apt-get or systemd, or when the agent is not root."""
    if tree.root:
        return
    missing = [name for name in ("dpkg", "dpkg-query", "apt-get", "apt-cache") if not commands.have(name)]
    process = init()
    if missing or process != "systemd":
        if missing:
            what = _("this is {system} without {program}; mailprov needs Debian or Ubuntu with systemd")
        else:
            what = _("this is {system} with {init} as init; mailprov needs Debian or Ubuntu with systemd")
        raise AgentError(
            what.format(system=system(tree)["name"], program="".join(missing[:1]), init=process),
            _("use a supported system for this host"),
        )
    if os.geteuid() != 0:
        raise AgentError(
            _("the agent runs as user {uid} and needs root").format(uid=os.geteuid()),
            _("log in as root, or let the inventory's ssh user become root with sudo"),
        )


def facts(tree: files.Tree, packages: Dict[str, Any]) -> Dict[str, Any]:
    """FACTS of wire.messages."""
    # With all that they need, and only who deploys needs that.
    from mailprov.agent import doors
    from mailprov.agent.resources import dkim_keys, tls_keys

    return {
        "system": system(tree),
        "init": init(),
        "hostname": socket.gethostname(),
        "time": time.time(),
        "packages": packages,
        "ipv4": _ipv4(),
        "ipv6": _ipv6(),
        "dkim": dkim_keys.facts(tree),
        "tls": tls_keys.facts(tree),
        "srs": srs.facts(tree),
        "peer": peer(),
        **({"web": doors.facts(tree)} if doors.PACKAGE in packages else {}),
    }


def peer() -> str:
    """The address from which the SSH client came that this process was started by; "" where there is none."""
    return ssh_ends()[0]


def ssh_ends() -> Tuple[str, str]:
    """That address, and the one of this host that it came to; both "" where there is none.

    sshd writes them into SSH_CONNECTION (ssh(1)). sudo takes that out of its child's environment, not out of its own.
    """
    process = os.getpid()
    for _each in range(_MOST_PARENTS):
        try:
            with open(f"/proc/{process}/environ", "rb") as file:
                found = [each for each in file.read().split(b"\0") if each.startswith(b"SSH_CONNECTION=")]
            with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
        if found:
            words = found[0].partition(b"=")[2].decode("ascii", "replace").split()
            return (words[0], words[2]) if len(words) == 4 else ("", "")
        process = parent
    return "", ""


def _ipv4() -> List[str]:
    """Addresses of all interfaces but loopback, link-local and inner bridges (netdevice(7), SIOCGIFCONF)."""
    import fcntl

    size = 40 if struct.calcsize("P") == 8 else 32  # struct ifreq
    room = array.array("B", b"\0" * size * 1024)
    address, length = room.buffer_info()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            answer = fcntl.ioctl(sock.fileno(), 0x8912, struct.pack("iP", length, address))
    except OSError:
        return []
    used = struct.unpack("iP", answer)[0]
    found = []
    for start in range(0, used, size):
        entry = room[start : start + size].tobytes()
        name = entry[:16].split(b"\0", 1)[0].decode("ascii", "replace")
        text = socket.inet_ntop(socket.AF_INET, entry[20:24])
        if not name.startswith(_INNER) and not text.startswith(("127.", "169.254.")):
            found.append(text)
    return sorted(set(found))


def _ipv6() -> List[str]:
    """Addresses of global scope that are neither temporary, tentative nor deprecated (proc(5), if_inet6)."""
    found = []
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as file:
            for line in file:
                digits, _number, _length, scope, flags, name = line.split()
                if scope == "00" and not int(flags, 16) & 0x69 and not name.startswith(_INNER):
                    found.append(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)))
    except OSError:
        pass
    return sorted(set(found))
