"""What all areas of attack share: real hosts, and the choice between the short and the long form.

MAILPROV_ATTACKS=long    every try of every area (`make test-attacks`); else the short form: one of each kind

An area is a module. It tells its tries to a `Tries` (see `tries.py`), which says at the end how many there were and
which of them succeeded.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.tries import Tries
from tests.lab.conftest import lab_factory, no_orphans, ready_lab_factory

__all__ = ["lab_factory", "no_orphans", "ready_lab_factory"]  # fixtures

HERE = Path(__file__).parent
CAN = platform.system() == "Linux" and os.geteuid() == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.lab)
            if not CAN:
                item.add_marker(pytest.mark.skip(reason="needs root on Linux: it attacks real hosts"))


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Iterator[Tries]:
    """Of one test; what succeeded fails the test when it has ended."""
    made = Tries(request.node.name)
    yield made
    made.settle()
