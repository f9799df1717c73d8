"""New files beside their places: what checkers see of them, and that nobody else does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mailprov.agent import files
from mailprov.agent.errors import AgentError
from mailprov.agent.journal import Journal
from mailprov.agent.transaction import staging

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts")


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /etc, without a root directory in front: the view is for real hosts only."""
    monkeypatch.setattr(staging, "_SEEN", f"{tmp_path}/etc/")
    monkeypatch.setattr(staging, "_VIEW", f"/run/mailprov-test-{os.getpid()}/view")
    place = tmp_path / "etc" / "postfix"
    place.mkdir(parents=True)
    place.chmod(0o750)
    (place / "main.cf").write_text("old\n")
    (place / "goes").write_text("soon\n")
    (place / "stays").write_text("as it is\n")
    return tmp_path / "etc"


def staged(etc: Path) -> staging.Stage:
    stage = staging.Stage(files.Tree())
    stage.put(f"{etc}/postfix/main.cf", b"new\n", 0o640, os.geteuid(), os.getegid())
    stage.put(f"{etc}/new/file", b"here\n", 0o600, os.geteuid(), os.getegid())
    stage.drop(f"{etc}/postfix/goes")
    return stage


LOOK = "cd {etc} && stat -c '%n %a' postfix postfix/main.cf && cat postfix/main.cf new/file postfix/stays && ls postfix"


@ROOT_ONLY
def test_a_checker_sees_what_will_be_and_nobody_else_does(etc: Path) -> None:
    stage = staged(etc)

    with stage.view() as prefix:
        assert prefix is not None, "root on Linux may mount"
        seen = subprocess.run(
            [*prefix, "sh", "-c", LOOK.format(etc=etc)], capture_output=True, text=True, check=True
        ).stdout
        assert (etc / "postfix/main.cf").read_text() == "old\n"
        assert (etc / "postfix/goes").exists()

    assert seen.split("\n") == [
        "postfix 750", "postfix/main.cf 640", "new", "here", "as it is", "main.cf", "stays", ""
    ]  # fmt: skip
    assert not Path(f"/run/mailprov-test-{os.getpid()}/view").exists(), "it held copies of private keys"
    os.rmdir(f"/run/mailprov-test-{os.getpid()}")
    assert str(etc) not in Path("/proc/self/mountinfo").read_text()


@ROOT_ONLY
def test_what_a_checker_writes_there_is_gone_with_it(etc: Path) -> None:
    with staged(etc).view() as prefix:
        assert prefix is not None
        subprocess.run([*prefix, "sh", "-c", f"echo by the checker > {etc}/postfix/main.cf"], check=True)
    os.rmdir(f"/run/mailprov-test-{os.getpid()}")

    assert (etc / "postfix/main.cf").read_text() == "old\n"


@ROOT_ONLY
def test_no_view_where_nobody_may_mount(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the files are checked in their places, as the journal says, and put back when they are refused."""
    monkeypatch.setattr(
        staging.commands, "run", lambda argv: staging.commands.Outcome(32, "", "not permitted")
    )

    with staged(etc).view() as prefix:
        assert prefix is None
    os.rmdir(f"/run/mailprov-test-{os.getpid()}")


def test_a_burst_that_was_killed_half_way_is_finished_by_calling_it_again(etc: Path) -> None:
    stage = staged(etc)
    os.rename(files.temporary_name(f"{etc}/postfix/main.cf"), f"{etc}/postfix/main.cf")

    staging.swap(files.Tree(), stage.moves)
    staging.swap(files.Tree(), stage.moves)

    assert sorted(str(path.relative_to(etc)) for path in etc.rglob("*") if path.is_file()) == [
        "new/file", "postfix/main.cf", "postfix/stays"
    ]  # fmt: skip
    assert (etc / "postfix/main.cf").read_text() == "new\n"


def test_a_place_that_cannot_be_taken_is_one_sentence(etc: Path) -> None:
    stage = staging.Stage(files.Tree())
    stage.put(f"{etc}/postfix", b"x", 0o600, -1, -1)

    with pytest.raises(AgentError, match=r"etc/postfix cannot be written: Is a directory"):
        staging.swap(files.Tree(), stage.moves)


@pytest.mark.parametrize(
    ("records", "begun"),
    [
        ([{"r": "begin"}], False),
        ([{"r": "swap", "moves": [], "checked": True}], True),
        ([{"r": "swap", "moves": [], "checked": False}], False),
        ([{"r": "swap", "moves": [], "checked": True}, {"r": "back"}], False),
    ],
)
def test_only_a_checked_burst_goes_on_after_a_crash(records: list[dict[str, object]], begun: bool) -> None:
    """One that had begun to go back goes back; its temporary files may be gone."""
    assert Journal(files.Tree(), records).must_finish is begun
