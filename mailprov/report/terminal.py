"""What only a terminal gets, with rich: colours, and a few live lines that show what each host is doing.

    rich_console(stream)    long lines are cut at words, and nothing is left out
    at_words(…)             how
    Live(out)               show(doing) replaces the live lines; stop() takes them away

NO_COLOR, FORCE_COLOR and TTY_COMPATIBLE are respected (rich does).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text as RichText

from mailprov.i18n import _
from mailprov.report.plain_text import Text

_MOST = 12  # lines


def at_words(text: RichText, width: int) -> RichText:
    """Lines that are too long go on below, two columns further in; a word that is too long by itself stays whole.

    A terminal by itself cuts in the middle of words, and so does rich.
    """
    lines: list[RichText] = []
    for line in text.split("\n", allow_blank=True):
        indent = len(line.plain) - len(line.plain.lstrip()) + 2
        cuts, used = [], 0
        for word in re.finditer(r"\s*\S+", line.plain):
            taken = cell_len(word[0])
            if used and used + taken > width:
                blank = len(word[0]) - len(word[0].lstrip())
                cuts.append(word.start() + blank)
                used, taken = indent, taken - blank
            used += taken
        first, *rest = line.divide(cuts) if cuts else [line]
        lines += [first, *(RichText(" " * indent).append_text(each) for each in rest)]
    for each in lines:
        each.rstrip()
    return RichText("\n").join(lines)


class _Console(Console):
    def print(self, *objects: Any, **options: Any) -> None:
        if self.file.isatty():
            objects = tuple(
                at_words(each.__rich__(), self.width) if isinstance(each, Text) else each for each in objects
            )
        super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """rich would end the process with 1, which here means that something failed; cli/exit_codes.py knows better."""
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
                self._spinner,
                subject,
                RichText(doing, style="dim"),
                f"{seconds:.0f} s" if seconds >= 2 else "",
            )
        if len(rows) > _MOST:
            table.add_row("", _("and {count} more").format(count=len(rows) - _MOST), "", "")
        return Group(table)
