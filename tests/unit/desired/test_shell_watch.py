"""What holds shell users to their quota (templates/shell/watch.py.j2): when sessions end, and when they go on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mailprov.components.templates import render

MOST = 60 << 20
NAME, UID = "ana", 1001


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Any:
    names: dict[str, Any] = {"__name__": "watch"}
    text = render("shell/watch.py.j2", wanted="/nowhere", script="/nowhere")
    exec(compile(text, "watch.py", "exec"), names)
    made = names["Disk"]({NAME: (UID, "/nowhere", MOST)}, lambda name, out: None)
    for method in ("reclaim", "limit", "free"):
        monkeypatch.setattr(made, method, lambda *_: {})
    return made


def look(disk: Any, *, size: int = 0, files: int = 1) -> bool:
    """Whether the user is out after it."""
    disk.used = lambda: {UID: [size, files]}
    disk.look()
    return NAME in disk.out


def test_who_has_too_much_goes_on_reading_and_deleting(disk: Any) -> None:
    assert not look(disk, size=MOST + 1)
    assert not look(disk, size=MOST + 1)
    assert list(disk.full) == [NAME]
    assert not look(disk, size=MOST)
    assert not disk.full


@pytest.mark.parametrize("grown", [{"size": 2 * MOST + (20 << 20)}, {"files": 100_000}])
def test_who_is_far_beyond_is_out_at_the_first_look_and_at_the_second(
    disk: Any, grown: dict[str, int]
) -> None:
    assert look(disk, **grown)
    assert not look(disk)
    assert not look(disk, size=MOST + 1, files=10_001)
    assert look(disk, **grown)


def test_who_grows_when_writing_was_stopped_is_out(disk: Any) -> None:
    look(disk, files=10_001)
    assert not look(disk, files=11_000)
    assert not look(disk, files=11_900)
    assert look(disk, files=12_100)


def test_counting_ends_at_whoever_is_far_beyond(
    disk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And tells nothing of the others then: they are neither held nor free again by half a count."""
    uid = os.getuid()
    disk.users = {NAME: (uid, str(tmp_path), MOST), "eva": (uid + 1, str(tmp_path), MOST)}
    monkeypatch.setattr(disk, "places", lambda: [str(tmp_path)])
    monkeypatch.setattr(disk, "processes", lambda: ())
    monkeypatch.setattr(type(disk), "files", staticmethod(lambda most: 10))
    for number in range(1100):
        (tmp_path / str(number)).mkdir()
    disk.full["eva"] = (MOST + 1, 1)
    disk.look()
    assert (disk.out, list(disk.full)) == ({NAME}, ["eva", NAME])
    assert {each: files for each, (_, files) in disk.used().items()} == {uid: 1101, uid + 1: 0}
