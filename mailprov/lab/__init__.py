"""Throw-away labs on this machine: one real systemd host per inventory host, DNS, CA, keys.

    up, down, reset, status, names, load, ssh_argv    see `life`
    Lab, LabMember, LabStatus, HostStatus             see `facts`

Needs root on Linux. Raises LabError, InputError, Interrupted.
"""

from mailprov.lab.facts import HostStatus, Lab, LabMember, LabStatus
from mailprov.lab.life import down, load, names, reset, ssh_argv, status, up

__all__ = [
    "HostStatus",
    "Lab",
    "LabMember",
    "LabStatus",
    "down",
    "load",
    "names",
    "reset",
    "ssh_argv",
    "status",
    "up",
]
