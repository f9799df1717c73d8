"""Lab hosts: an overlay on a cached root, what makes it this host, and systemd-nspawn around it.

    start_host    mounts, writes, starts the supervisor; returns at once
    wait_for      until hosts are booted and their SSH answers
    power_off     asks hosts to shut down in order; what they have written is on the disk then
    stop_hosts    ends hosts; their overlays are unmounted
    set_aside, drop_aside   a host's changes, out of the way at once and deleted later
    Boot, boot_of           whether a host is up, and since when

Raises LabError.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from mailprov.errors import LabError
from mailprov.i18n import _
from mailprov.lab import acme_server, cgroups, nameserver, releases, supervise, ubuntu
from mailprov.lab.keys import ssh_host_key
from mailprov.lab.mounts import delete_tree, unmount_below
from mailprov.lab.network import links
from mailprov.lab.paths import LabPaths, cache_root
from mailprov.lab.preflight import environment, run_tool
from mailprov.lab.private import make_private, own
from mailprov.lab.state import LabHost, LabState
from mailprov.model.events import Emit, Progress
from mailprov.model.values import dataclass


@dataclass(frozen=True)
class Boot:
    """One life of a host: its process 1 as this machine sees it, uptime in seconds, done with booting."""

    leader: int
    uptime: float
    ready: bool
    count: int


def start_host(paths: LabPaths, state: LabState, host: LabHost) -> None:
    """Starts the host on its overlay. A new one becomes this host first; one that has run before is as it was left.

    The host must be down and its overlay not mounted (see `stop_hosts`).
    """
    make_private(paths.host(host.name).parent)
    directory = make_private(paths.host(host.name))
    # The kernel refuses a work directory that an earlier mount with `volatile` has marked; between two mounts it holds
    # nothing else (https://docs.kernel.org/filesystems/overlayfs.html, "Volatile mount").
    for left in (directory / "work").glob("*"):
        delete_tree(left)
    for name in ("upper", "work", "root"):
        if not (directory / name).is_dir():
            (directory / name).mkdir()
            (directory / name).chmod(0o755)  # upper's mode is that of "/" inside, whatever our umask
    root = directory / "root"
    _mount(directory, host)
    made = directory / "made"
    if not made.exists():
        _write_host(root, paths, state, host)
        if host == state.dns:
            _write_dns_host(root, paths, state)
        made.touch()
    make_private(paths.run)
    spec = directory / "spec.json"
    spec.write_text(json.dumps(_spec(paths, state, host, root)))
    (directory / "booted").unlink(missing_ok=True)
    with open(directory / "console.log", "ab") as console:
        done = subprocess.run(
            [sys.executable, "-I", "-S", supervise.__file__, str(spec)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=environment(),
            cwd="/",
            start_new_session=True,
            check=False,
        )
    if done.returncode != 0:
        raise LabError(
            host.name, _("its supervisor did not start: {console}").format(console=_console(paths, host))
        )


def _mount(directory: Path, host: LabHost) -> None:
    """Mounts the host's root: the cached root below, its own changes above.

    `volatile` leaves out all waiting for the disk: without it each unmount waits until the whole disk is written
    (seconds on a busy machine), and a lab need not survive a power cut. Kernels before 5.10 do not know it.
    """
    options = f"lowerdir={host.root},upperdir={directory / 'upper'},workdir={directory / 'work'}"
    mount = ["mount", "-t", "overlay", "overlay", "-o"]
    try:
        run_tool([*mount, f"{options},volatile", str(directory / "root")], where=host.name)
    except LabError:
        try:
            run_tool([*mount, options, str(directory / "root")], where=host.name)
        except LabError as error:
            raise LabError(
                host.name,
                _("its overlay on {directory} cannot be mounted ({reason})").format(
                    directory=directory, reason=error.what
                ),
                _("Set MAILPROV_LAB_STATE to a directory on a disk, such as ext4 or xfs"),
            ) from error


def _spec(paths: LabPaths, state: LabState, host: LabHost, root: Path) -> dict[str, object]:
    binds = [f"--bind={packages()}:{nameserver.CACHE_DIRECTORY}"] if host == state.dns else []
    subnet = IPv4Network(state.subnet)
    lines = [
        "link set lo up",
        f"addr replace {host.address}/{subnet.prefixlen} dev host0",
        *([f"addr replace {host.address6}/64 dev host0 nodad"] if host.address6 else []),
        "link set host0 up",
        f"route replace default via {subnet[1]}",
    ]
    return {
        "argv": [
            "systemd-nspawn", "--quiet", "--settings=no", "--boot", f"--directory={root}",
            "--register=no", "--keep-unit", "--notify-ready=yes", "--link-journal=no",
            f"--machine={paths.machine(host.index)}", f"--network-bridge={paths.bridge}",
            # systemd's own limits on real hardware (systemd-system.conf(5)); without them dbus and Dovecot complain
            "--rlimit=RLIMIT_NOFILE=1024:524288", "--resolv-conf=off", "--timezone=off", *binds,
        ],
        "environment": {
            # the newest systemd boots in a cgroup2 tree only; the oldest here is content with it too
            **({"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"} if cgroups.unified() else {}),
            "SYSTEMD_NSPAWN_LOCK": "0",
        },
        "group": f"{paths.cgroup}/{host.name}",
        "hierarchies": [str(path) for path in cgroups.hierarchies()],
        "socket": str(paths.run / f"{host.index}.notify"),
        "network": lines,
    }  # fmt: skip


def _write_host(root: Path, paths: LabPaths, state: LabState, host: LabHost) -> None:
    """What cloud-init would do on a new machine."""
    short = host.fqdn.partition(".")[0]
    _put(root, "etc/hostname", f"{short}\n")
    own = [address for address in (host.address, host.address6) if address]
    names = host.fqdn if short == host.fqdn else f"{host.fqdn} {short}"
    _put(
        root,
        "etc/hosts",
        "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
        + "".join(f"{a} {names}\n" for a in own),
    )
    if releases.comes_early(host.release):
        _write_seed(root, paths, state, host)
    else:
        _put(root, "etc/resolv.conf", f"search {nameserver.HOSTS_ZONE}\nnameserver {state.dns.address}\n")
    _put(root, "etc/machine-id", f"{host.machine_id}\n", 0o444)
    _put(root, "etc/apt/apt.conf.d/90mailprov-lab", nameserver.apt_conf(state))
    key = ssh_host_key(paths, host)
    _put(root, "etc/ssh/ssh_host_ed25519_key", key.read_text(), 0o600)
    _put(root, "etc/ssh/ssh_host_ed25519_key.pub", key.with_suffix(".pub").read_text())
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    _put(root, "root/.ssh/authorized_keys", paths.identity.with_suffix(".pub").read_text(), 0o600)


def _write_seed(root: Path, paths: LabPaths, state: LabState, host: LabHost) -> None:
    subnet, key = IPv4Network(state.subnet), ssh_host_key(paths, host)
    short = host.fqdn.partition(".")[0]
    seed = ubuntu.files(
        name=short,
        fqdn=host.fqdn,
        instance=host.machine_id,
        addresses=[
            f"{host.address}/{subnet.prefixlen}",
            *([f"{host.address6}/64"] if host.address6 else []),
        ],
        gateway=str(subnet[1]),
        resolver=state.dns.address,
        search=nameserver.HOSTS_ZONE,
        authorized=paths.identity.with_suffix(".pub").read_text().strip(),
        host_key=key.read_text(),
        host_key_public=key.with_suffix(".pub").read_text().strip(),
    )
    for name, (content, mode) in seed.items():
        _put(root, name, content, mode)
    resolver = root / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to("../run/systemd/resolve/stub-resolv.conf")


def _write_dns_host(root: Path, paths: LabPaths, state: LabState) -> None:
    secret = paths.secret("tsig").read_text().strip()
    user = next(
        line.split(":") for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("bind:")
    )
    uid, gid = int(user[2]), int(user[3])
    conf = _put(
        root,
        "etc/bind/named.conf",
        nameserver.named_conf(state, secret, nameserver.upstream_resolvers()),
        0o640,
    )
    os.chown(conf, 0, gid)
    _put(root, "etc/default/named", 'OPTIONS="-u bind -n 2"\n')
    _put(root, "etc/nginx/nginx.conf", nameserver.nginx_conf())
    zones = root / nameserver.ZONE_DIRECTORY.lstrip("/")
    zones.mkdir(parents=True, exist_ok=True)
    os.chown(zones, uid, gid)
    for zone in nameserver.all_zones(state):
        path = zones / zone
        if not path.exists():  # a host that is started again keeps its zones
            path.write_text(nameserver.zone_file(zone, state))
            os.chown(path, uid, gid)
    for name, content in acme_server.files(paths, state).items():
        _put(root, name.lstrip("/"), content, 0o600)
    wanted = root / "etc/systemd/system/multi-user.target.wants" / acme_server.UNIT
    wanted.parent.mkdir(exist_ok=True)
    wanted.unlink(missing_ok=True)
    wanted.symlink_to(f"/etc/systemd/system/{acme_server.UNIT}")


def packages() -> Path:
    """The cache of packages, which the DNS host's nginx owns (and whoever is root there): below a directory of ours."""
    paths = make_private(own(cache_root()) / "proxy") / "packages"
    earlier = cache_root() / "packages"  # where it was open to all users of this machine
    if earlier.is_dir() and not paths.exists():
        earlier.rename(paths)
    paths.mkdir(exist_ok=True)
    return paths


