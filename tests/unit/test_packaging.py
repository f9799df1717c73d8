"""The built wheel works alone: templates and example inventories are in it, and found without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, as pip would lay it out."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(build, check=True, capture_output=True, cwd=ROOT)
    (wheel,) = folder.glob("mailprov-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_every_template_and_inventory_is_in_the_wheel(unpacked: Path) -> None:
    for room in ("templates", "inventories"):
        here = {path.relative_to(ROOT) for path in (ROOT / room).rglob("*") if path.is_file()}
        there = {
            path.relative_to(unpacked / "mailprov/_data")
            for path in (unpacked / "mailprov/_data" / room).rglob("*")
            if path.is_file()
        }
        assert there == here
        assert here


def test_the_wheel_renders_and_reads_without_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    code = (
        "import mailprov, sys; assert 'site' in mailprov.__file__, mailprov.__file__\n"
        "from mailprov.inventory import example_text; assert 'hosts:' in example_text()\n"
        "from mailprov.desired.templates import render\n"
        "from mailprov.wire.bundle import agent_modules; assert len(agent_modules()) > 10\n"
        "print('good')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "good\n", done.stderr
