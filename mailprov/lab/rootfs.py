"""Cached roots: one minimal system per release, built once and shared read-only by all hosts of all labs.

    ensure_roots   the directories of several releases' roots, built or renewed when needed, side by side
    in_use         the roots that hosts stand on, also those of labs that are stopped

    CACHE/roots/debian-12/<stamp>-<unix time>/   a finished root; the newest with the recipe's stamp counts
    CACHE/roots/debian-12/.building              a build in progress; renamed when done, so a root is whole
                                                 or not there
    CACHE/roots/debian-12.lock
    CACHE/roots/debian-12-with-<six digits>/     the same with more packages

Package lists in a root get old, so a root is renewed after a week. An old root is deleted only when no host
stands on it. Raises LabError.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from mailprov.errors import LabError
from mailprov.i18n import _
from mailprov.lab.mounts import Lock, delete_tree, lower_directories
from mailprov.lab.paths import cache_root
from mailprov.lab.preflight import environment, run_tool, telling_line
from mailprov.lab.private import make_private, own
from mailprov.lab.releases import RELEASES, Release
from mailprov.lab.state import every
from mailprov.model.events import Emit, Progress

WEEK = 7 * 86400
UBUNTU_KEY = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")
# Of the environment: a mirror of Ubuntu's archive (http://mirror.example.net/ubuntu), and whose signature it has.
UBUNTU_MIRROR, UBUNTU_KEYRING = "MAILPROV_LAB_UBUNTU_MIRROR", "MAILPROV_LAB_UBUNTU_KEYRING"
# Whatever a build starts dies with us, even by SIGKILL: setpriv passes our death on to unshare, and the
# kernel ends the process namespace below it. The mounts of a build live in a namespace of their own and
# vanish with it.
_CAGE = (
    "setpriv", "--pdeathsig", "KILL", "--",
    "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
)  # fmt: skip


def ensure_roots(needed: Iterable[Release], emit: Emit) -> dict[str, Path]:
    """The root of each release by name. Builds one when there is none of this recipe that is not a week old.

    When one fails, or upon Ctrl-C, the other builds are ended too; the next build deletes their remains.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(16) as pool:
        builds = {release.name: pool.submit(_ensure_root, release, emit, stop) for release in needed}
        try:
            wait(builds.values(), return_when=FIRST_EXCEPTION)
            failed = [error for build in builds.values() if build.done() and (error := build.exception())]
            if failed:
                raise failed[0]
            return {name: build.result() for name, build in builds.items()}
        finally:
            stop.set()


def _ensure_root(release: Release, emit: Emit, stop: threading.Event) -> Path:
    home = make_private(own(cache_root()) / "roots") / release.name
    home.mkdir(parents=True, exist_ok=True)
    if (ready := _current(home, release)) is not None:
        return ready
    with _build_lock(home, release, emit, stop):
        if (ready := _current(home, release)) is not None:
            return ready
        building = home / ".building"
        delete_tree(building)  # what a killed build left; nobody else builds, for we hold the lock
        if release.built_on:
            _copy(_ensure_root(RELEASES[release.built_on], emit, stop), building, release, emit, stop)
        else:
            _bootstrap(building, release, emit, stop)
            _finish(building, release)
        done = home / f"{release.stamp}-{int(time.time())}"
        building.rename(done)
        _prune(keep=done)
        return done


def _current(home: Path, release: Release) -> Path | None:
    finished = [
        (int(match[1]), path)
        for path in home.iterdir()
        if (match := re.fullmatch(re.escape(release.stamp) + r"-(\d+)", path.name))
    ]
    if not finished:
        return None
    built, path = max(finished)
    return path if time.time() - built < WEEK else None


def _build_lock(home: Path, release: Release, emit: Emit, stop: threading.Event) -> Lock:
    lock = Lock(home.with_name(f"{home.name}.lock"), wait=False)
    said = False
    while True:
        try:
            return lock.take()
        except BlockingIOError:
            if not said:
                emit(Progress(release.name, _("waiting until its root is built")))
            said = True
        if stop.wait(0.1):
            raise _stopped(release)


def _stopped(release: Release) -> LabError:
    return LabError(release.name, _("the build of its root was stopped"))


def _bootstrap(target: Path, release: Release, emit: Emit, stop: threading.Event) -> None:
    emit(
        Progress(
            release.name,
            _("building the root of {suite} (once; about half a minute)").format(suite=release.suite),
        )
    )
    if release.bracket and not _ubuntu_key(emit):
        raise _no_ubuntu(release, "no package here has its key")
    options = [part for option in release.apt_options for part in ("--aptopt", option)]
    if release.components:
        options.append(f"--components={','.join(release.components)}")
    status, output = _run_build(
        [
            *_CAGE, "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory",
            "--skip=cleanup/apt/lists", *options, f"--include={','.join(release.packages)}",
            release.suite, str(target), *_mirror(release),
        ],
        stop,
    )  # fmt: skip
    if status == 0:
        _keep_key(target, release)
        return
    delete_tree(target)
    if stop.is_set():
        raise _stopped(release)
    if release.bracket:
        raise _no_ubuntu(release, telling_line(output))
    raise LabError(
        release.name,
        _("mmdebstrap could not build the root: {line}").format(line=telling_line(output)),
        _("Check the network and try again"),
    )


