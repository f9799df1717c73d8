"""The start scripts under real shells, with a `sudo` that behaves as the test says.

The stand-in reads byte by byte (C sudo) or all there is (sudo-rs), asks up to three times, and writes down
what it was asked. The real sudo and sudo-rs are tried on real hosts in tests/lab/test_sudo.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov.transport.endpoint import Endpoint
from mailprov.transport.start.start_errors import explain
from mailprov.transport.start.sudo import Become, bootstrap_command, remote_command
from mailprov.wire.bundle import loader
from mailprov.wire.messages import decode_line, encode_start, pack

SUDO = """\
#!{python} -IS
import os, sys
kind, password, nopasswd, log = {kind!r}, {password!r}, {nopasswd!r}, {log!r}
arguments = sys.argv[1:]
def note(text):
    with open(log, "a") as file:
        file.write(text + "\\n")
buffered = open(0, "rb", 8192, closefd=False)
def line():
    if kind == "rs":
        return buffered.readline() or b"\\n"
    found = b""
    while not found.endswith(b"\\n"):
        byte = os.read(0, 1)
        if not byte:
            return None
        found += byte
    return found
if arguments == ["--version"]:
    print("sudo-rs 0.2.5" if kind == "rs" else "Sudo version 1.9.13p3")
    sys.exit(0)
rest = arguments[arguments.index("--") + 1:] if "--" in arguments else []
if not nopasswd:
    if "-n" in arguments:
        note("-n refused")
        sys.exit("sudo: a password is required")
    for attempt in range(3):
        given = line()
        if given is None:
            sys.exit("sudo: no password was provided")
        if given == password.encode() + b"\\n":
            break
        note("wrong " + repr(given))
        print("sudo: try again", file=sys.stderr)
    else:
        sys.exit("sudo: 3 incorrect password attempts")
    note("right")
if "-v" not in arguments:
    note("runs " + os.path.basename(rest[0]))
    os.execv(rest[0], rest)
"""

BOOT = """\
import json
def run(job, stdin):
    print(job["tag"], json.dumps({"t": "end", "rest": stdin.read().decode()}), flush=True)
"""
IMPORTER = (Path(__file__).parents[3] / "mailprov/wire/importer.py").read_text()
MODULES = {
    "mailprov": "",
    "mailprov.agent": "",
    "mailprov.agent.main": BOOT,
    "mailprov.wire.importer": IMPORTER,
}
PAYLOAD = encode_start(pack(MODULES), {"tag": "aa11"}) + b"control\n"


class Place:
    """A directory with a stand-in sudo first in PATH."""

    def __init__(
        self, folder: Path, kind: str = "c", password: str = "right", nopasswd: bool = False
    ) -> None:
        self.log = folder / "log"
        self.log.write_text("")
        self.bin = folder / "bin"
        self.bin.mkdir()
        sudo = self.bin / "sudo"
        sudo.write_text(
            SUDO.format(
                python=sys.executable, kind=kind, password=password, nopasswd=nopasswd, log=str(self.log)
            )
        )
        sudo.chmod(0o755)

    def start(self, become: Become, shell: str = "/bin/sh") -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [shell, "-c", remote_command(become)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.bin)},
        )

    def attempts(self) -> list[str]:
        return self.log.read_text().splitlines()


def converse(process: subprocess.Popen[bytes], password: str) -> tuple[list[bytes], bytes]:
    """As transport.ssh.client does: the password at once, the payload after READY. Gives stdout lines and stderr."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(password.encode() + b"\n")
    process.stdin.flush()
    first = process.stdout.readline()
    if first == b"MAILPROV1 ready\n":
        out, err = process.communicate(PAYLOAD, timeout=120)
    else:
        out, err = process.communicate(timeout=120)  # closes stdin
    return (first + out).splitlines(), err


@pytest.mark.parametrize("kind", ["c", "rs"])
@pytest.mark.parametrize("password", ["right", 'q"u o$t%s\\n`', "MAILPROV1 1 2", " blanks ", "sécret"])
def test_the_right_password_starts_the_agent(tmp_path: Path, kind: str, password: str) -> None:
    place = Place(tmp_path, kind, password)
    lines, _ = converse(place.start(Become.PASSWORD), password)
    assert lines[0] == b"MAILPROV1 ready"
    assert decode_line(lines[1], "aa11") == {"t": "end", "rest": "control\n"}
    assert lines[2] == b"MAILPROV1 ended 0"
    assert not [note for note in place.attempts() if note.startswith("wrong")]


@pytest.mark.parametrize("kind", ["c", "rs"])
def test_a_wrong_password_is_one_attempt(tmp_path: Path, kind: str) -> None:
    place = Place(tmp_path, kind)
    lines, _ = converse(place.start(Become.PASSWORD), "wrong")
    assert lines == [b"MAILPROV1 sudo-denied"]
    assert [note for note in place.attempts() if note != "-n refused"] == ["wrong b'wrong\\n'"]


def test_sudo_rs_is_not_asked_with_n_because_it_counts_as_an_attempt(tmp_path: Path) -> None:
    place = Place(tmp_path, "rs")
    converse(place.start(Become.PASSWORD), "right")
    assert place.attempts() == ["right", "right", "runs python3"]


@pytest.mark.parametrize("kind", ["c", "rs"])
def test_a_password_that_is_not_wanted_is_dropped(tmp_path: Path, kind: str) -> None:
    place = Place(tmp_path, kind, nopasswd=True)
    lines, err = converse(place.start(Become.PASSWORD), "s3cret; import os")
    assert decode_line(lines[1], "aa11") == {"t": "end", "rest": "control\n"}
    assert b"s3cret" not in err + b"".join(lines)
    assert set(place.attempts()) == {"runs python3"}


