"""worst(*codes) -> int: the exit code of a run whose parts ended with these (docs/design.md, Exit codes). Pure."""

from __future__ import annotations


def worst(*codes: int) -> int:
    """The code a run ends with: a failure (1) outranks "could not tell" (3), which outranks warnings (4)."""
    rank = {130: 5, 2: 4, 1: 3, 3: 2, 4: 1, 0: 0}
    return max(codes, key=lambda code: rank.get(code, 3), default=0)
