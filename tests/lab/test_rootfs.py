"""The cache of roots, with a stand-in for mmdebstrap that is quick and counts its calls."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailprov.lab.releases import RELEASES
from mailprov.lab.rootfs import WEEK, ensure_roots
from tests.lab.labs import silent

pytestmark = pytest.mark.lab

MMDEBSTRAP = """#!/bin/sh
for target; do :; done
echo built >>"$MAILPROV_LAB_CACHE/count"
mkdir -p "$target/etc/ssh" "$target/etc/default"
touch "$target/etc/ssh/ssh_host_rsa_key" "$target/etc/resolv.conf"
sleep 0.5
"""
ENSURE = """
from mailprov.lab.releases import RELEASES
from mailprov.lab.rootfs import ensure_roots
print(ensure_roots([RELEASES["debian-12"]], lambda event: None)["debian-12"])
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tool = tmp_path / "bin" / "mmdebstrap"
    tool.parent.mkdir()
    tool.write_text(MMDEBSTRAP)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("MAILPROV_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def builds(cache: Path) -> int:
    return len((cache / "count").read_text().splitlines())


def test_two_at_once_build_once(cache: Path) -> None:
    both = [
        subprocess.Popen([sys.executable, "-c", ENSURE], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    paths = {each.communicate(timeout=60)[0].strip() for each in both}
    assert [each.returncode for each in both] == [0, 0]
    assert len(paths) == 1
    root = Path(paths.pop())
    assert builds(cache) == 1
    assert not (root / "etc/ssh/ssh_host_rsa_key").exists()
    assert not (root / "etc/resolv.conf").exists()
    assert os.readlink(root / "etc/systemd/system/apt-daily.timer") == "/dev/null"
    assert [path.name for path in root.parent.iterdir()] == [root.name]


def test_a_root_is_used_for_a_week_and_then_renewed(cache: Path) -> None:
    recipe = RELEASES["debian-12"]
    first = ensure_roots([recipe], silent)[recipe.name]
    assert ensure_roots([recipe], silent)[recipe.name] == first
    assert builds(cache) == 1
    stamp, _, built = first.name.partition("-")
    old = first.rename(first.with_name(f"{stamp}-{int(built) - WEEK}"))
    renewed = ensure_roots([recipe], silent)[recipe.name]
    assert renewed != old
    assert builds(cache) == 2
    assert old.exists()  # it may have been chosen a moment ago
    os.utime(old, (0, 0))
    renewed.rename(renewed.with_name(f"{stamp}-{int(built) - WEEK - 1}"))
    ensure_roots([recipe], silent)
    assert not old.exists()


def test_another_recipe_is_another_root(cache: Path) -> None:
    from dataclasses import replace

    recipe = RELEASES["debian-12"]
    first = ensure_roots([recipe], silent)[recipe.name]
    second = ensure_roots([replace(recipe, packages=("systemd",))], silent)[recipe.name]
    assert first != second
    assert builds(cache) == 2


def test_a_root_in_use_is_not_deleted(cache: Path, tmp_path: Path) -> None:
    recipe = RELEASES["debian-12"]
    first = ensure_roots([recipe], silent)[recipe.name]
    stamp, _, built = first.name.partition("-")
    old = first.rename(first.with_name(f"{stamp}-{int(built) - WEEK}"))
    for name in ("upper", "work", "root"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={old},upperdir={tmp_path / 'upper'},workdir={tmp_path / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, tmp_path / "root"], check=True)
    try:
        os.utime(old, (0, 0))
        ensure_roots([recipe], silent)
        assert old.exists()
    finally:
        subprocess.run(["umount", tmp_path / "root"], check=True)
