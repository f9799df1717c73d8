"""Many accounts: what was compared before is one comparison, and whatever differs is looked at line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import files
from mailprov.agent.resources import passwd_file

PATH = "/etc/users"
ENTRIES = [["ana@a.test", "uno dos", "", "userdb_quota_rule=*:bytes=1024"], ["eva@a.test", "", "{X}y", ""]]


@pytest.fixture
def content(root: Path) -> bytes:
    """The passwd-file of ENTRIES, its fingerprints kept as an apply does it."""
    tree = files.Tree(str(root))
    files.make_state(tree)
    passwords = passwd_file.Passwords(tree)
    spec = {"path": PATH, "entries": ENTRIES}
    made = passwd_file.render(spec, passwd_file.compare(spec, None, passwords).lines, passwords)
    passwords.save()
    return made


def compared(root: Path, data: bytes, entries: list[list[str]] = ENTRIES) -> passwd_file.Comparison:
    passwords = passwd_file.Passwords(files.Tree(str(root)))
    found = passwd_file.compare({"path": PATH, "entries": entries}, data, passwords)
    passwords.save()
    return found


def looked(*given: Any) -> str:
    raise AssertionError("a single password was looked at")


def test_what_was_applied_is_one_comparison_and_writes_nothing(
    root: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = root / "var/lib/mailprov/passwords.json"
    before = kept.stat().st_ino, kept.stat().st_mtime_ns
    monkeypatch.setattr(passwd_file.Passwords, "_mark", looked)
    monkeypatch.setattr(passwd_file, "_verify", looked)
    assert compared(root, content) == ([], [], content)
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == before


def test_fingerprints_without_one_of_the_whole_get_it_at_the_next_comparison(
    root: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = root / "var/lib/mailprov/passwords.json"
    whole = f'"{passwd_file._WHOLE}"'
    assert whole in kept.read_text()
    kept.write_text(kept.read_text().replace(whole, '"/other"'))
    assert compared(root, content).changes == []
    monkeypatch.setattr(passwd_file.Passwords, "_mark", looked)
    assert compared(root, content).changes == []


def test_whatever_differs_is_found(root: Path, content: bytes) -> None:
    ana, eva = ENTRIES
    password, quota = [ana[0], "tres", *ana[2:]], [*ana[:3], ""]
    assert compared(root, content, [password, eva]).changes == [("update", ana[0], "password changed")]
    assert compared(root, content, [quota, eva]).changes == [("update", ana[0], "quota 1K → no quota")]
    assert compared(root, content, [ana]).changes == [("delete", eva[0], "its mail is kept")]
    by_hand = content.replace(b"$6$", b"$6$x")
    assert compared(root, by_hand).changes == [("update", ana[0], "password changed")]
    assert compared(root, content + b"# mine\n").content == content != content + b"# mine\n"


def test_fields_that_could_be_cut_elsewhere_are_never_taken_for_known(root: Path, content: bytes) -> None:
    passwords = passwd_file.Passwords(files.Tree(str(root)))
    passwords.remember_unchanged(PATH, [["a", "b\0c", "", ""]], content)
    passwords.save()
    assert not passwords.unchanged(PATH, [["a", "b\0c", "", ""]], content)
    assert not passwords.unchanged(PATH, [["a", "b", "c", "\0"]], content)
