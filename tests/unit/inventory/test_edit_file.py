"""The inventory on the disk while it is edited: whole or not at all, and nothing lost however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mailprov.errors import InputError
from mailprov.inventory.edit.file import Editing

OLD = b"\xef\xbb\xbf# ours\r\nhosts: {}\r\n"
NEW = "# ours\r\nhosts: {mx1: {}}\r\n"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "mail.yml"
    file.write_bytes(OLD)
    file.chmod(0o640)
    os.utime(file, (1, 2))
    return file


def names(path: Path) -> set[str]:
    return {each.name for each in path.parent.iterdir()}


def facts(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mode, status.st_uid, status.st_gid


def test_it_is_written_with_mode_owner_and_byte_order_mark(path: Path) -> None:
    if os.getuid() == 0:
        os.chown(path, 12345, 54321)
    before = facts(path)
    with Editing(path) as editing:
        assert editing.text == OLD.decode("utf-8-sig")
        editing.prepare(NEW)
        assert path.read_bytes() == OLD
        editing.write()
        editing.keep()
    assert path.read_bytes() == b"\xef\xbb\xbf" + NEW.encode()
    assert facts(path) == before
    assert names(path) == {"mail.yml"}


def test_it_is_put_back_as_the_very_same_file(path: Path) -> None:
    before = path.stat()
    with Editing(path) as editing:
        editing.prepare(NEW)
        editing.write()
        assert path.read_bytes() != OLD
        editing.restore()
    after = path.stat()
    assert path.read_bytes() == OLD
    assert (after.st_ino, after.st_mtime, after.st_mode) == (before.st_ino, before.st_mtime, before.st_mode)
    assert names(path) == {"mail.yml"}


@pytest.mark.parametrize("when", ["before", "prepared", "written"])
def test_what_is_interrupted_leaves_the_old_one(path: Path, when: str) -> None:
    def edit() -> None:
        with Editing(path) as editing:
            if when != "before":
                editing.prepare(NEW)
            if when == "written":
                editing.write()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edit()
    assert path.read_bytes() == OLD
    assert names(path) == {"mail.yml"}


def test_a_link_stays_one(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = folder / "link.yml"
    link.symlink_to("../mail.yml")
    for put_back in (True, False):
        with Editing(link) as editing:
            editing.prepare(NEW)
            editing.write()
            if not put_back:
                editing.keep()
        assert os.readlink(link) == "../mail.yml"
        assert (path.read_bytes() == OLD) == put_back


KILLED = """
import os, signal, sys
from pathlib import Path
from mailprov.inventory.edit.file import Editing
with Editing(Path(sys.argv[1])) as editing:
    editing.prepare({new!r})
    if sys.argv[2] != "prepared":
        if sys.argv[2] == "linked":
            os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        editing.write()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(path: Path, when: str) -> None:
    code = KILLED.format(new=NEW)
    done = subprocess.run([sys.executable, "-c", code, str(path), when], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL


def test_after_a_kill_the_old_one_is_there_and_the_next_edit_says_where(path: Path) -> None:
    killed(path, "written")
    assert path.read_bytes() == b"\xef\xbb\xbf" + NEW.encode()
    before = path.with_name(".mail.yml.before")
    assert before.read_bytes() == OLD
    for _time in range(2):
        with pytest.raises(InputError) as caught, Editing(path):
            raise AssertionError
        assert str(caught.value) == (
            f"{path}: was edited by a `mailprov account` that was killed; as it was before that, it stands in "
            f"{before}. Rename that file to {path} to have it back, or delete it to keep what stands there now."
        )
    os.replace(before, path)
    with Editing(path):
        pass
    assert path.read_bytes() == OLD
    assert names(path) == {"mail.yml"}


@pytest.mark.parametrize("when", ["prepared", "linked"])
def test_a_kill_before_anything_changed_is_forgotten(path: Path, when: str) -> None:
    killed(path, when)
    assert path.read_bytes() == OLD
    with Editing(path) as editing:
        assert editing.text == OLD.decode("utf-8-sig")
    assert names(path) == {"mail.yml"}


def test_two_at_once(path: Path) -> None:
    with Editing(path):
        with pytest.raises(InputError, match=rf"is being edited by another .* \(process {os.getpid()}\)"):
            Editing(path).__enter__()
        assert ".mail.yml.edit" in names(path)
    with Editing(path):
        pass


def test_what_somebody_changed_meanwhile_is_not_overwritten(path: Path) -> None:
    with Editing(path) as editing:
        editing.prepare(NEW)
        path.write_text("of somebody else")
        with pytest.raises(InputError, match="was changed by somebody else since it was read"):
            editing.write()
    assert path.read_text() == "of somebody else"
    assert names(path) == {"mail.yml"}


def test_what_somebody_changed_after_it_was_written_stays_beside_the_old_one(path: Path) -> None:
    def edit() -> None:
        with Editing(path) as editing:
            editing.prepare(NEW)
            editing.write()
            path.write_text("of somebody else")

    with pytest.raises(InputError, match="was changed by somebody else meanwhile"):
        edit()
    assert path.read_text() == "of somebody else"
    assert path.with_name(".mail.yml.before").read_bytes() == OLD


def test_a_file_without_write_bits_is_left_alone(path: Path) -> None:
    path.chmod(0o444)
    with pytest.raises(InputError, match="may not be written"):
        Editing(path).__enter__()
    assert names(path) == {"mail.yml"}


def test_one_with_another_hard_link_too(path: Path) -> None:
    os.link(path, path.with_name("same.yml"))
    with pytest.raises(InputError, match="has other hard links"):
        Editing(path).__enter__()
    assert names(path) == {"mail.yml", "same.yml"}


@pytest.mark.skipif(os.getuid() != 0, reason="gives a file to somebody else")
@pytest.mark.parametrize(("folder", "owner", "told"), [
    (0o755, 65534, "cannot be written: Permission denied"),
    (0o777, 12345, "belongs to another user or group"),
])  # fmt: skip
def test_a_folder_or_an_owner_that_cannot_be_is_said(path: Path, folder: int, owner: int, told: str) -> None:
    path.chmod(0o666)
    os.chown(path, owner, owner)
    path.parent.chmod(folder)
    for above in [*path.parent.parents][:-1]:
        above.chmod(above.stat().st_mode | 0o011)
    pid = os.fork()
    if not pid:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            with Editing(path) as editing:
                editing.prepare(NEW)
        except InputError as error:
            os._exit(0 if told in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert path.read_bytes() == OLD
    assert names(path) == {"mail.yml"}


def test_no_space(path: Path) -> None:
    """A limit on the size of files stands for a full disk: the same error, from the same call."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from mailprov.errors import InputError; from mailprov.inventory.edit.file import Editing\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with Editing(Path(sys.argv[1])) as editing:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5))\n"
        "    try: editing.prepare('x' * 100)\n"
        "    except InputError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        f"{path}: cannot be written: File too large. Nothing was changed; mend that and run this again.\n"
    )
    assert path.read_bytes() == OLD
    assert names(path) == {"mail.yml"}
