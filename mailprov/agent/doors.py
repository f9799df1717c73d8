"""Who listens on the ports of the web already, or will from the next boot on, and is not mailprov's own nginx.

    facts(tree) -> {"taken": {port: program}, "boots": [unit]}     both empty where nginx is ours

Two servers cannot share a port, so mailprov sets up none where one of somebody else is. The program is the name of the
process (proc(5), comm). certbot is none of them: with --standalone it listens for the moment of a renewal. Ours is
nginx where our drop-in is in the manifest, or where an apply that was killed holds it back still. Reads only.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Set

from mailprov.agent import files, manifest
from mailprov.agent.apt import installation

PACKAGE = "nginx-light"  # where the state asks for it, this is looked at
PORTS = (80, 443)
_DROP_IN = "/etc/systemd/system/nginx.service.d/mailprov.conf"  # as components/web writes it
_SERVERS = ("nginx.service", "apache2.service", "caddy.service", "lighttpd.service")
_BOOT = "/etc/systemd/system/multi-user.target.wants/"
_PASSING = ("certbot",)


def facts(tree: files.Tree) -> Dict[str, Any]:
    if _DROP_IN in manifest.load(tree).files or installation.is_held(tree, "nginx.service"):
        return {"taken": {}, "boots": []}
    taken = _taken()
    boots = [unit for unit in _SERVERS if os.path.lexists(tree.at(_BOOT + unit))]
    return {"taken": taken, "boots": boots}


def _taken() -> Dict[str, str]:
    sockets = _listening()
    found = {str(port): "" for port in sockets.values()}
    for name, inode in _owners(set(sockets)):
        port = str(sockets[inode])
        if name in _PASSING:
            found.pop(port, None)
        elif port in found and not found[port]:
            found[port] = name
    return found


def _listening() -> Dict[str, int]:
    """Inode of a socket in state LISTEN (0A) → its port."""
    found = {}
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path, encoding="ascii") as file:
                next(file, None)
                for line in file:
                    words = line.split()
                    port = int(words[1].rpartition(":")[2], 16)
                    if words[3] == "0A" and port in PORTS:
                        found[words[9]] = port
        except OSError:
            continue
    return found


def _owners(inodes: Set[str]) -> Iterator[List[str]]:
    """[name of a process, inode] of these sockets; processes that end meanwhile are passed over."""
    for process in filter(str.isdigit, os.listdir("/proc")) if inodes else ():
        try:
            with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
                name = file.read().strip()
            for number in os.listdir(f"/proc/{process}/fd"):
                target = os.readlink(f"/proc/{process}/fd/{number}")
                if target.startswith("socket:[") and target[8:-1] in inodes:
                    yield [name, target[8:-1]]
        except OSError:
            continue
