"""A student is root in a lab host and has an account on the machine that the lab is on. He wants to be root there, too.

Whatever the root of a lab host leaves in its file system (or in the cache of packages, which the DNS host has) must be
out of reach for a user of this machine; and so must the lab's keys and passwords.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.lab import hosts as lab_hosts
from mailprov.lab.paths import RUN_ROOT, LabPaths, cache_root, paths, state_root
from mailprov.lab.private import close_off
from tests.attacks.tries import Tries, some
from tests.lab.labs import run_on

INVENTORY = """
filter: none
hosts: {mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}}
domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}}
"""


def as_user(user: str, group: str) -> list[str]:
    """Words before a command that run it as this user. setpriv itself still has root's rights when it begins a program,
    so a shell without them does.
    """
    switch = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--"]
    return [*switch, "/bin/sh", "-c", 'exec "$0" "$@"']


STUDENT = as_user("nobody", "nogroup")
# Where the root of a host leaves a shell for himself, and how.
LEAVE = (
    "for d in /srv /usr/local/bin /var/mail; do install -o root -g root -m 6755 /bin/bash $d/way-in; done; "
)
CAPABLE = "cp /usr/bin/python3 /srv/capable; setcap cap_setuid+ep /srv/capable 2>/dev/null || true; "
# A process of the student's own number inside: its /proc entry is his on this machine.
INSIDE = "(cd /srv; exec setpriv --reuid=65534 --regid=65534 --clear-groups sleep 3600) </dev/null >/dev/null 2>&1 &"


def student(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*STUDENT, *argv],
        capture_output=True,
        text=True,
        timeout=30,
        cwd="/",
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.fixture(scope="module")
def where(lab_factory: Callable[[str], lab.Lab]) -> Iterator[lab.Lab]:
    made = lab_factory(INVENTORY)
    run_on(made, "mx1", LEAVE + CAPABLE + INSIDE)
    run_on(made, made.dns.name, f"{LEAVE} cp -p /srv/way-in /var/cache/packages/way-in")
    yield made
    for left in (cache_root() / "proxy/packages/way-in", cache_root() / "packages/way-in"):
        left.unlink(missing_ok=True)


def ways(where: lab.Lab) -> list[Path]:
    """Every path of this machine by which a shell of theirs can be named."""
    here = paths(where.name)
    left = ("srv/way-in", "usr/local/bin/way-in", "var/mail/way-in")
    found = [
        here.host(host) / part / name
        for host in ("mx1", where.dns.name)
        for part in ("root", "upper")
        for name in left
    ]
    found += [cache_root() / "proxy/packages/way-in", cache_root() / "packages/way-in"]
    for pid in processes(here):
        found += [Path(f"/proc/{pid}/root/{name}") for name in left] + [Path(f"/proc/{pid}/cwd/way-in")]
    return found


def processes(here: LabPaths) -> list[int]:
    """The first process of the host, and the student's own in it."""
    boot = lab_hosts.boot_of(here, "mx1")
    assert boot is not None
    shown = subprocess.run(
        ["pgrep", "-u", "65534", "-x", "sleep"], capture_output=True, text=True, check=False
    )
    return [boot.leader, *(int(pid) for pid in shown.stdout.split())]


def is_root(path: Path) -> tuple[bool, str]:
    done = student(str(path), "-p", "-c", "id -u; id -ru")
    return "0" in done.stdout.split(), done.stdout + done.stderr


def test_programs_left_by_a_hosts_root(where: lab.Lab, tries: Tries) -> None:
    for path in ways(where):
        succeeded, seen = is_root(path)
        tries.held(path, not succeeded, seen)
    capable = paths(where.name).host("mx1") / "root/srv/capable"
    done = student(str(capable), "-c", "import os; os.setuid(0); print(os.getuid())")
    tries.held(capable, done.stdout.strip() != "0", done.stdout)


def test_set_user_id_programs_of_the_cached_roots(where: lab.Lab, tries: Tries) -> None:
    """Weeks old and never updated: su, mount, passwd … of each release."""
    roots = [path for home in (cache_root() / "roots").iterdir() if home.is_dir() for path in home.iterdir()]
    marked = [
        path
        for root in some(roots, 2)
        for path in (root / "usr/bin").iterdir()
        if not path.is_symlink() and path.is_file() and path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    ]
    for path in some(marked, 8):
        done = student("/bin/sh", "-c", f"test -x '{path}' && echo reached")
        tries.held(path, "reached" not in done.stdout, done.stdout)


def test_secrets_of_the_lab(where: lab.Lab, tries: Tries) -> None:
    here = paths(where.name)
    secrets = [
        path
        for path in here.directory.rglob("*")
        if path.is_file() and not path.is_relative_to(here.directory / "hosts")
    ]
    inside = [
        here.host("mx1") / f"root/etc/{name}" for name in ("shadow", "ssh/ssh_host_ed25519_key", "passwd")
    ]
    assert len(secrets) > 8
    for path in (*secrets, *inside):
        done = student("cat", str(path))
        tries.held(f"read {path}", done.returncode != 0, done.stdout)
        done = student("/bin/sh", "-c", f"echo x >> '{path}'")
        tries.held(f"write {path}", done.returncode != 0, done.stdout)
    for directory in (
        here.directory,
        here.host("mx1"),
        here.directory / "secrets",
        state_root(),
        cache_root() / "roots",
    ):
        done = student("/bin/sh", "-c", f"ls '{directory}' && mkdir '{directory}/mine'")
        tries.held(f"into {directory}", done.returncode != 0, done.stdout)


