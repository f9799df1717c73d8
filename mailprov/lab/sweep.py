"""Taking a lab away, whatever state it is in.

    sweep     ends and removes everything of a lab; safe to call on nothing, on half a lab, and twice
    traces    what of a lab is on this machine, in words; empty when nothing is

Nothing here trusts the state file: processes are found by control group (and supervisors that have not
entered theirs yet by their command line), mounts by mountinfo, links and tables by name. Raises LabError.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from mailprov.lab import cgroups, hosts, network, supervise
from mailprov.lab.machine import run_tool
from mailprov.lab.mounts import delete_tree, mounts_below
from mailprov.lab.place import Place

_SUPERVISOR = ".supervisor"


def sweep(place: Place) -> None:
    """Ends and removes everything of the lab. The caches stay. The caller holds the lab's lock."""
    while newborn := _supervisors(place):
        for pid in newborn:
            cgroups.kill(pid)
        time.sleep(0.02)
    hosts.stop_hosts(place, sorted(_hosts_found(place)))
    cgroups.kill_members(place.cgroup)
    cgroups.remove(place.cgroup)
    for machine in _machines_left(place):
        hosts.remove_traces(machine)
    delete_tree(place.run)
    delete_tree(place.directory)
    try:
        place.directory.parent.rmdir()
    except OSError:  # other labs, or none has ever been there
        pass
    network.release(place)


def traces(place: Place) -> list[str]:
    """What there is of the lab: processes, mounts, links, table, directories."""
    found = [f"process {pid}" for pid in sorted(cgroups.members(place.cgroup) | _supervisors(place))]
    found += [f"mount {point}" for point in mounts_below(place.directory)]
    found += [f"control group {name}" for name in sorted(cgroups.groups(place.cgroup))]
    found += [f"link {n}" for n in network.links() if n == place.bridge or n.startswith(place.link_prefix)]
    if place.table in run_tool(["nft", "list", "tables", "inet"]).split():
        found.append(f"nftables table {place.table}")
    found += [f"directory {path}" for path in (place.directory, place.run) if path.exists()]
    return found


def _hosts_found(place: Place) -> set[tuple[str, int]]:
    """(name, index) of all hosts that have a control group or a directory; index 0: unknown."""
    names = {name.removesuffix(_SUPERVISOR) for name in cgroups.groups(place.cgroup)}
    if (place.directory / "hosts").is_dir():
        names |= {path.name for path in (place.directory / "hosts").iterdir()}
    return {(name, 0) for name in names}


def _supervisors(place: Place) -> set[int]:
    """Supervisors of this lab by command line: one just started is in no control group yet."""
    directory = os.fsencode(place.directory) + b"/hosts/"
    script = os.fsencode(supervise.__file__)
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                argv = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if script in argv and any(word.startswith(directory) for word in argv):
                found.add(int(entry.name))
    return found


def _machines_left(place: Place) -> list[str]:
    parents = (Path("/run/systemd/nspawn/propagate"), Path("/run/systemd/nspawn/unix-export"))
    prefix = place.machine(0).removesuffix("0")
    return sorted(
        {
            path.name
            for parent in parents
            if parent.is_dir()
            for path in parent.iterdir()
            if path.name.startswith(prefix)
        }
    )
