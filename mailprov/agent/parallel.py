"""Work that costs the host's processors their time, on all of them at once: keys and hashes that its programs make.

    each(work, items, check, told) -> list     `work(item)` of all items, in their order

The work itself is done by other programs (see commands), so threads are enough. What goes wrong first is raised when
those that had begun are at their end; so is what `check` raises, which is asked all the while.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, Dict, List, Sequence, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_SLICE = 0.05  # seconds between two looks at `check`


def _nothing(*told: Any) -> None:
    """Nobody asks."""


def each(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    check: Callable[[], None] = _nothing,
    told: Callable[[int], None] = _nothing,
) -> List[Result]:
    """`told` hears how many are done, whenever that has changed."""
    results: Dict[int, Result] = {}
    failed: List[BaseException] = []
    left = iter(enumerate(items))
    lock = threading.Lock()

    def serve() -> None:
        while not failed:
            with lock:
                following = next(left, None)
            if following is None:
                return
            number, item = following
            try:
                results[number] = work(item)
            except BaseException as error:
                failed.append(error)

    count = min(len(os.sched_getaffinity(0)), len(items))
    if count < 2:
        for number, item in left:
            check()
            results[number] = work(item)
            told(len(results))
        return [results[number] for number in range(len(items))]
    threads = [threading.Thread(target=serve, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    seen = 0
    for thread in threads:
        while thread.is_alive():
            thread.join(_SLICE)
            try:
                check()
            except BaseException as error:
                failed.insert(0, error)
                break
            if len(results) != seen:
                seen = len(results)
                told(seen)
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    if len(results) != seen:
        told(len(results))
    return [results[number] for number in range(len(items))]