def _put(root: Path, name: str, content: str, mode: int = 0o644) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # never through a symbolic link that the root has there
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(file, "w") as stream:
        os.fchmod(file, mode)
        stream.write(content)
    return path


def boot_of(paths: LabPaths, name: str) -> Boot | None:
    """The host's present life, or None while it is down."""
    try:
        body = json.loads((paths.host(name) / "booted").read_text())
        leader, begun = int(body["leader"]), int(body["started"])
        if supervise.started(leader) != begun:
            return None
        ticks = os.sysconf("SC_CLK_TCK")
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME) - begun / ticks
        return Boot(leader, max(uptime, 0.0), bool(body["ready"]), int(body["boots"]))
    except (OSError, ValueError, KeyError, IndexError):
        return None


def wait_for(paths: LabPaths, hosts: Iterable[LabHost], emit: Emit, *, timeout: float = 90) -> None:
    """Returns when every host has finished booting and greets on port 22.

    Raises LabError with the end of the console's log when one is not there after `timeout` seconds.
    """
    waiting = list(hosts)
    begin = time.monotonic()
    while waiting:
        for host in list(waiting):
            boot = boot_of(paths, host.name)
            early = releases.comes_early(host.release)
            if boot is not None and (boot.ready or early) and _greets(host.address):
                form = (
                    _("up at {address}, booted in {seconds:.1f} s")
                    if boot.ready
                    else _("up at {address}, booted in {seconds:.1f} s and still setting itself up")
                )
                emit(Progress(host.name, form.format(address=host.address, seconds=boot.uptime)))
                waiting.remove(host)
            elif time.monotonic() - begin > timeout:
                what = _("did not boot within {seconds:.0f} s; its console ended with: {console}")
                raise LabError(host.name, what.format(seconds=timeout, console=_console(paths, host)))
            elif (
                boot is None
                and time.monotonic() - begin > 5
                and not cgroups.members(f"{paths.cgroup}/{host.name}")
            ):
                what = _("did not boot; its console ended with: {console}")
                raise LabError(host.name, what.format(console=_console(paths, host)))
        if waiting:
            time.sleep(0.03)


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            connection.settimeout(2)
            return connection.recv(64).startswith(b"SSH-")
    except OSError:
        return False


