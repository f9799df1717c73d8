"""Servers for tests that are parametrized by more than the server: started once for all tests that follow each other.

A fixture of scope module whose parameter comes by `indirect` with others beside it is set up anew for each test
(pytest holds it for as narrow as the narrowest of them); here it is started at the first test that wants it, and
stopped when one wants another, or the module ends. One runs at a time: some change modules while they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")


@contextmanager
def one_at_a_time(
    every: Mapping[str, Callable[[Path], AbstractContextManager[T]]], folders: pytest.TempPathFactory
) -> Iterator[Callable[[str], T]]:
    """`every`: name → context manager in a folder, as BACKENDS and WIRES are."""
    with ExitStack() as stack:
        running: dict[str, T] = {}

        def server(name: str) -> T:
            if name not in running:
                stack.close()
                running.clear()
                running[name] = stack.enter_context(every[name](folders.mktemp(name)))
            return running[name]

        yield server
