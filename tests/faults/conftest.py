"""The fault campaign uses the labs of tests/lab; run it by `make faults-short` or `make faults`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.conftest import CAN, lab_factory, no_orphans

__all__ = ["lab_factory", "no_orphans"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)
            if not CAN:
                item.add_marker(pytest.mark.skip(reason="needs root on Linux: it boots real systemd hosts"))
