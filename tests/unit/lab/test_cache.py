"""What of the cache may go: nothing that a lab needs, whether it runs or is stopped, and nothing half built."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from mailprov.errors import LabError
from mailprov.lab import cache
from mailprov.lab.mounts import Lock
from mailprov.lab.paths import paths
from mailprov.lab.state import lab_lock, save
from mailprov.model.events import Event
from tests.unit.lab.test_names_and_networks import DNS, HOST, STATE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a lab's cache is root's")


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAILPROV_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MAILPROV_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("mailprov.lab.cache.RUN_ROOT", tmp_path / "run")
    monkeypatch.setattr("mailprov.lab.state.RUN_ROOT", tmp_path / "run")
    monkeypatch.setattr("mailprov.lab.cache.require_machine", lambda emit, install: None)
    for name in ("debian-12/a-1", "debian-13/b-1", "debian-13/c-1", "debian-testing/.building", "dns/d-1"):
        (tmp_path / "cache/roots" / name).mkdir(parents=True)
        (tmp_path / "cache/roots" / name / "file").write_bytes(b"x" * 2**20)
    (tmp_path / "cache/proxy/packages").mkdir(parents=True)
    return tmp_path / "cache/roots"


def a_lab(roots: Path, phase: str) -> None:
    where = paths("demo")
    where.directory.mkdir(parents=True)
    host = dataclasses.replace(HOST, root=str(roots / "debian-13/c-1"))
    dns = dataclasses.replace(DNS, root=str(roots / "dns/d-1"))
    save(where, dataclasses.replace(STATE, phase=phase, dns=dns, hosts=(host,)))


def left(roots: Path) -> set[str]:
    return {str(path.relative_to(roots)) for path in roots.glob("*/*")}


@pytest.mark.parametrize("phase", ["up", "stopped"])
def test_what_a_lab_stands_on_stays(roots: Path, phase: str) -> None:
    a_lab(roots, phase)
    needed = {
        str(kept.path.relative_to(roots))
        for kept in cache.contents()
        if kept.labs and kept.name != "packages"
    }
    said: list[Event] = []
    freed = cache.clean(said.append)
    assert left(roots) == needed == {"debian-13/c-1", "dns/d-1"}
    assert 3 * 2**20 <= freed < 4 * 2**20
    assert (roots.parent / "proxy/packages").exists() == (phase == "up"), "hosts fetch through it"


def test_without_labs_nothing_stays(roots: Path) -> None:
    assert [kept.name for kept in cache.contents()] == [
        "debian-12", "debian-13", "debian-13", "debian-testing, unfinished", "dns", "packages",
    ]  # fmt: skip
    cache.clean(lambda event: None)
    assert cache.contents() == []


def test_what_is_being_built_and_a_lab_that_comes_up_are_left_alone(roots: Path) -> None:
    a_lab(roots, "starting")
    with Lock(roots / "debian-testing.lock"), Lock(roots / "debian-12.lock"):
        with (
            lab_lock(paths("demo")),
            pytest.raises(LabError, match="another mailprov is working on lab demo"),
        ):
            cache.clean(lambda event: None)
        assert len(left(roots)) == 5
        cache.clean(lambda event: None)
    assert left(roots) == {"debian-13/c-1", "dns/d-1", "debian-testing/.building", "debian-12/a-1"}


def test_a_root_of_a_stopped_lab_outlives_its_release(roots: Path) -> None:
    from mailprov.lab.rootfs import in_use

    a_lab(roots, "stopped")
    assert {roots / "debian-13/c-1", roots / "dns/d-1"} <= in_use()


def test_sizes_and_lines_fit_a_narrow_screen(roots: Path) -> None:
    kept = cache.Kept("debian-testing-with-95fd71", roots, 5 * 2**30, 90000, tuple("abcdefg"))
    assert str(kept) == "debian-testing-with-95fd71    5.0 GiB  lab a, b and 5 more"
    assert (
        str(dataclasses.replace(kept, labs=(), bytes=10))
        == "debian-testing-with-95fd71      0 MiB  yesterday"
    )
