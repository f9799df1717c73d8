"""The first steps with a real host: `mailprov init` on a terminal tries the login (the host's key is shown, added, and
believed), and an apply that waits says for whom, also where there is no terminal.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from mailprov import lab
from mailprov.inventory import load
from tests.lab.labs import run_on, wait_until
from tests.lab.program import COMMAND, run
from tests.unit.cli.terminal import Terminal

TEXT = """\
hosts: {mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test}}
domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}}
"""


@pytest.fixture
def host(lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return lab_factory(TEXT)


@pytest.fixture
def env(host: lab.Lab, tmp_path: Path) -> dict[str, str]:
    """A user whose ssh_config knows the host as `goal`."""
    config = tmp_path / "home/.ssh/config"
    config.parent.mkdir(parents=True)
    config.write_text(
        f"Host goal\n HostName {host.host('mx1').address}\n IdentityFile {host.identity_file}\n"
    )
    return {"HOME": str(tmp_path / "home"), "SSH_AUTH_SOCK": ""}


def fingerprints(host: lab.Lab) -> list[str]:
    """Of mx1, as the lab pinned them."""
    found = subprocess.run(
        ["ssh-keygen", "-l", "-F", host.host("mx1").address, "-f", str(host.known_hosts)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [word for word in found.stdout.split() if word.startswith("SHA256:")]


def asked(terminal: Terminal) -> None:
    terminal.answer("Mail domain", "alpha.test")
    terminal.answer("Host's full name", "")
    terminal.answer("Address for SSH", "goal")


def finish(terminal: Terminal) -> None:
    for question in ("Certificates", "Filter", "Webmail", "Mailboxes", "Account for tests", "Passwords"):
        terminal.answer(f"{question} (" if question != "Mailboxes" else "Mailboxes, ", "")
    assert terminal.end() == 0, terminal.shown


def test_the_login_is_tried_once_the_key_is_trusted(
    host: lab.Lab, env: dict[str, str], tmp_path: Path
) -> None:
    with Terminal("init", "a.yml", cwd=tmp_path, env=env) as terminal:
        asked(terminal)
        terminal.answer("SSH user", "")
        terminal.answer("Add them to", "y")
        terminal.wait_for("The login works, and so does Python there.")
        finish(terminal)
        assert "Next: mailprov plan a.yml" in terminal.shown
    assert fingerprints(host)
    for fingerprint in fingerprints(host):
        assert fingerprint in terminal.shown
    assert load(tmp_path / "a.yml").hosts[0].address == "goal"
    # Now the key is known: it is not asked for again, and a user that is refused can be given anew.
    with Terminal("init", "b.yml", cwd=tmp_path, env=env) as terminal:
        asked(terminal)
        terminal.answer("SSH user", "nobody-here")
        terminal.wait_for("nobody-here")
        terminal.answer("Keep it anyway", "n")
        terminal.answer("Address for SSH", "goal")
        terminal.answer("SSH user", "root")
        terminal.wait_for("The login works")
        finish(terminal)
    assert "Add them" not in terminal.shown


def test_a_key_that_is_not_trusted_ends_nothing(env: dict[str, str], tmp_path: Path) -> None:
    with Terminal("init", "a.yml", cwd=tmp_path, env=env) as terminal:
        asked(terminal)
        terminal.answer("SSH user", "")
        terminal.answer("Add them to", "n")
        terminal.wait_for("Its key was not added to known_hosts")
        terminal.answer("Keep it anyway", "y")
        finish(terminal)
        assert "Next: mailprov trust a.yml, then mailprov plan a.yml" in terminal.shown


HOLDER = """
import fcntl, time
lock = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
open("/run/held", "w").close()
time.sleep(600)
"""


def test_without_a_terminal_stderr_says_who_holds_dpkgs_lock(host: lab.Lab, tmp_path: Path) -> None:
    """It was silent for as long as the other held it (0.1.0: 16 s)."""
    run_on(
        host,
        "mx1",
        f"cat >/root/holder.py <<'END'\n{HOLDER}END\nsystemd-run --unit=holder python3 /root/holder.py",
    )
    wait_until(lambda: run_on(host, "mx1", "ls /run/held", check=False), "the lock is held")
    process = applying(host)
    told = r"still working: mx1: waiting for python3 \(pid \d+\), which has locked the package system \(\d+ s\)\n"
    try:
        wait_for_line(process.stderr, told)
    finally:
        process.kill()
        process.wait()
        run_on(host, "mx1", "systemctl stop holder", check=False)


def test_debians_own_mail_server_goes_and_what_it_was_told_is_asked_about(host: lab.Lab) -> None:
    """exim4 comes with many Debian systems. As it was installed, nobody is asked; with a smarthost, its host's is."""
    install = (
        "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends exim4-daemon-light"
    )
    run_on(host, "mx1", f"apt-get update -q && {install}")
    (plan,) = run("plan", "--only", "hosts", str(host.inventory_path)).of("planned")
    (postfix,) = [change for change in plan["changes"] if change["name"] == "postfix"]
    assert postfix["detail"].endswith("; removes exim4-daemon-light")
    assert plan["takes_over"] == []

    smarthost = "s/configtype='local'/configtype='smarthost'/; s/smarthost=''/smarthost='192.0.2.25'/"
    run_on(
        host,
        "mx1",
        f'sed -i "{smarthost}" /etc/exim4/update-exim4.conf.conf; echo "sales: root" >>/etc/aliases',
    )
    stopped = run("apply", "--yes", "--no-verify", "--only", "hosts", str(host.inventory_path))
    assert stopped.code == 1
    (plan,) = stopped.of("planned")
    assert plan["takes_over"] == [
        "/etc/aliases is no longer read, and with it the alias sales",
        "exim4-daemon-light is removed, and with it what this host has of its own in "
        "/etc/exim4/update-exim4.conf.conf",
    ]
    assert "--take-over-host" in stopped.ended("mx1")["error"]
    assert run_on(host, "mx1", "systemctl is-active exim4").strip() == "active"


def test_without_a_terminal_stderr_says_that_rspamd_starts_for_the_first_time(
    ready_lab_factory: Callable[[str], lab.Lab],
) -> None:
    """It compiles its expressions, for half a minute, and nothing else happens meanwhile."""
    installed = ready_lab_factory(TEXT)
    process = applying(installed)
    try:
        wait_for_line(
            process.stderr, r"still working: mx1: (re)?starting rspamd.service \(([3-9]|\d\d) s\)\n"
        )
        active = run_on(installed, "mx1", "systemctl is-active rspamd", check=False).strip()
        assert active in ("active", "activating")
    finally:
        process.kill()
        process.wait()


def applying(where: lab.Lab) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "apply", "--yes", "--only", "hosts", str(where.inventory_path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MAILPROV_HEARTBEAT": "0.5"},
    )


def wait_for_line(stream: IO[str] | None, pattern: str) -> None:
    """Fails with all that was said where no line is like that until the end."""
    assert stream is not None
    lines = []
    for line in stream:
        lines.append(line)
        if re.fullmatch(pattern, line):
            return
    raise AssertionError(lines)