@pytest.mark.parametrize("kind", ["c", "rs"])
def test_without_a_password_the_payload_goes_at_once(tmp_path: Path, kind: str) -> None:
    out, _ = Place(tmp_path, kind, nopasswd=True).start(Become.FREE).communicate(PAYLOAD, timeout=120)
    assert decode_line(out.splitlines()[1], "aa11") == {"t": "end", "rest": "control\n"}


def test_without_a_password_where_one_is_wanted_nothing_runs(tmp_path: Path) -> None:
    place = Place(tmp_path)
    process = place.start(Become.FREE)
    out, err = process.communicate(PAYLOAD, timeout=120)
    assert (process.returncode, out) == (1, b"")
    assert b"a password is required" in err
    assert place.attempts() == ["-n refused"]


def test_no_sudo_is_told(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for become in (Become.FREE, Become.PASSWORD):
        done = subprocess.run(
            ["/bin/sh", "-c", remote_command(become)],
            input=b"",
            capture_output=True,
            env={"PATH": str(empty)},
            check=False,
        )
        assert done.stdout == b"MAILPROV1 no-sudo\n"


@pytest.mark.parametrize("become", list(Become))
@pytest.mark.parametrize("made", [remote_command, bootstrap_command])
def test_the_command_is_three_words_that_no_shell_touches(
    become: Become, made: Callable[[Become], str]
) -> None:
    command = made(become)
    words = re.fullmatch(r"exec /bin/sh -c '([^']*)' sh '([^']*)' '([^']*)'", command)
    assert words
    assert words.group(2) == loader()
    assert not re.search(r"[!\n\r]", command)  # csh's history, and lines
    assert not re.search(r"\\['\\]", command)  # what fish unescapes within single quotes


@pytest.mark.parametrize("shell", ["dash", "bash", "zsh", "fish", "csh", "tcsh"])
@pytest.mark.parametrize("become", list(Become))
def test_login_shells(tmp_path: Path, shell: str, become: Become) -> None:
    if not (path := shutil.which(shell)):
        pytest.skip(f"{shell} is not installed here")
    place = Place(tmp_path, nopasswd=become is Become.FREE)
    process = place.start(become, path)
    if become is Become.PASSWORD:
        lines, _ = converse(process, "right")
    else:
        lines = process.communicate(PAYLOAD, timeout=120)[0].splitlines()
    assert decode_line(lines[1], "aa11") == {"t": "end", "rest": "control\n"}


PLACE = Endpoint("mx1", "mx1", "10.0.0.11", 22, "ana")


@pytest.mark.parametrize(
    ("become", "word", "status", "noise", "sentence"),
    [
        (
            Become.FREE,
            "over",
            1,
            ["sudo: a password is required"],
            "mx1: ana may not use sudo without a password on mx1. "
            "Give `ssh.become_password`, or add a NOPASSWD "
            "rule for this user.",
        ),
        (
            Become.PASSWORD,
            "sudo-denied",
            1,
            ["Sorry, try again."],
            "mx1: sudo on mx1 refused the password of ana. "
            "Check `ssh.become_password`; one attempt was made, and "
            "nothing else was sent.",
        ),
        (
            Become.PASSWORD,
            "sudo-denied",
            1,
            ["Sorry, user ana may not run sudo on m1."],
            "mx1: ana may not use sudo on mx1 to run python3 as root "
            "(Sorry, user ana may not run sudo on m1.). "
            "Add a sudoers rule for ana there, or log in as root.",
        ),
        (
            Become.FREE,
            "over",
            1,
            ["sudo: unheard-of trouble"],
            "mx1: sudo on mx1 did not run python3 for ana (sudo: unheard-of trouble). Try it there: sudo -v.",
        ),
        (
            Become.FREE,
            "no-sudo",
            127,
            [],
            "mx1: ana is not root, and there is no sudo on the host. "
            "Install sudo there, or set `ssh.user: root`.",
        ),
        (
            Become.NOT,
            "no-python",
            127,
            [],
            "mx1: there is no python3 on the host. Install it there: apt-get install python3, or run apply with "
            "--bootstrap-python.",
        ),
        (
            Become.NOT,
            "over",
            1,
            ["This account is currently not available."],
            "mx1: the account ana may not run commands (This account is currently not available.). "
            "Give it a shell "
            "on the host (usermod -s /bin/sh ana), or set another `ssh.user`.",
        ),
        (
            Become.NOT,
            "over",
            1,
            [],
            "mx1: the login shell of ana ended at once without running anything (exit status 1). "
            "A shell such as "
            "/bin/false, or a forced command, does this: give ana a real shell.",
        ),
        (
            Become.NOT,
            "over",
            None,
            [],
            "mx1: the connection was lost while the agent was started. "
            "Try again; look at the host's sshd log.",
        ),
        (
            Become.NOT,
            "over",
            1,
            ["ImportError: no json"],
            "mx1: the agent could not be started as ana, exit status 1 (ImportError: no json). "
            "Run a command by hand "
            "(ssh, then python3 --version) to see what prevents it.",
        ),
        (
            Become.NOT,
            "silent",
            None,
            ["press enter"],
            "mx1: the login as ana worked, but no command came to run within a minute (press enter). "
            "Look for what "
            "the login shell's start-up files wait for, and at the load of the host.",
        ),
    ],
)
def test_refusals(become: Become, word: str, status: int | None, noise: list[str], sentence: str) -> None:
    assert str(explain(PLACE, become, word, status, noise)) == sentence