def test_the_supervisors_sockets(where: lab.Lab, tries: Tries) -> None:
    """Whoever may write there says of a host that it is up, and by which process."""
    sockets = [path for path in RUN_ROOT.rglob("*") if path.is_socket()]
    assert sockets
    forge = (
        "import socket, sys; sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
        "sender.sendto(b'X_NSPAWN_LEADER_PID=1\\nREADY=1', sys.argv[1])"
    )
    for path in sockets:
        done = student("/usr/bin/python3", "-I", "-c", forge, str(path))
        tries.held(path, done.returncode != 0, done.stderr)
    for folder in ("propagate", "unix-export"):
        for path in Path("/run/systemd/nspawn", folder).glob("*"):
            done = student("/bin/sh", "-c", f"cp /bin/true '{path}/mine'")
            tries.held(path, done.returncode != 0, done.stderr)


def test_what_an_earlier_mailprov_left_open_is_closed_by_the_next_command(
    where: lab.Lab, tries: Tries
) -> None:
    here = paths(where.name)
    opened = [
        state_root(),
        here.directory,
        here.directory / "hosts",
        here.host("mx1"),
        cache_root(),
        cache_root() / "roots",
    ]
    commands = {
        "status": lambda: lab.status(where.name),
        "load": lambda: lab.load(where.name),
        "names": lab.names,
        "reset": lambda: lab.reset(where.name, [where.dns.name]),
    }
    for name, command in commands.items():
        for directory in opened:
            directory.chmod(0o755)
        way = here.host("mx1") / "root/srv/way-in"
        assert is_root(way)[0], "open as it was: this try is one that can succeed"
        command()
        succeeded, seen = is_root(way)
        tries.held(name, not succeeded, seen)
        modes = {str(path): oct(stat.S_IMODE(path.stat().st_mode)) for path in opened}
        tries.held(modes, set(modes.values()) == {"0o700"}, modes)


def test_the_user_who_called_sudo_reads_his_lab_and_reaches_no_host(where: lab.Lab, tries: Tries) -> None:
    """His lab's inventory, keys and passwords are his, so that `mailprov apply` needs no sudo."""
    here = paths(where.name)
    group = 60123
    before = [(path, path.stat()) for path in (here.inventory, here.directory, state_root())]
    try:
        os.chown(here.inventory, group, group)
        close_off()
        from mailprov.lab.private import admit

        admit(here)
        close_off()
        caller = as_user(str(group), str(group))
        read = subprocess.run(
            [*caller, "cat", str(here.inventory)], capture_output=True, text=True, check=False
        )
        assert read.returncode == 0, read.stderr
        for path in (here.host("mx1") / "root/srv/way-in", here.host("mx1") / "upper/srv/way-in"):
            done = subprocess.run(
                [*caller, str(path), "-p", "-c", "id -u"], capture_output=True, text=True, check=False
            )
            tries.held(path, done.returncode != 0, done.stdout)
        moved = subprocess.run(
            [*caller, "mv", str(here.directory / "hosts"), str(here.directory / "mine")],
            check=False,
            capture_output=True,
        )
        tries.held("another hosts directory in its place", moved.returncode != 0)
        stranger = student("cat", str(here.inventory))
        tries.held("a third user", stranger.returncode != 0, stranger.stdout)
    finally:
        for path, was in before:
            os.chown(path, was.st_uid, was.st_gid)
            path.chmod(stat.S_IMODE(was.st_mode))


def test_a_lab_that_a_user_has_made_leads_us_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tries: Tries
) -> None:
    """MAILPROV_LAB_STATE may be a directory in which users write; root's chmod follows nothing of theirs."""
    state, victim = tmp_path / "state", tmp_path / "victim"
    for directory in (state, victim, state / "mine", state / "mine/hosts"):
        directory.mkdir()
        directory.chmod(0o755)
    state.chmod(0o1777)
    (state / "link").symlink_to(victim)
    (state / "mine/hosts/mx1").symlink_to(victim)
    (state / "mine/inventory.yml").touch()
    for path in (state / "mine", state / "mine/hosts", state / "mine/inventory.yml"):
        os.chown(path, 65534, 65534)
    (victim / "state.json").touch()
    monkeypatch.setenv("MAILPROV_LAB_STATE", str(state))
    close_off()
    for path, mode in (
        (state, 0o1777),
        (victim, 0o755),
        (state / "mine", 0o755),
        (state / "mine/hosts", 0o755),
    ):
        tries.held(path, stat.S_IMODE(path.stat().st_mode) == mode, oct(path.stat().st_mode))
    tries.held("the group", victim.stat().st_gid == 0, victim.stat().st_gid)


def test_a_umask_opens_and_closes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tries: Tries
) -> None:
    from mailprov.lab.private import make_private, own

    for mask in (0o000, 0o022, 0o077, 0o777):
        before = os.umask(mask)
        try:
            made = make_private(own(tmp_path / f"state-{mask:o}") / "lab")
        finally:
            os.umask(before)
        for path in (made, made.parent):
            tries.held(
                (oct(mask), path), stat.S_IMODE(path.stat().st_mode) == 0o700, oct(path.stat().st_mode)
            )
    given = tmp_path / "srv"
    given.mkdir()
    given.chmod(0o755)
    own(given)
    assert stat.S_IMODE(given.stat().st_mode) == 0o755, "a directory that was there is the user's"
