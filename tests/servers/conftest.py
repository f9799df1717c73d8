"""Servers of others, on real hosts: `make test-servers`, and a short form of it in `.ci/run`.

MAILPROV_SERVERS=long    all five servers, on Debian 12 and 13; else one of them (MAILPROV_SERVER, by default exim)
                         and a second one that it exchanges mail with, on Debian 12
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from tests.lab.conftest import lab_factory, no_orphans, ready_lab_factory

__all__ = ["lab_factory", "no_orphans", "ready_lab_factory"]  # fixtures

HERE = Path(__file__).parent
CAN = platform.system() == "Linux" and os.geteuid() == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and "made" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)
            if not CAN:
                item.add_marker(pytest.mark.skip(reason="needs root on Linux: it boots real systemd hosts"))
