"""When files change under a daemon that runs: who is told, in which order, and what is waited for."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailprov.agent import files, readers, staging

OLD, BOTH = b"# who\nana@a.test:hash\n", b"# who\nana@a.test:other\neva@a.test:hash\n"


@pytest.fixture
def heard() -> Iterator[list[float]]:
    """When this process, which stands for Postfix's, was told to read its files anew."""
    times: list[float] = []
    before = signal.signal(signal.SIGHUP, lambda *_: times.append(time.monotonic()))
    yield times
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def spec(tmp_path: Path) -> readers.Spec:
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


def test_who_comes_comes_first_and_who_leaves_leaves_last(tmp_path: Path, spec: readers.Spec) -> None:
    tree, moves = staged(tmp_path, OLD, BOTH)
    assert readers.in_order(tree, moves, [spec]) == [["put", "/etc/users"], ["put", "/etc/tables"]]

    tree, moves = staged(tmp_path, BOTH, OLD)
    last = [["put", "/etc/tables"], ["pass"], ["put", "/etc/users"]]
    assert readers.in_order(tree, moves, [spec]) == last
    assert readers.in_order(tree, moves, []) == moves, "nobody delivers by it"


def test_the_daemon_is_told_at_the_end_of_the_burst(
    tmp_path: Path, spec: readers.Spec, heard: list[float]
) -> None:
    tree, moves = staged(tmp_path, OLD, BOTH)

    staging.swap(tree, moves, [spec])

    assert len(heard) == 1
    assert (tmp_path / "etc/tables").read_bytes() == b"new\n"


def test_an_account_stays_until_mail_on_its_way_is_delivered(
    tmp_path: Path, spec: readers.Spec, heard: list[float]
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
    staging.swap(tree, readers.in_order(tree, moves, [spec]), [spec])
    delivery.join()

    assert seen == [BOTH], "eva was there when her mail came"
    assert (tmp_path / "etc/users").read_bytes() == OLD
    assert len(heard) == 2


def test_mail_that_cannot_be_delivered_holds_nothing_up_for_long(
    tmp_path: Path, spec: readers.Spec, heard: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "PASS", 0.2)
    (tmp_path / "spool/active/4F2A").write_bytes(b"for a host that does not answer")

    readers.let_pass(files.Tree(str(tmp_path)), [spec])


@pytest.mark.parametrize("pid", ["", "not a number", "999999999", "1"])
def test_a_pid_file_that_is_not_true_any_more_tells_nobody(
    tmp_path: Path, spec: readers.Spec, heard: list[float], pid: str
) -> None:
    (tmp_path / "spool/pid/master.pid").write_text(pid)
    spec["main_process"][1] = "master"

    readers.tell(files.Tree(str(tmp_path)), [spec, {}])

    assert heard == []
