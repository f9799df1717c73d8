"""Lines that are printed without rich look as rich would have printed them where there is no terminal."""

from __future__ import annotations

import io
import os

import pytest
from rich.console import Console

from mailprov.model.answers import KeptMailbox
from mailprov.model.events import Action, Change, Event, Notice, Planned, RunEnded, RunStarted
from mailprov.report import text as report
from mailprov.report.plain_text import Plain, Text
from mailprov.report.terminal import rich_console

HARD = [
    "",
    "plain",
    "  blanks at both ends  ",
    "two\nlines\n",
    "markup [bold]stays[/bold] :smile: http://a.test 'quoted' 42",
    "bell\a back\b return\r feed\f vt\v end",
    "escape \x1b[31m stays",
    "tabs\tand\twide 漢字\ttoo",
    "ñandú ✓ 😀 é",
    "long " * 100,
]


def both(*things: object) -> tuple[str, str]:
    mine, theirs = io.StringIO(), io.StringIO()
    rich = rich_console(theirs)
    rich.print(*things)
    Plain(mine, lambda: rich_console(mine)).print(*things)
    return mine.getvalue(), theirs.getvalue()


@pytest.mark.parametrize("text", HARD)
def test_a_line_is_as_rich_prints_it(text: str) -> None:
    for thing in (
        Text(text),
        Text(text, style="bold red"),
        Text("a", style="dim").append(text, "bold").append_text(Text("x" + text)),
    ):
        mine, theirs = both(thing)
        assert mine == theirs
    assert both()[0] == both()[1] == "\n"


def test_a_whole_report_is_the_same_with_rich_and_without() -> None:
    change = Change(
        "mx1", "file", Action.UPDATE, "/etc/x [y]", "", "@@ -1 +1 @@\n-a\tb\n+c [bold]d\n", True, "+e\n"
    )
    events: list[Event] = [
        RunStarted("apply", "mail.yml", "1", ""),
        Planned("mx1", (change,), "1 file"),
        Notice("mx1", "[red]note"),
        KeptMailbox("mx1", "ana@alpha.test", 1, 2, 0),
        RunEnded(1, "0 changes applied; [x]", 1.0),
    ]
    for verbose in (False, True):
        texts = []
        for plain in (True, False):
            stream = io.StringIO()
            rich = Console(file=stream, width=160, highlight=False, soft_wrap=True)
            told = report.TextReport(_plain(stream, rich) if plain else rich, verbose=verbose)
            for event in events:
                told(event)
            texts.append(stream.getvalue())
        assert texts[0] == texts[1]
        assert "+c [bold]d" in texts[0]


def _plain(stream: io.StringIO, rich: Console) -> Plain:
    return Plain(stream, lambda: rich)


def test_styles_reach_rich() -> None:
    stream = io.StringIO()
    out = Console(file=stream, force_terminal=True, color_system="standard", highlight=False, soft_wrap=True)

    out.print(Text("a", style="red").append("b", style="bold"))

    assert stream.getvalue() == "\x1b[31ma\x1b[0m\x1b[1;31mb\x1b[0m\n"


@pytest.mark.parametrize("name", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_colours_that_the_user_forces_come_from_rich(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert isinstance(report.console(), Plain)

    monkeypatch.setitem(os.environ, name, "1")

    assert report.console().is_terminal
