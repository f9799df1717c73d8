"""When files change under a daemon that runs: who is told, in which order, and what is waited for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailprov.agent import files
from mailprov.agent.transaction import daemons, staging
from mailprov.model.host_state import AccountEntry
from tests.agent.driver import account_file, converse, state
from tests.agent.test_agent_rollback import roll_back

OLD, BOTH = b"# who\nana@a.test:hash\n", b"# who\nana@a.test:other\neva@a.test:hash\n"


@pytest.fixture
def heard() -> Iterator[list[float]]:
    """When this process, which stands for Postfix's, was told to read its files anew."""
    times: list[float] = []
    before = signal.signal(signal.SIGHUP, lambda *_: times.append(time.monotonic()))
    yield times
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def spec(tmp_path: Path) -> daemons.Spec:
    for name in ("etc", "spool/pid", "spool/active"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "spool/pid/master.pid").write_text(f"{os.getpid():>12}\n")
    name = Path("/proc/self/comm").read_text().strip()
    return {
        "main_process": ["/spool/pid/master.pid", name],
        "queue": "/spool",
        "delivers_by": ["/etc/users"],
    }


def staged(tmp_path: Path, was: bytes, users: bytes) -> tuple[files.Tree, list[staging.Move]]:
    tree = files.Tree(str(tmp_path))
    (tmp_path / "etc/users").write_bytes(was)
    stage = staging.Stage(tree)
    stage.put("/etc/users", users, 0o600, -1, -1)
    stage.put("/etc/tables", b"new\n", 0o600, -1, -1)
    return tree, stage.moves


def test_who_comes_comes_first_and_who_leaves_leaves_last(tmp_path: Path, spec: daemons.Spec) -> None:
    tree, moves = staged(tmp_path, OLD, BOTH)
    assert daemons.in_order(tree, moves, [spec]) == [["put", "/etc/users"], ["put", "/etc/tables"]]

    tree, moves = staged(tmp_path, BOTH, OLD)
    last = [["put", "/etc/tables"], ["pass"], ["put", "/etc/users"]]
    assert daemons.in_order(tree, moves, [spec]) == last
    assert daemons.in_order(tree, moves, []) == moves, "nobody delivers by it"


def test_the_daemon_is_told_at_the_end_of_the_burst(
    tmp_path: Path, spec: daemons.Spec, heard: list[float]
) -> None:
    tree, moves = staged(tmp_path, OLD, BOTH)

    staging.swap(tree, moves, [spec])

    assert len(heard) == 1
    assert (tmp_path / "etc/tables").read_bytes() == b"new\n"


def test_an_account_stays_until_mail_on_its_way_is_delivered(
    tmp_path: Path, spec: daemons.Spec, heard: list[float]
) -> None:
    tree, moves = staged(tmp_path, BOTH, OLD)
    message = tmp_path / "spool/active/4F2A"
    message.write_bytes(b"for eva")
    seen: list[bytes] = []

    def deliver() -> None:
        seen.append((tmp_path / "etc/users").read_bytes())
        message.unlink()

    delivery = threading.Timer(0.25, deliver)
    delivery.start()
    staging.swap(tree, daemons.in_order(tree, moves, [spec]), [spec])
    delivery.join()

    assert seen == [BOTH], "eva was there when her mail came"
    assert (tmp_path / "etc/users").read_bytes() == OLD
    assert len(heard) == 2


def test_mail_that_cannot_be_delivered_holds_nothing_up_for_long(
    tmp_path: Path, spec: daemons.Spec, heard: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemons, "PASS", 0.2)
    (tmp_path / "spool/active/4F2A").write_bytes(b"for a host that does not answer")

    daemons.drain_queue(files.Tree(str(tmp_path)), [spec])


@pytest.mark.parametrize("pid", ["", "not a number", "999999999", "1"])
def test_a_pid_file_that_is_not_true_any_more_tells_nobody(
    tmp_path: Path, spec: daemons.Spec, heard: list[float], pid: str
) -> None:
    (tmp_path / "spool/pid/master.pid").write_text(pid)
    spec["main_process"][1] = "master"

    daemons.reload(files.Tree(str(tmp_path)), [spec, {}])

    assert heard == []


@pytest.fixture
def dovecot(tmp_path: Path) -> Iterator[None]:
    """A process of that name, and the pid file of Dovecot's main process."""
    program = tmp_path / "dovecot"
    program.symlink_to(shutil.which("sleep") or "/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as process:
        (tmp_path / "run/dovecot").mkdir(parents=True)
        (tmp_path / "run/dovecot/master.pid").write_text(f"{process.pid}\n")
        yield
        process.kill()


def users(**passwords: str) -> dict[str, object]:
    entries = [AccountEntry(f"{name}@a.test", password=password) for name, password in passwords.items()]
    return state(account_files=(account_file("/etc/users", *entries),))


@pytest.mark.usefixtures("dovecot")
def test_an_apply_and_its_rollback_are_done_when_dovecot_knows_the_passwords(tmp_path: Path) -> None:
    def second_of_change() -> int:
        return int((tmp_path / "etc/users").stat().st_ctime)

    for run, password in (("first", "one"), ("second", "two")):
        assert converse(tmp_path, users(ana=password), run=run)[-1]["status"] == "ok"
        assert int(time.time()) > second_of_change(), "in that second the old password may be good"

    assert roll_back(tmp_path) == [("update", "account", "ana@a.test")]
    assert int(time.time()) > second_of_change()


def test_where_no_dovecot_runs_nobody_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users").write_bytes(OLD)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    daemons.await_passwd_reload(files.Tree(str(tmp_path)), ["/users", "/gone"])
