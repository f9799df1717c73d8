"""The agent is tested on every Python from 3.8 on that is installed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.driver import pythons


@pytest.fixture(params=pythons(), ids=lambda path: "".join(Path(path).resolve().name[6:]) or path)
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory that stands for /."""
    path = tmp_path / "root"
    path.mkdir()
    return path
