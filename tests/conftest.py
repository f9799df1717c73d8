"""For all tests."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end: looking through it again and again for garbage takes a tenth of the time,
    and makes each fork copy it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
