"""The web corner of the oldest and the newest release that is supported: nginx 1.18 of Debian 11, and that of testing.

The tests of test_web that are imported run here with these hosts, in whatever order.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from mailprov import lab
from mailprov.errors import LabError
from tests.lab import test_web
from tests.lab.test_web import (  # noqa: F401
    meant,
    test_a_second_apply_changes_nothing_and_the_package_is_as_it_came,
    test_each_file_is_served_as_programs_ask_for_it,
    test_strangers_names_and_paths_get_nothing,
    test_what_an_authority_asks_for_is_served_on_port_80,
)

INVENTORY = test_web.INVENTORY.replace("debian-12", "debian-11").replace("debian-13", "debian-testing")
# What apt says of a suite that a mirror does not have (any more). Whatever else goes wrong is a failure.
NOT_THERE = re.compile(r"404 +Not Found|does not have a Release file")


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    try:
        made = ready_lab_factory(INVENTORY)
    except LabError as error:
        if NOT_THERE.search(str(error)):
            pytest.skip(f"this machine's mirror does not have the release: {error}")
        raise
    first = test_web.apply(made.inventory_path)
    assert first.code == 0, (first.stderr, first.events[-3:])
    return made


def test_it_leaves_and_a_rollback_brings_it_back(hosts: lab.Lab) -> None:
    test_web.test_it_leaves_with_its_key(hosts)
    test_web.test_a_rollback_brings_it_back(hosts)
