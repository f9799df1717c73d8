"""What is kept of a template makes rendering quicker and never different."""

from __future__ import annotations

import sys
from importlib.util import cache_from_source
from pathlib import Path

import jinja2
import pytest

from mailprov.components import templates


def rendered(folder: Path, text: str, **options: bool) -> str:
    """By a Jinja environment of its own, as a new process has it."""
    made = jinja2.Environment(
        loader=jinja2.DictLoader({"one": text}),
        bytecode_cache=templates._kept(dict(options), folder),
        **options,  # type: ignore[arg-type]
    )
    return made.get_template("one").render(a=1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return tmp_path


def files(folder: Path) -> list[Path]:
    return sorted((folder / "__pycache__").glob("*"))


def test_a_template_is_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered(folder, "x{{ a }}") == "x1"
    monkeypatch.setattr(jinja2.Environment, "compile", None)
    assert rendered(folder, "x{{ a }}") == "x1"
    assert len(files(folder)) == 1


def test_another_text_or_another_setting_is_compiled_anew(folder: Path) -> None:
    assert rendered(folder, "x{{ a }}\n") == "x1"
    assert rendered(folder, "y{{ a }}\n") == "y1"
    assert len(files(folder)) == 1
    assert rendered(folder, "y{{ a }}\n", keep_trailing_newline=True) == "y1\n"


@pytest.mark.parametrize("kept", [b"", b"rubbish", None])
def test_what_cannot_be_read_is_made_anew(kept: bytes | None, folder: Path) -> None:
    rendered(folder, "x{{ a }}")
    (path,) = files(folder)
    whole = path.read_bytes()
    for length in range(1, len(whole), 7) if kept is None else (0,):
        path.write_bytes(whole[:length] + bytes(64) if kept is None else kept)
        assert rendered(folder, "x{{ a }}") == "x1"
    assert path.read_bytes() == whole


def test_where_nothing_can_be_written_nothing_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "__pycache__").write_text("in the way")
    assert rendered(folder, "x{{ a }}") == "x1"
    (folder / "__pycache__").unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(folder, "x{{ a }}") == "x1"
    assert files(folder) == []


def test_it_is_where_python_keeps_its_own(folder: Path) -> None:
    rendered(folder, "x{{ a }}")
    assert files(folder)[0].parent == Path(cache_from_source(str(folder / "templates.py"))).parent
