"""Taking a lab away, whatever state it is in.

    clean_up  ends and removes everything of a lab; safe to call on nothing, on half a lab, and twice
    traces    what of a lab is on this machine, in words; empty when nothing is

Nothing here trusts the state file: processes are found by control group (and supervisors that have not
entered theirs yet by their command line), mounts by mountinfo, links and tables by name. Raises LabError.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from mailprov.i18n import _
from mailprov.lab import cgroups, hosts, network, supervise
from mailprov.lab.mounts import delete_tree, mounts_below
from mailprov.lab.paths import LabPaths
from mailprov.lab.preflight import run_tool

_SUPERVISOR = ".supervisor"


def clean_up(paths: LabPaths) -> None:
    """Ends and removes everything of the lab. The caches stay. The caller holds the lab's lock."""
    while newborn := _supervisors(paths):
        for pid in newborn:
            cgroups.kill(pid)
        time.sleep(0.02)
    hosts.stop_hosts(paths, sorted(_hosts_found(paths)))
    cgroups.kill_members(paths.cgroup)
    cgroups.remove(paths.cgroup)
    for machine in _machines_left(paths):
        hosts.remove_traces(machine)
    delete_tree(paths.run)
    delete_tree(paths.directory)
    try:
        paths.directory.parent.rmdir()
    except OSError:  # other labs, or none has ever been there
        pass
    network.release(paths)


def traces(paths: LabPaths) -> list[str]:
    """What there is of the lab: processes, mounts, links, table, directories."""
    found = [
        _("process {pid}").format(pid=pid)
        for pid in sorted(cgroups.members(paths.cgroup) | _supervisors(paths))
    ]
    found += [_("mount {path}").format(path=point) for point in mounts_below(paths.directory)]
    found += [_("control group {name}").format(name=name) for name in sorted(cgroups.groups(paths.cgroup))]
    found += [
        _("link {name}").format(name=n)
        for n in network.links()
        if n == paths.bridge or n.startswith(paths.link_prefix)
    ]
    if paths.table in run_tool(["nft", "list", "tables", "inet"]).split():
        found.append(_("nftables table {name}").format(name=paths.table))
    found += [
        _("directory {path}").format(path=path) for path in (paths.directory, paths.run) if path.exists()
    ]
    return found


def _hosts_found(paths: LabPaths) -> set[tuple[str, int]]:
    """(name, index) of all hosts that have a control group or a directory; index 0: unknown."""
    names = {name.removesuffix(_SUPERVISOR) for name in cgroups.groups(paths.cgroup)}
    if (paths.directory / "hosts").is_dir():
        names |= {path.name for path in (paths.directory / "hosts").iterdir()}
    return {(name, 0) for name in names}


def _supervisors(paths: LabPaths) -> set[int]:
    """Supervisors of this lab by command line: one just started is in no control group yet."""
    directory = os.fsencode(paths.directory) + b"/hosts/"
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


def _machines_left(paths: LabPaths) -> list[str]:
    parents = (Path("/run/systemd/nspawn/propagate"), Path("/run/systemd/nspawn/unix-export"))
    prefix = paths.machine(0).removesuffix("0")
    return sorted(
        {
            path.name
            for parent in parents
            if parent.is_dir()
            for path in parent.iterdir()
            if path.name.startswith(prefix)
        }
    )
