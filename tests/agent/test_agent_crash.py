"""SIGKILL at system calls that change something; the next run finds all of the old or all of the new.

Every eleventh call; with MAILPROV_FAULTS=full in the environment every single one.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from mailprov.model.host_state import AccountEntry
from tests.agent.driver import Agent, account_file, contents, converse, directory, file, job, of_kind, state

EVERY = 1 if os.environ.get("MAILPROV_FAULTS") == "full" else 11

# A killed process loses nothing that it has written, so the disk need not be waited for hundreds of times.
NO_FSYNC = "import os\nos.fsync = lambda handle: None\n"

# Runs in the agent's process: dies right before the nth call, or, with `torn`, after half of what it writes.
KILLER = (
    NO_FSYNC
    + """
import os, signal
left = [{n}]
guardian = os.getpid()
def die():
    if {whole}:
        os.kill(os.getppid(), signal.SIGKILL)  # as in a power cut, its guardian dies with it
    os.kill(os.getpid(), signal.SIGKILL)
def wrap(name, real):
    def call(*args, **more):
        left[0] -= os.getpid() != guardian
        if left[0] == 0 and os.getpid() != guardian:
            if name == "write":
                real(args[0], bytes(args[1])[: len(args[1]) // 2])
            die()
        return real(*args, **more)
    setattr(os, name, call)
for name in ("rename", "unlink", "rmdir", "mkdir", "symlink", "fchmod", "fchown", "fsync"):
    wrap(name, getattr(os, name))
"""
)
# Messages are written by os.write too: only writes to files count.
KILLER += """
real_write = os.write
def write(handle, data):
    import stat
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return counted(handle, data)
    return real_write(handle, data)
wrap("write", real_write)
counted, os.write = os.write, write
"""


def old() -> dict[str, Any]:
    return state(
        directories=(directory("/var/vmail", "0750"),),
        files=(file("/etc/postfix/main.cf", "old\n"), file("/etc/goes/away", "soon\n")),
        account_files=(account_file("/etc/dovecot/users", AccountEntry("ana@a.test", hash="{PLAIN}x")),),
    )


def new() -> dict[str, Any]:
    return state(
        directories=(directory("/var/vmail", "0700"), directory("/srv/more")),
        files=(
            file("/etc/postfix/main.cf", "new\n", mode="0600"),
            file("/etc/comes/here", "now\n"),
            file("/etc/was/link", "no longer\n"),
        ),
        account_files=(
            account_file("/etc/dovecot/users", AccountEntry("ana@a.test", hash="{PLAIN}y"), mode="0600"),
        ),
    )


def prepare(root: Path) -> None:
    assert converse(root, old(), before=NO_FSYNC)[-1]["status"] == "ok"
    (root / "etc/was").mkdir()
    (root / "etc/was/link").symlink_to("/etc/hostname")


def daemons_see(root: Path) -> list[str]:
    """Content of every file or link in /etc that has its final name."""
    paths = [path for path in sorted((root / "etc").rglob("*")) if not path.name.endswith(".mailprov")]
    return [
        f"{path.relative_to(root)} {os.readlink(path) if path.is_symlink() else path.read_text()}"
        for path in paths
        if path.is_symlink() or path.is_file()
    ]


def recovered(root: Path) -> None:
    """The next run, as far as its recovery; then its controller goes away."""
    agent = Agent(None, job(str(root)), NO_FSYNC)
    agent.until("facts")
    agent.send("cancel")
    agent.end()


def expected(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    states = []
    for name in ("old", "new"):
        root = tmp_path / name
        root.mkdir()
        prepare(root)
        if name == "new":
            assert converse(root, new(), before=NO_FSYNC)[-1]["status"] == "ok"
        states.append(contents(root))
    return states[0], states[1]


def kill_at(root: Path, n: int) -> bool:
    """One apply of the new state that dies before its nth change; False when it had fewer."""
    agent = Agent(None, job(str(root)), KILLER.format(n=n, whole=True))
    agent.go(new())
    code = agent.died()
    assert code in (0, -signal.SIGKILL)
    return code != 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_anywhere_the_next_run_finds_all_of_the_old_or_all_of_the_new(tmp_path: Path) -> None:
    wanted = expected(tmp_path)
    outcomes = []
    early = 0
    (tmp_path / "start").mkdir()
    prepare(tmp_path / "start")
    for n in range(1, 1000, EVERY):
        root = tmp_path / str(n)
        shutil.copytree(tmp_path / "start", root, symlinks=True)
        if not kill_at(root, n):
            break
        # Even before that recovery a daemon that looks sees whole files, and all of the old ones until the burst of
        # renames: nobody may be there to recover when the host boots again.
        assert (root / "etc/postfix/main.cf").read_text() in ("old\n", "new\n"), f"killed at call {n}"
        log = root / "var/lib/mailprov/journal/log"
        if log.exists() and '"r": "swap"' not in log.read_text():
            early += 1
            assert daemons_see(root) == daemons_see(tmp_path / "start"), f"killed at call {n}"
        recovered(root)
        found = contents(root)
        assert found in wanted, f"killed at call {n}: neither the old nor the new state"
        outcomes.append(wanted.index(found))

        assert converse(root, new(), before=NO_FSYNC)[-1]["status"] == "ok", f"killed at call {n}"
        assert contents(root) == wanted[1], f"killed at call {n}"
        assert of_kind(converse(root, new(), mode="plan"), "plan")[0]["changes"] == []
        left = [path for path in root.rglob(".*.mailprov") if "runs" not in path.parts]
        assert left == [], "a temporary file was left where it is not part of a run's record"

    assert len(outcomes) > 60 / EVERY
    assert early > 20 / EVERY
    assert outcomes == sorted(outcomes), "after the commit point nothing goes back"
    assert {0, 1} == set(outcomes)


def test_a_plan_tells_of_an_interrupted_run_and_leaves_it_alone(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert kill_at(tmp_path, 30)
    before = contents(tmp_path, without="^$")
    messages = converse(tmp_path, new(), mode="plan")

    told = [message["text"] for message in messages if message["t"] == "notice"]
    assert len(told) == 1
    assert told[0].startswith("an earlier run of ana@laptop mailprov apply at 20")
    assert told[0].endswith(
        "was interrupted before its commit point; the next apply puts back what it had written"
    )
    assert contents(tmp_path, without="^$") == before


def test_a_recovery_that_is_killed_itself_is_recovered(tmp_path: Path) -> None:
    (tmp_path / "wanted").mkdir()
    wanted = expected(tmp_path / "wanted")
    for n in range(1, 12, EVERY):
        root = tmp_path / str(n)
        root.mkdir()
        prepare(root)
        assert kill_at(root, 45)
        agent = Agent(None, job(str(root)), KILLER.format(n=n, whole=True))
        agent.send("cancel")
        agent.died()
        recovered(root)

        assert contents(root) == wanted[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_an_agent_that_is_killed_is_made_up_for_at_once(tmp_path: Path) -> None:
    """No next run is needed: its guardian puts back what it had written, or brings all of it to its place."""
    wanted = expected(tmp_path)
    outcomes = []
    (tmp_path / "start").mkdir()
    prepare(tmp_path / "start")
    for n in range(1, 1000, 2 * EVERY):
        root = tmp_path / str(n)
        shutil.copytree(tmp_path / "start", root, symlinks=True)
        agent = Agent(None, job(str(root)), KILLER.format(n=n, whole=False))
        agent.go(new())
        end = agent.end()
        if end["status"] == "ok":
            break
        assert end["what"].startswith("the agent on the host was killed (signal 9); "), end
        found = contents(root)
        assert found in wanted, f"killed at call {n}: neither the old nor the new state: {end['what']}"
        outcomes.append(wanted.index(found))

    assert len(outcomes) > 30 / EVERY
    assert {0, 1} == set(outcomes)
