"""Throw-away labs on this machine: one real systemd host per inventory host, DNS, CA, keys.

    up, stop, start, reset, down, status, names, load, ssh_argv    see `life`
    cache                                             what labs leave for the next one
    passwords                                         of one's own choice
    Lab, LabMember, LabStatus, HostStatus             see `facts`

Needs root on Linux. Raises LabError, InputError, Interrupted.
"""

from mailprov.lab import cache, passwords
from mailprov.lab.booting import names
from mailprov.lab.facts import HostStatus, Lab, LabMember, LabStatus
from mailprov.lab.lifecycle import down, load, reset, ssh_argv, start, status, stop, up

__all__ = [
    "HostStatus",
    "Lab",
    "LabMember",
    "LabStatus",
    "cache",
    "down",
    "load",
    "names",
    "passwords",
    "reset",
    "ssh_argv",
    "start",
    "status",
    "stop",
    "up",
]
