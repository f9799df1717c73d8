"""A first install through a jump host, on a host without python3 whose package system is busy as on a first boot.

mx2 lets nobody in but from mx1. The tests build on each other in their order.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.lab.program import COMMAND, act_when, run

INVENTORY = """\
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  beta.test:
    hosts: [mx2]
    accounts:
      eva: {password: {env: EVA}}
"""

# As unattended-upgrades does on a first boot: takes the lock of dpkg for some seconds, and again as soon as apt-get has
# brought python3, until the agent has met it, too.
BUSY = r"""
use Fcntl qw(:DEFAULT :flock :seek);
$0 = "unattended-upgr";
open(my $lock, ">>", "/var/lib/dpkg/lock-frontend") or die;
sub set { fcntl($lock, F_SETLKW, pack("s s l! l! i x![l!]", $_[0], SEEK_SET, 0, 0, 0)) or die "$!" }
set(F_WRLCK);
open(my $mark, ">", "/run/busy"); close($mark);
sleep 3;
set(F_UNLCK);
select(undef, undef, undef, 0.05) until -x "/usr/bin/python3";
set(F_WRLCK);
alarm 240;
select(undef, undef, undef, 0.05) until -e "/run/met";
"""


@pytest.fixture(scope="module")
def hosts(lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = lab_factory(INVENTORY)
    # What is left is python3-minimal.
    run_on(
        made, "mx2", "apt-get -qq -y purge python3 libpython3-stdlib 'libpython3.*-stdlib' >/dev/null 2>&1"
    )
    jump = made.host("mx1").address
    run_on(
        made, "mx2", f"echo 'AllowUsers root@{jump}' >/etc/ssh/sshd_config.d/jump.conf; systemctl reload ssh"
    )
    return made


def behind(hosts: lab.Lab, command: str, *, check: bool = True) -> str:
    """A command on mx2, by way of mx1."""
    inner = shlex.join([*hosts.ssh_argv("mx1")[:-1], "-W", "[%h]:%p", hosts.ssh_argv("mx1")[-1]])
    argv = hosts.ssh_argv("mx2", [command])
    argv[1:1] = ["-o", f"ProxyCommand={inner}"]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout


def inventory(hosts: lab.Lab, name: str, **ssh: str) -> str:
    text = hosts.inventory_path.read_text()
    for key, value in ssh.items():
        lines = [line for line in text.splitlines() if not line.startswith(f"  {key}:")]
        at = lines.index("ssh:") + 1
        text = "\n".join([*lines[:at], f"  {key}: {value}", *lines[at:]]) + "\n"
    text = text.replace("    fqdn: mx2", "    ssh: {proxy_jump: mx1}\n    fqdn: mx2")
    path = hosts.inventory_path.with_name(f"{name}.yml")
    path.write_text(text)
    return str(path)


def test_without_the_jump_host_the_login_is_refused(hosts: lab.Lab) -> None:
    result = run("plan", "--only", "hosts", "--host", "mx2", str(hosts.inventory_path))
    assert result.code == 3
    assert "the login as root@" in result.ended("mx2")["error"]


def test_python3_minimal_is_too_little_and_said_to_be(hosts: lab.Lab) -> None:
    assert behind(hosts, "command -v python3")
    result = run("apply", "--yes", "--only", "hosts", "--host", "mx2", inventory(hosts, "jump"))
    assert result.ended("mx2")["error"] == (
        "mx2: python3 on the host is incomplete, as python3-minimal is "
        "(ModuleNotFoundError: No module named 'hmac'). Install it there: apt-get install python3, or run apply with "
        "--bootstrap-python."
    )
    assert result.code == 3


def test_a_host_without_python_is_refused_plainly(hosts: lab.Lab) -> None:
    behind(hosts, "apt-get -qq -y purge python3-minimal 'libpython3*-minimal' >/dev/null 2>&1")
    result = run("apply", "--yes", "--only", "hosts", "--host", "mx2", inventory(hosts, "jump"))
    assert result.code == 3
    assert result.ended("mx2")["error"] == (
        "mx2: there is no python3 on the host. Install it there: apt-get install python3, or run apply with "
        "--bootstrap-python."
    )
    assert behind(hosts, "command -v python3", check=False) == "", "nothing was installed"


def test_bootstrap_and_first_install_while_others_hold_the_lock(hosts: lab.Lab) -> None:
    behind(hosts, f"setsid perl -e {shlex.quote(BUSY)} </dev/null >/dev/null 2>&1 &")
    wait_until(lambda: behind(hosts, "ls /run/busy", check=False), "the lock is taken")
    words = ("--yes", "--no-verify", "--only", "hosts", "--host", "mx2", "--bootstrap-python")
    result = act_when(
        lambda event: event.get("text", "").startswith("waiting for unattended-upgr (pid "),
        lambda _: behind(hosts, "touch /run/met"),
        "apply",
        *words,
        inventory(hosts, "jump"),
    )
    assert result.code == 0, result.ended("mx2")
    told = [event["text"] for event in result.of("progress", subject="mx2")]
    assert any(text.startswith("waiting for unattended-upgr (pid ") for text in told), told
    assert "dovecot" in behind(hosts, "systemctl is-active postfix dovecot; ps -e -o comm")


def test_the_ssh_program_goes_the_same_way_and_finds_nothing_to_do(hosts: lab.Lab) -> None:
    result = run("plan", "--only", "hosts", "--host", "mx2", inventory(hosts, "openssh", transport="openssh"))
    assert result.code == 0, result.ended("mx2")
    assert result.changes("mx2") == []
    assert result.ended("mx2")["status"] == "ok"


def test_trust_goes_along_the_way(hosts: lab.Lab, tmp_path: Path) -> None:
    known = tmp_path / "known"
    path = inventory(hosts, "trust", known_hosts=str(known))
    refused = run("plan", "--only", "hosts", "--host", "mx2", path)
    jump = hosts.host("mx1").address
    assert f"jump host mx1: the host key of {jump} port 22 is not known" in refused.ended("mx2")["error"]
    done = subprocess.run(
        [*COMMAND, "trust", "--yes", path, "mx2"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "jump host mx1" in done.stdout
    assert known.read_text().count(f"\n{jump} ") + known.read_text().startswith(f"{jump} ") >= 1
    assert run("plan", "--only", "hosts", "--host", "mx2", path).code == 0
    again = subprocess.run(
        [*COMMAND, "trust", "--yes", path, "mx2"], capture_output=True, text=True, check=False
    )
    assert "its keys are known already" in again.stdout
    assert "SHA256" not in again.stdout, "no key of a known jump host is shown again"
