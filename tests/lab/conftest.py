"""Real hosts for tests: a test that asks for one is marked `lab`, and skipped where labs cannot be.

    lab_factory(text)        a running Lab for the text of an inventory; one per text, down when its module is done
    ready_lab_factory(text)  the same with all packages installed: for tests of what is configured, not of installing

`labs` beside this file has the helpers.
"""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.desired import needed_packages
from mailprov.inventory import SecretMode, load
from tests.lab.labs import lab_name, remove_orphans, silent

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


@pytest.fixture(scope="session")
def no_orphans() -> None:
    remove_orphans()


@pytest.fixture(scope="module")
def lab_factory(
    no_orphans: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], lab.Lab]]:
    """Module by module: what idle hosts take is not much, but the tests that follow have it."""
    made: dict[tuple[str, bool], lab.Lab] = {}

    def make(text: str, installed: bool = False) -> lab.Lab:
        if (text, installed) not in made:
            path = tmp_path_factory.mktemp("inventory") / "inventory.yml"
            path.write_text(text)
            name = lab_name(str(len(made) + 1))
            read = load(path, SecretMode.IGNORE)
            packages = {host.name: needed_packages(read, host) for host in read.hosts} if installed else None
            made[text, installed] = lab.up(read, name=name, packages=packages, emit=silent)
        return made[text, installed]

    yield make
    for each in made.values():
        lab.down(each.name, silent)


@pytest.fixture(scope="module")
def ready_lab_factory(lab_factory: Callable[..., lab.Lab]) -> Callable[[str], lab.Lab]:
    return functools.partial(lab_factory, installed=True)
