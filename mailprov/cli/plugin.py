"""`--report nagios=-`: the command is a plugin of Nagios, which reads one line and an exit code from 0 to 3.

    asked(words)         whether these words ask for it, also where nothing else of them can be read
    as_plugin()          a context: how the process ends becomes a plugin's end
    note(event, code)    the exit code with which it shall end, once the run has ended

Whatever ends the command before its report could be made is UNKNOWN, with the line that says so: Nagios takes 1 for a
warning and 2 for a failed service, and both would be a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

from mailprov.i18n import _
from mailprov.model.events import Event, RunEnded

UNKNOWN = 3
_noted: list[int] = []


def asked(words: Sequence[str]) -> bool:
    return "--report=nagios=-" in words or any(pair == ("--report", "nagios=-") for pair in pairwise(words))


def note(event: Event, code: int) -> None:
    if isinstance(event, RunEnded):
        _noted[:] = [code]


@contextmanager
def as_plugin() -> Iterator[None]:
    _noted.clear()
    try:
        yield
    except SystemExit as end:
        if not _noted and end.code not in (0, None):
            print(f"MAIL UNKNOWN - {_('the command did not begin; stderr says why')}", flush=True)
            raise SystemExit(UNKNOWN) from None
        raise SystemExit(_noted[0] if _noted else 0) from None
