"""What only a terminal gets, with rich: colours, and a few live lines that show what each host is doing.

    rich_console(stream)    lines are never cut
    Live(out)               show(doing) replaces the live lines; stop() takes them away

NO_COLOR, FORCE_COLOR and TTY_COMPATIBLE are respected (rich does).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

_MOST = 12  # lines


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """rich would end the process with 1, which here means that something failed; cli/ending.py knows better."""
        raise  # noqa: PLE0704 - rich calls this while it handles the BrokenPipeError


def rich_console(stream: TextIO) -> Console:
    """Outside a terminal there is no width to wrap at."""
    return _Console(
        file=stream,
        highlight=False,
        markup=False,  # a host may say [link=…], and means nothing that rich should obey
        emoji=False,
        soft_wrap=True,
        width=None if stream.isatty() else 160,
    )


class Live:
    """`out` is a rich Console that is a terminal."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._live: RichLive | None = None
        self._doing: Mapping[str, tuple[str, float]] = {}
        self._spinner = Spinner("dots")  # one for all lines, so that it keeps turning when lines come and go

    def show(self, doing: Mapping[str, tuple[str, float]]) -> None:
        """Subject → what it does and since when (time.monotonic). Empty: no lines."""
        self._doing = doing
        if not doing:
            self.stop()
        elif self._live is None:
            self._live = RichLive(
                console=self._out, transient=True, refresh_per_second=8, get_renderable=self._lines
            )
            self._live.start()

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _lines(self) -> Group:
        table = Table.grid(padding=(0, 1))
        rows = sorted(self._doing.items())
        for subject, (doing, since) in rows[:_MOST]:
            seconds = time.monotonic() - since
            table.add_row(
                self._spinner, subject, Text(doing, style="dim"), f"{seconds:.0f} s" if seconds >= 2 else ""
            )
        if len(rows) > _MOST:
            table.add_row("", f"and {len(rows) - _MOST} more", "", "")
        return Group(table)
