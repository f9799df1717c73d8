"""What webmail leaves behind is told where it has left, and there alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailprov.agent import files, manifest, webmail

FOLDER = "var/lib/mailprov-webmail"


@pytest.fixture
def tree(tmp_path: Path) -> files.Tree:
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "roundcube.db").write_bytes(b"x" * 3000)
    return files.Tree(str(tmp_path))


def test_its_database_is_told_once_it_has_left(tree: files.Tree) -> None:
    told = str(webmail.kept(tree))
    assert f"/{FOLDER} (3 KiB)" in told
    assert f"rm -r /{FOLDER}" in told


def test_where_it_is_still_there_or_never_was_nothing_is_told(tree: files.Tree, tmp_path: Path) -> None:
    path = Path(tree.at(manifest.PATH))
    path.parent.mkdir(parents=True, exist_ok=True)
    there = {"/etc/mailprov/webmail/config.inc.php": {"kind": "file", "sha256": "0" * 64}}
    path.write_text(json.dumps({"files": there}))
    assert webmail.kept(tree) == ""
    path.unlink()
    (tmp_path / FOLDER / "roundcube.db").unlink()
    assert webmail.kept(tree) == ""
