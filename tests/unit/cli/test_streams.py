"""Streams as cron, pipes, full disks and old terminals give them: none of them breaks a run or looks like a bug."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.cli.program import mailprov

BAD = """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test}
domains:
  alpha.test: {hosts: [mx1], aliases: {x: y, y: x}}
"""

# Nobody answers there, so that a live report has something to say.
NOBODY = """\
hosts:
  a: {address: 127.0.0.1, fqdn: a.alpha.test, ssh: {port: 1}}
domains: {alpha.test: {hosts: [a]}}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "mail.yml"
    path.write_text(BAD.replace(", aliases: {x: y, y: x}", ""))
    return path


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which $M is mailprov."""
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "M": f"{sys.executable} -m mailprov", **environment},
    )


@pytest.mark.parametrize("closed", ["<&- >&-", "<&- >&- 2>&-"])
def test_closed_streams_are_like_dev_null(inventory: Path, closed: str) -> None:
    done = shell(f"$M validate {inventory} {closed}")

    assert (done.returncode, done.stderr) == (0, "")


def test_a_live_report_on_closed_streams(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(NOBODY)
    done = shell(f"$M plan {path} >&-")

    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("command", ["schema", "dns export {inventory}", "explain"])
def test_a_full_disk_is_said_and_is_no_bug(inventory: Path, command: str) -> None:
    with open("/dev/full", "w") as full:
        done = mailprov(*command.format(inventory=inventory).split(), stdout=full.fileno())

    assert done.returncode == 3
    assert done.stderr == (
        "mailprov: the output cannot be written: No space left on device. Send it elsewhere and run again.\n"
    )


def test_a_reader_that_leaves_is_no_failure_of_a_probe() -> None:
    """`| head` gives what the shell gives for every other program, not the 1 of something that failed."""
    done = shell("$M schema | true; echo ${PIPESTATUS[0]}")

    assert done.stderr == ""
    assert done.stdout.strip() in ("0", str(128 + signal.SIGPIPE))


@pytest.mark.parametrize("command", ["explain", "plan {path}"])
def test_a_reader_that_left_before(tmp_path: Path, command: str) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(NOBODY)
    reader, writer = os.pipe()
    os.close(reader)
    done = mailprov(*command.format(path=path).split(), stdout=writer)
    os.close(writer)

    assert (abs(done.returncode) % 128, done.stderr) == (signal.SIGPIPE, "")


def test_an_ascii_terminal_gets_ascii(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(BAD)
    done = shell(f"$M validate {path}", PYTHONIOENCODING="ascii")

    assert "alias loop: x > y > x" in done.stderr
    assert done.stderr.isascii()

    path.write_text(BAD.replace(", aliases: {x: y, y: x}", "").replace("192.0.2.1", "127.0.0.1"))
    done = mailprov("verify", "--probe", "net", str(path), encoding="ascii")

    assert "x wrong" in done.stdout
    assert "bug" not in done.stderr
    assert done.stdout.isascii()


def test_ctrl_c_is_answered_also_while_a_secret_is_fetched(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    marker = tmp_path / "fetching"
    path.write_text(
        BAD.replace(
            "aliases: {x: y, y: x}",
            f"accounts: {{ana: {{password: {{command: [sh, -c, 'touch {marker}; exec sleep 250']}}}}}}",
        )
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "mailprov", "plan", str(path)], stderr=subprocess.PIPE, text=True
    )
    while not marker.exists():
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    # Time for a busy machine: without an answer to Ctrl-C the run ends all the same, with another exit code.
    _, said = run.communicate(timeout=600)

    assert run.returncode == 130
    assert said == "mailprov: interrupted; nothing is left half done by this command\n"
