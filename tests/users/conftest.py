"""What users see, on real hosts and in real programs: `make test-users`, and a short form of it in `.ci/run`.

    MAILPROV_USERS=long    both releases and every case, which `make test-users` sets; else one release and fewer cases
    LONG, RELEASES         whether it is the long form, and which releases the hosts of a test have

Hosts come from `lab_factory` and `ready_lab_factory`, as in tests/lab. A test that takes `browser` gets what opens one.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.lab.conftest import lab_factory, no_orphans, ready_lab_factory
from tests.users.browser import MISSING, Browser

__all__ = ["lab_factory", "no_orphans", "ready_lab_factory"]  # fixtures

HERE = Path(__file__).parent
CAN = platform.system() == "Linux" and os.geteuid() == 0
LONG = os.environ.get("MAILPROV_USERS") == "long"
FAILED = pytest.StashKey[bool]()
RELEASES = ("debian-12", "debian-13") if LONG else ("debian-13",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        names = getattr(item, "fixturenames", ())
        if "lab_factory" in names:
            item.add_marker(pytest.mark.lab)
            if not CAN:
                item.add_marker(pytest.mark.skip(reason="needs root on Linux: it boots real systemd hosts"))
        if "browser" in names and MISSING:
            item.add_marker(pytest.mark.skip(reason=f"needs Chromium and its driver: {MISSING}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, object, object]:
    made = yield
    if call.when == "call" and call.excinfo is not None:
        item.stash[FAILED] = True
    return made


@pytest.fixture
def browser(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Opens browsers, as `Browser` takes its words but for the folder; closed when the test ends. What they show
    when it has failed is kept in a picture.
    """
    with ExitStack() as stack:
        made: list[Browser] = []

        def make(**words: object) -> Browser:
            made.append(Browser(tmp_path / f"browser-{len(made)}", **words))  # type: ignore[arg-type]
            return stack.enter_context(made[-1])

        yield make
        if FAILED in request.node.stash:
            for number, each in enumerate(made):
                with suppress(Exception):  # the failure itself is what is to be told
                    each.screenshot(f"failed-{request.node.name}-{number}")