def _console(paths: LabPaths, host: LabHost) -> str:
    try:
        text = (paths.host(host.name) / "console.log").read_text(errors="replace")
    except OSError:
        return "nothing"
    plain = re.sub(r"\x1b\[[0-9;?!]*[A-Za-z]", "", text)
    # systemd-nspawn's word on a directory of its own, which `remove_traces` deletes
    telling = [
        line.strip() for line in plain.splitlines() if line.strip() and "Attempted to remove disk" not in line
    ]
    return " / ".join(telling[-2:]) or "nothing"


def power_off(paths: LabPaths, hosts: Sequence[LabHost], emit: Emit, *, timeout: float = 60) -> None:
    """Shuts the hosts down as a power button does, and waits; one that does not end in time loses its power.

    Afterwards no process of theirs is left, their overlays are unmounted, and what they wrote is on the disk.
    """
    for host in hosts:
        if (boot := boot_of(paths, host.name)) is not None:
            os.kill(boot.leader, signal.SIGRTMIN + 4)  # systemd(1): starts poweroff.target
    deadline = time.monotonic() + timeout
    waiting = list(hosts)
    while waiting:
        for host in list(waiting):
            late = time.monotonic() > deadline
            if late or boot_of(paths, host.name) is None:
                stop_hosts(paths, [(host.name, host.index)])
                emit(Progress(host.name, _("its power was cut") if late else _("off")))
                waiting.remove(host)
        time.sleep(0.03)
    run_tool(["sync", "--file-system", str(paths.directory)], timeout=600)


