"""Real hosts for tests: a test that asks for one is marked `lab`, and skipped where labs cannot be.

    lab_factory(text)   a running Lab for the text of an inventory; one per text, down at the session's end

`labs` beside this file has the helpers.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.inventory import SecretMode, load
from tests.lab.labs import lab_name, silent

HERE = Path(__file__).parent
CAN = platform.system() == "Linux" and os.geteuid() == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        if "lab_factory" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)
        if not CAN and item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.skip(reason="needs root on Linux: it boots real systemd hosts"))


def _remove_orphans() -> None:
    """Labs of test sessions that were killed."""
    for name in lab.names():
        word, _, rest = name.partition("-")
        pid = rest.partition("-")[0]
        if word == "test" and pid.isdigit() and not Path(f"/proc/{pid}").exists():
            lab.down(name, silent)


@pytest.fixture(scope="session")
def lab_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], lab.Lab]]:
    made: dict[str, lab.Lab] = {}
    _remove_orphans()

    def make(text: str) -> lab.Lab:
        if text not in made:
            path = tmp_path_factory.mktemp("inventory") / "inventory.yml"
            path.write_text(text)
            name = lab_name(str(len(made) + 1))
            made[text] = lab.up(load(path, SecretMode.IGNORE), name=name, emit=silent)
        return made[text]

    yield make
    for each in made.values():
        lab.down(each.name, silent)
