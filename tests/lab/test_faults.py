"""Each fault on the way to a host or a name server: one clear sentence, the right exit code, and nothing changed.

The hosts are pristine when this file starts, and must still be when it ends; only Ctrl-C during an apply begins to
install, and is followed by an apply that converges.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab.labs import run_on
from tests.lab.program import COMMAND, Result, interrupt_when, run
from tests.lab.test_service import INVENTORY, edited

FREE_ADDRESS = 99  # no lab host has it


@pytest.fixture(scope="module")
def hosts(lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return lab_factory(INVENTORY)


@pytest.fixture(scope="module")
def inventory(hosts: lab.Lab) -> Path:
    return hosts.inventory_path


@pytest.fixture(autouse=True)
def pristine(request: pytest.FixtureRequest, hosts: lab.Lab) -> Iterator[None]:
    yield
    if request.node.get_closest_marker("changes_hosts") is None:
        for host in ("mx1", "mx2"):
            assert (
                run_on(
                    hosts,
                    host,
                    "ls -d /etc/postfix /etc/dovecot /var/lib/mailprov /etc/mailprov 2>/dev/null; true",
                )
                == ""
            )


def sentence(result: Result, subject: str) -> str:
    """What was said of this host or zone: one line, and no secret."""
    error = str(result.ended(subject)["error"])
    assert error.endswith((".", "?"))
    assert "\n" not in error
    return error


def free(hosts: lab.Lab) -> str:
    return hosts.subnet.rpartition(".")[0] + f".{FREE_ADDRESS}"


def with_ssh(inventory: Path, name: str, setting: str) -> str:
    """The inventory with one more SSH setting for all hosts, the last one winning."""
    key = setting.partition(":")[0]
    text = re.sub(rf"(?m)^  {key}: .*\n", "", inventory.read_text(), count=1)
    copy = inventory.with_name(f"{name}.yml")
    copy.write_text(text.replace("ssh:\n", f"ssh:\n  {setting}\n", 1))
    return str(copy)


# --- the way to the host -------------------------------------------------------------------------------------------


def test_no_host_at_that_address(hosts: lab.Lab, inventory: Path) -> None:
    copy = edited(inventory, "nobody", (r"(mx2:\n +address: )[0-9.]+", rf"\g<1>{free(hosts)}"))

    result = run("apply", "--yes", "--host", "mx2", "--only", "hosts", copy)

    assert result.code == 3
    assert free(hosts) in sentence(result, "mx2")


def test_nothing_listens_on_the_port(inventory: Path) -> None:
    result = run("apply", "--yes", "--only", "hosts", with_ssh(inventory, "port", "port: 9"))

    assert result.code == 3
    assert "refused" in sentence(result, "mx1")
    assert "port 9" in sentence(result, "mx1")


def test_a_host_key_nobody_knows(inventory: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    result = run(
        "apply",
        "--yes",
        "--only",
        "hosts",
        with_ssh(inventory, "unknown", f"known_hosts: {tmp_path / 'empty'}"),
    )

    assert result.code == 3
    assert "SHA256:" in sentence(result, "mx1")
    assert "mailprov trust" in sentence(result, "mx1")


def test_a_host_key_that_is_another_one(inventory: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    kind, key = (tmp_path / "key.pub").read_text().split()[:2]
    address = re.search(r"mx1:\n +address: ([0-9.]+)", inventory.read_text())
    assert address
    (tmp_path / "known").write_text(f"{address[1]} {kind} {key}\n")

    result = run(
        "plan",
        "--host",
        "mx1",
        "--only",
        "hosts",
        with_ssh(inventory, "other", f"known_hosts: {tmp_path / 'known'}"),
    )

    assert result.code == 3
    assert sentence(result, "mx1").count("SHA256:") == 2, "the known and the offered fingerprint"


def test_a_key_the_host_refuses(inventory: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)

    result = run(
        "apply", "--yes", "--only", "hosts", with_ssh(inventory, "key", f"identity_file: {tmp_path / 'key'}")
    )

    assert result.code == 3
    assert "root" in sentence(result, "mx1")
    assert str(tmp_path / "key") in sentence(result, "mx1")


def test_a_wrong_sudo_password(hosts: lab.Lab, inventory: Path) -> None:
    run_on(
        hosts,
        "mx1",
        "id ops 2>/dev/null || useradd -m -s /bin/bash ops; echo ops:right-one | chpasswd; "
        "mkdir -p ~ops/.ssh && cp /root/.ssh/authorized_keys ~ops/.ssh/ && chown -R ops ~ops/.ssh; "
        "echo 'ops ALL=(ALL) ALL' > /etc/sudoers.d/ops",
    )
    secrets = inventory.parent / "secrets"
    (secrets / "sudo").write_text("wrong-one\n")
    text = Path(with_ssh(inventory, "sudo", "user: ops")).read_text()
    copy = inventory.with_name("sudo.yml")
    copy.write_text(text.replace("ssh:\n", "ssh:\n  become_password: {file: secrets/sudo}\n", 1))

    wrong = run("apply", "--yes", "--host", "mx1", "--only", "hosts", str(copy))
    assert wrong.code == 3
    assert "sudo" in sentence(wrong, "mx1")
    assert "wrong-one" not in str(wrong.events)

    (secrets / "sudo").write_text("right-one\n")
    right = run("plan", "--host", "mx1", "--only", "hosts", str(copy))
    assert right.code == 0, "the same with the right password must work, or the test above proves nothing"
    assert right.changes("mx1")


@contextmanager
def moved_away(hosts: lab.Lab, host: str, *paths: str) -> Iterator[None]:
    run_on(hosts, host, "; ".join(f"mv {path} {path}.away" for path in paths))
    try:
        yield
    finally:
        run_on(hosts, host, "; ".join(f"mv {path}.away {path}" for path in paths))


def test_no_python_on_the_host(hosts: lab.Lab, inventory: Path) -> None:
    with moved_away(hosts, "mx1", "/usr/bin/python3"):
        result = run("apply", "--yes", "--host", "mx1", "--only", "hosts", str(inventory))

    assert result.code == 3
    assert "python3" in sentence(result, "mx1")
    assert "apt-get install" in sentence(result, "mx1")


def test_a_system_that_is_not_supported(hosts: lab.Lab, inventory: Path) -> None:
    with moved_away(hosts, "mx1", "/usr/bin/apt-get", "/usr/bin/dpkg-query"):
        result = run("apply", "--yes", "--host", "mx1", "--only", "hosts", str(inventory))

    assert result.code == 1
    assert "Debian or Ubuntu" in sentence(result, "mx1")


# --- the name server -----------------------------------------------------------------------------------------------


def test_no_name_server_at_that_address(hosts: lab.Lab, inventory: Path) -> None:
    copy = edited(inventory, "nodns", (r"server: [0-9.]+", f"server: {free(hosts)}"))

    result = run("apply", "--yes", copy)

    assert result.code == 3
    assert free(hosts) in sentence(result, "dns")
    assert "the zones not done" in result.of("run_ended")[0]["summary"]
    assert result.of("applied") == []


@pytest.mark.parametrize("wrong", ["secret", "name"])
def test_a_wrong_tsig_key(hosts: lab.Lab, inventory: Path, wrong: str) -> None:
    secret = inventory.parent / "secrets" / "wrong-tsig"
    secret.write_text("d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmch\n")
    change = (
        ("secrets/tsig", "secrets/wrong-tsig")
        if wrong == "secret"
        else ("name: mailprov-lab", "name: nobodys-key")
    )

    result = run("apply", "--yes", edited(inventory, f"tsig-{wrong}", change))

    assert result.code == 1
    assert "TSIG" in sentence(result, "dns")
    assert "d3Jvbmcg" not in str(result.events) + result.stderr
    assert result.of("applied") == []


def test_a_zone_that_is_not_there(inventory: Path) -> None:
    copy = edited(
        inventory,
        "nozone",
        (r"(?m)^  beta\.test:", "  gamma.example:"),
        ("luis@beta.test", "luis@gamma.example"),
    )
    text = (
        Path(copy)
        .read_text()
        .replace("eva@beta.test", "eva@gamma.example")
        .replace("mx2.beta.test", "mx2.gamma.example")
    )
    Path(copy).write_text(text.replace("secrets/eva@gamma.example", "secrets/eva@beta.test"))
    Path(copy).write_text(Path(copy).read_text().replace("certificate: ", "certificate: "))

    result = run("dns", "plan", copy)

    assert result.code == 1
    assert "gamma.example" in sentence(result, "dns")


@pytest.mark.changes_hosts
def test_an_update_that_the_server_refuses(hosts: lab.Lab, inventory: Path) -> None:
    """The hosts keep what a rollback of the zone would need, and nothing else: no service is touched."""
    run_on(hosts, "ns1", "rndc freeze beta.test")
    try:
        result = run("dns", "apply", "--yes", "--domain", "beta.test", str(inventory))
    finally:
        run_on(hosts, "ns1", "rndc thaw beta.test")
    for host in ("mx1", "mx2"):
        assert run_on(hosts, host, "ls -d /etc/postfix /etc/dovecot /etc/mailprov 2>/dev/null; true") == ""
        run_on(hosts, host, "rm -rf /var/lib/mailprov")  # pristine again for the tests that follow

    assert result.code == 1
    assert "refuse" in sentence(result, "zone beta.test").lower()


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


def test_ctrl_c_while_connecting(inventory: Path) -> None:
    result = interrupt_when(lambda event: event["event"] == "progress", "apply", "--yes", str(inventory))

    assert result.code == 130
    assert result.of("applied") == []


def at_the_question(inventory: Path, press: bytes) -> tuple[int, str]:
    """Exit code and screen of an apply on a terminal, after `press` at its question."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["COLUMNS"] = "200"
        os.execv(COMMAND[0], [*COMMAND, "apply", str(inventory)])
    screen = b""
    pressed = False
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:  # Linux: the other side has closed
                break
            if not data:
                break
            screen += data
        if not pressed and b"[y/N]" in screen:
            pressed = True
            os.write(terminal, press)
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), screen.decode(errors="replace")


