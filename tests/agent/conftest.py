"""The agent is tested on Pythons from 3.8 on that are installed here: the story of an apply on every one, the rest on
the oldest and the newest.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.agent.driver import pythons

settings.register_profile("any machine", deadline=None)  # nothing is judged by how soon it is done
settings.load_profile("any machine")


def _version(path: str) -> str:
    return Path(path).resolve().name[6:] or path


ALL = pythons()
EDGES = [ALL[0], ALL[-1]] if len(ALL) > 1 else ALL


@pytest.fixture(params=ALL, ids=_version)
def every_python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=EDGES, ids=_version)
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory that stands for /."""
    path = tmp_path / "root"
    path.mkdir()
    return path
