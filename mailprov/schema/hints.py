"""`did you mean …?`: the word that was probably meant.

Hints().near(word, known) -> str    "" where nothing is close
"""

from __future__ import annotations

from collections.abc import Iterable

from mailprov.schema.scalars import nearest


class Hints:
    """`did you mean …?`, for the first mistakes only: comparing with 10,000 names takes its time."""

    def __init__(self, most: int = 50) -> None:
        self._left = most

    def near(self, word: str, known: Iterable[str]) -> str:
        """The known word closest to `word`, or an empty string."""
        if self._left <= 0:
            return ""
        self._left -= 1
        candidates = [name for name in known if abs(len(name) - len(word)) <= 4]
        if found := nearest(word, candidates):
            return found
        by_case = {name.lower(): name for name in candidates}
        return by_case.get(nearest(word.lower(), by_case), "")