@pytest.mark.parametrize(("press", "code"), [(b"\x03", 130), (b"n\n", 1), (b"\n", 1), (b"\x04", 1)])
def test_leaving_at_the_question(inventory: Path, press: bytes, code: int) -> None:
    ended, screen = at_the_question(inventory, press)

    assert ended == code, screen[-600:]
    assert "Plan:" in screen
    assert "Traceback" not in screen
    assert "changes applied" not in screen or "0 changes applied" in screen


@pytest.mark.changes_hosts
def test_ctrl_c_while_packages_are_installed_and_an_apply_afterwards(hosts: lab.Lab, inventory: Path) -> None:
    result = interrupt_when(
        lambda event: event["event"] == "progress" and "install" in event["text"],
        "apply",
        "--yes",
        str(inventory),
    )

    assert result.code == 130
    for host in ("mx1", "mx2"):
        assert (
            run_on(
                hosts,
                host,
                "grep -l mailprov /etc/postfix/main.cf /etc/dovecot/dovecot.conf 2>/dev/null; true",
            )
            == ""
        )
        assert run_on(hosts, host, "ls /usr/sbin/policy-rc.d 2>/dev/null; true") == ""
    again = run("apply", "--yes", "--no-verify", str(inventory))
    assert again.code == 0, again.events[-3:]
    assert run("plan", "--exit-code", str(inventory)).code == 0