def _mirror(release: Release) -> list[str]:
    """The sources of a mirror of Ubuntu's archive that the user has; mmdebstrap knows the public ones itself.

    Mirrors carry the security updates, too; of Ubuntu's own servers these are on another one.
    """
    mirror = os.environ.get(UBUNTU_MIRROR, "")
    if not release.bracket or not mirror:
        return []
    return [
        f'deb [signed-by="{_ubuntu_keyring()}"] {mirror} {release.suite}{pocket} {" ".join(release.components)}'
        for pocket in ("", "-updates", "-security")
    ]


def _ubuntu_keyring() -> Path:
    return Path(os.environ.get(UBUNTU_KEYRING) or UBUNTU_KEY).resolve()


def _keep_key(root: Path, release: Release) -> None:
    """A keyring of one's own goes into the root, where apt on the hosts needs it."""
    keyring = _ubuntu_keyring()
    if not _mirror(release) or keyring == UBUNTU_KEY:
        return
    kept = root / "etc/apt/keyrings/mirror.gpg"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(keyring.read_bytes())
    kept.chmod(0o644)
    for sources in (root / "etc/apt/sources.list", *(root / "etc/apt/sources.list.d").glob("*.list")):
        if sources.exists():
            sources.write_text(sources.read_text().replace(str(keyring), "/etc/apt/keyrings/mirror.gpg"))


def _ubuntu_key(emit: Emit) -> bool:
    """Whether Ubuntu's archive key is here; its package, under either name, is installed if there is one."""
    if os.environ.get(UBUNTU_KEYRING):
        if not _ubuntu_keyring().is_file():
            raise LabError(
                "lab",
                _("there is no keyring {path}").format(path=_ubuntu_keyring()),
                _("Set {variable} to the mirror's").format(variable=UBUNTU_KEYRING),
            )
        return True
    for package in ("ubuntu-keyring", "ubuntu-archive-keyring"):
        if not UBUNTU_KEY.exists() and shutil.which("apt-get", path=environment()["PATH"]):
            emit(Progress("lab", _("installing {package} on this machine").format(package=package)))
            try:
                run_tool(["apt-get", "install", "-qy", "--no-install-recommends", package], timeout=300)
            except LabError:
                continue
    return UBUNTU_KEY.exists()


def _no_ubuntu(release: Release, why: str) -> LabError:
    return LabError(
        release.name,
        _("Ubuntu's archive cannot be reached or trusted from here ({reason})").format(
            reason=why.removeprefix("E: ").rstrip(".")
        ),
        _("Use {bracket}, whose Postfix and Dovecot bracket it").format(bracket=release.bracket),
    )


def _copy(base: Path, target: Path, release: Release, emit: Emit, stop: threading.Event) -> None:
    """Makes `target` from another root plus packages. Services do not start: a chroot has no init."""
    emit(
        Progress(
            release.built_on,
            _("building a root with {count} more packages (once): {packages}").format(
                count=len(release.packages), packages=", ".join(release.packages)
            ),
        )
    )
    resolver = target / "etc/resolv.conf"
    policy = target / "usr/sbin/policy-rc.d"
    status, output = _run_build([*_CAGE, "cp", "-a", "--", str(base), str(target)], stop)
    inside = [*_CAGE[:-1], f"--root={target}", "--mount-proc=/proc"]
    if status == 0:
        resolver.unlink(missing_ok=True)
        resolver.write_text(Path("/etc/resolv.conf").read_text())
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        status, output = _run_build(
            [*inside, "apt-get", "install", "-qy", "--no-install-recommends", *release.packages], stop
        )
    if status == 0 and release.setup:
        status, output = _run_build([*inside, "python3", "-c", release.setup], stop)
    if status != 0:
        delete_tree(target)
        raise LabError(
            release.name,
            _("its packages could not be installed: {line}").format(line=telling_line(output)),
            _("Check the network and try again"),
        )
    policy.unlink()
    resolver.unlink(missing_ok=True)
    for package in (target / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()


def _run_build(argv: list[str], stop: threading.Event) -> tuple[int, str]:
    """Exit status and output of a long build command, which ends early when `stop` is set."""
    if stop.is_set():
        return 1, ""
    build = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", env=environment(), cwd="/", start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 1800
    while True:
        try:
            output, __ = build.communicate(timeout=0.2)
            return build.returncode, output
        except subprocess.TimeoutExpired:
            if stop.is_set() or time.monotonic() > deadline:
                build.kill()
                output, __ = build.communicate()
                return 1, output + "\nE: it did not end within 30 minutes"


def _finish(root: Path, release: Release) -> None:
    """What makes a root an image: quiet timers, nothing that ought to differ between hosts."""
    units = root / "etc/systemd/system"
    units.mkdir(parents=True, exist_ok=True)
    for unit in release.masked:
        link = units / unit
        if link.is_symlink():
            link.unlink()
        link.symlink_to("/dev/null")
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ("etc/resolv.conf", "etc/hostname"):
        path = root / name
        if path.is_symlink() or path.exists():
            path.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/default/locale").write_text("LANG=C.UTF-8\n")
    os.sync()  # a root that the power cut short must not look finished


def in_use() -> set[Path]:
    return lower_directories() | {Path(host.root) for state in every() for host in state.all_hosts}


def _prune(keep: Path) -> None:
    """What `keep` replaces, and roots with packages that nobody has asked for in a week."""
    needed = in_use()
    homes = [path for path in keep.parent.parent.iterdir() if path.is_dir()]
    for path in (path for home in homes for path in home.iterdir()):
        # An hour's grace: another `up` may have chosen this root a moment ago and not mounted it yet.
        grace = 3600 if path.parent == keep.parent else WEEK
        old = time.time() - path.stat().st_mtime > grace
        if path != keep and path not in needed and old and not path.name.startswith("."):
            delete_tree(path)
