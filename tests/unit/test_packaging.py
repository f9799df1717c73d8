"""The built wheel works alone: templates and example inventories are in it, and found without the checkout.

And what `make` installs is exactly what requirements.lock has been made from: each file by its hash.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mailprov import __version__
from mailprov.__main__ import OLDEST
from scripts.reference import man

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(build, check=True, capture_output=True, cwd=ROOT)
    (built,) = folder.glob("mailprov-*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    """The wheel's content, as pip would lay it out."""
    folder = wheel.parent
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_every_template_and_inventory_is_in_the_wheel(unpacked: Path) -> None:
    for folder in ("templates", "inventories"):
        here = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
        there = {
            path.relative_to(unpacked / "mailprov/_data")
            for path in (unpacked / "mailprov/_data" / folder).rglob("*")
            if path.is_file()
        }
        assert there == here
        assert here


def test_the_manual_page_is_in_the_wheel_where_man_finds_it(unpacked: Path) -> None:
    """As in `pip install --prefix /usr/local`: share/man/man1; written from the commands when the wheel was built."""
    (page,) = unpacked.glob("mailprov-*.data/data/share/man/man1/mailprov.1")

    assert page.read_text() == man.page(__version__)


def test_the_wheel_renders_and_reads_without_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    code = (
        "import mailprov, sys; assert 'site' in mailprov.__file__, mailprov.__file__\n"
        "from mailprov.inventory import example_text; assert 'hosts:' in example_text()\n"
        "from mailprov.components.templates import render\n"
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


def test_a_python_that_is_too_old_gets_one_sentence(tmp_path: Path) -> None:
    """What it meets before it is told must be words that it knows."""
    for name in ("__init__", "__main__"):
        ast.parse((ROOT / f"mailprov/{name}.py").read_text(), feature_version=(3, 6))
    code = (
        "import sys; sys.version_info = (3, 9, 2, 'final', 0); sys.argv = ['mailprov', 'plan']\n"
        "from mailprov.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "mailprov: this is Python 3.9, and mailprov needs 3.10 or newer: "
        "make its venv with one, such as python3.11 -m venv.\n"
    )
    project = (ROOT / "pyproject.toml").read_text()
    assert f'requires-python = ">={OLDEST[0]}.{OLDEST[1]}"' in project


def requirements(lock: str) -> list[tuple[str, str]]:
    """Each requirement of a lock: its name, and its line, continued lines joined."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
    return [(re.split(r"[=<>;\[ ]", line)[0], line) for line in lines if line and not line.startswith("#")]


def locked() -> dict[str, str]:
    return dict(requirements("requirements.lock"))


def test_every_requirement_is_one_version_with_hashes() -> None:
    found = locked()
    assert {"paramiko", "cryptography", "dnspython", "pytest", "hatchling", "editables", "tomli"} <= set(
        found
    )
    for name, line in found.items():
        assert re.match(rf"{re.escape(name)}==[\w.]+( ;|  )", line), line
        hashes = line.split("--hash=")[1:]
        assert hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in hashes), name
    # On every platform and Python: wheels of all of them, and the source.
    assert len(found["cryptography"].split("--hash=")) > 20
    assert "://" not in (ROOT / "requirements.lock").read_text()


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [("requirements-docs.lock", {"mkdocs", "mkdocs-material"}), ("requirements-users.lock", {"selenium"})],
)
def test_what_else_is_installed_beside_the_rest_is_locked_and_agrees(lock: str, wanted: set[str]) -> None:
    """Where a release of it needs a newer Python there are two versions."""
    found = requirements(lock)
    assert wanted <= {name for name, _ in found}
    for name, line in found:
        assert re.match(rf"{re.escape(name)}==[\w.]+( ;|  )", line), line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in line.split("--hash=")[1:]), name
        assert "--hash=" in line, name
        if name in locked():
            assert line.split()[0] == locked()[name].split()[0]
    assert "://" not in (ROOT / lock).read_text()


@pytest.mark.parametrize("kind", ["right", "wrong", "none"])
def test_setup_installs_no_file_with_another_hash(wheel: Path, tmp_path: Path, kind: str) -> None:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    option = {"right": f" --hash=sha256:{digest}", "wrong": f" --hash=sha256:{other}", "none": ""}[kind]
    version = wheel.name.split("-")[1]
    (tmp_path / "requirements.lock").write_text(f"mailprov=={version}{option}\n")
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/setup", tmp_path / "scripts/setup")
    python = tmp_path / ".venv/bin/python"  # pip installs into a folder instead
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        [tmp_path / "scripts/setup"],
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheel.parent),
            "PIP_TARGET": str(tmp_path / "target"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "target/mailprov").is_dir() == (kind == "right"), done.stderr
    why = {
        "right": "",
        "wrong": "DO NOT MATCH THE HASHES",
        "none": "Hashes are required in --require-hashes mode",
    }
    assert why[kind] in done.stderr
    assert not (tmp_path / ".venv/ready").exists()