def stop_hosts(paths: LabPaths, hosts: Sequence[tuple[str, int]]) -> None:
    """Ends the hosts given as (name, index) pairs, whatever state they are in, and unmounts their overlays.

    The supervisor goes first, or it would take the end for a reboot; then the processes inside, upon which
    systemd-nspawn removes its own temporary things and ends; then whatever is left.
    """
    for name, __ in hosts:
        cgroups.kill_members(f"{paths.cgroup}/{name}.supervisor")
    groups = [f"{paths.cgroup}/{name}" for name, __ in hosts]
    deadline = time.monotonic() + 3
    while any(cgroups.members(group) for group in groups) and time.monotonic() < deadline:
        for group in groups:
            for pid in cgroups.payload_members(group):
                cgroups.kill(pid)
        time.sleep(0.02)
    for (name, index), group in zip(hosts, groups, strict=True):
        cgroups.kill_members(group)
        cgroups.remove(group)
        cgroups.remove(f"{group}.supervisor")
        link = paths.link(index)
        if link in links():
            try:
                run_tool(["ip", "link", "delete", link])
            except LabError:  # the kernel was faster
                pass
        unmount_below(paths.host(name))
        (paths.host(name) / "booted").unlink(missing_ok=True)
        (paths.run / f"{index}.notify").unlink(missing_ok=True)
        remove_traces(paths.machine(index))


def remove_traces(machine: str) -> None:
    """Directories that systemd-nspawn keeps per machine and leaves behind when it is killed."""
    for parent in (Path("/run/systemd/nspawn/propagate"), Path("/run/systemd/nspawn/unix-export")):
        delete_tree(parent / machine)


def set_aside(paths: LabPaths, name: str) -> None:
    """Puts the host's changes out of the way. The host has to be down."""
    directory = paths.host(name)
    (directory / "made").unlink(missing_ok=True)
    for part in ("upper", "work"):
        aside = directory / f"old-{part}"
        delete_tree(aside)
        if (directory / part).exists():
            (directory / part).rename(aside)


def drop_aside(paths: LabPaths, name: str) -> None:
    """Deletes what `set_aside` put away."""
    for part in ("upper", "work"):
        delete_tree(paths.host(name) / f"old-{part}")
