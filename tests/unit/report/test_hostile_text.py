"""ESC, C1, carriage returns and marks that turn text around, in every field of every message and every event: what
comes out, on paper and on a terminal, in JSON, JUnit and saved plans, holds none of them as they are.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import io
import json
import re
import typing
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from mailprov.components.templates import folders
from mailprov.errors import HostFailed
from mailprov.model import answers, cleaning, events, queue
from mailprov.model.events import RunEnded, RunStarted
from mailprov.model.records import Record
from mailprov.report.fanout import fan_out
from mailprov.report.jsonlines import JsonLines
from mailprov.report.plain_text import Plain
from mailprov.report.report_files import KINDS, LATE, ReportFiles
from mailprov.report.terminal import rich_console
from mailprov.report.text import TextReport
from mailprov.report.whole_run import Making
from mailprov.wire import shapes
from tests.unit.run.every_message import GOOD, changed, play, texts

EVIL = (
    "Ä\x1b]0;title\x07\x1b[2J\x1b]8;;http://evil.example\x1b\\Z\x9b31m\x85\rover\x00\x7f\u202eRTL\u2066I\u2069\u200f"
    "\u2028L\u2029P\u200bW\ufeffB\u3164F\ud800S\ue000P\n✓ mx9: forged line\t[link=http://evil.example]M[/link][bold]:bomb:"
)
# rich's own: colours and where the cursor goes.
_RICH = re.compile(r"\x1b\[(\?25[lh]|[0-9;]*m|\d*[AK]|2K|1A)|\r(?=\x1b)")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Everything:
    """All reports of one run; `parts` is what each wrote."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, verbose: bool = True) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setenv("TERM", "xterm-256color")
        self._plain, self._json, self._terminal = io.StringIO(), io.StringIO(), _Terminal()
        self._files = {kind: folder / f"report.{kind}" for kind in KINDS}
        words = [f"{kind}={path}" for kind, path in self._files.items()]
        plain = TextReport(Plain(self._plain, lambda: rich_console(self._plain)), verbose=verbose)
        terminal = TextReport(rich_console(self._terminal), verbose=verbose)
        self.emit = fan_out(
            [plain, terminal, JsonLines(self._json), ReportFiles(words, making=Making(folders=folders))]
        )

    @property
    def parts(self) -> dict[str, str]:
        told = [json.loads(line) for line in self._json.getvalue().splitlines()]
        terminal = self._terminal.getvalue()
        assert "\x1b" in terminal or not terminal, "it is one"
        return {
            "plain": self._plain.getvalue(),
            "terminal": _RICH.sub("", terminal),
            "json": "\n".join(self._strings(told)),
            **{
                f"report {kind}": path.read_text(encoding="utf-8")
                for kind, path in self._files.items()
                if kind not in LATE or path.exists()  # these are written at the end of a run alone
            },
        }

    def _strings(self, value: Any, name: str = "") -> list[str]:
        if isinstance(value, str):
            return [value if name in ("diff", "edit") else value.replace("\n", "\x00")]
        if isinstance(value, dict):
            return [text for key, part in value.items() for text in self._strings(part, key)]
        return (
            [text for part in value for text in self._strings(part, name)] if isinstance(value, list) else []
        )


def bad(text: str) -> set[str]:
    """What a terminal would obey or not show, line feeds and tabs aside."""
    unfit = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    return {c for c in text if c not in "\n\t" and (unicodedata.category(c) in unfit or c == "\u3164")}


def check(parts: dict[str, str], where: object, *, several: bool = False) -> None:
    for name, text in parts.items():
        assert not bad(text), f"{where} in {name}: {sorted(map(repr, bad(text)))}"
        assert "\x1b]8" not in text, f"{where} in {name}: a link"
        if not several:  # a diff has several lines, and each begins in its column
            assert "\n✓ mx9" not in text, f"{where} in {name}: a line that mailprov did not write"


def filled(kind: Any, text: str) -> Any:
    """A value of this type with `text` wherever text can be."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is str:
        return text
    if kind in (int, float, bool):
        return kind(7)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return list(kind)[-2]
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{field.name: filled(hints[field.name], text) for field in dataclasses.fields(kind)})
    if origin is tuple:
        return (filled(args[0], text), filled(args[0], text))
    if type(None) in args:
        return filled(args[0], text)
    raise AssertionError(f"a new kind of field: {kind}")


PARTS = (events.Change, events.Doing, answers.LabHost, queue.QueuedRecipient, queue.QueueReason)  # of events
EVENTS = (
    Record,
    *(
        cls
        for module in (events, answers, queue)
        for cls in vars(module).values()
        if dataclasses.is_dataclass(cls) and cls.__module__ == module.__name__ and cls not in PARTS
    ),
)


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every text in an event."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return [before]
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return [found for name in names for found in paths(getattr(value, name), (*before, name))]
    return (
        [found for place, part in enumerate(value) for found in paths(part, (*before, place))]
        if isinstance(value, tuple)
        else []
    )


def put(value: Any, path: tuple[Any, ...], text: str) -> Any:
    if not path:
        return text
    step, *rest = path
    if isinstance(step, int):
        return tuple(
            put(part, tuple(rest), text) if place == step else part for place, part in enumerate(value)
        )
    return dataclasses.replace(value, **{step: put(getattr(value, step), tuple(rest), text)})


# What a report looks up: another word cannot get there, because run/ makes it.
_CHOSEN = {("Ended", "status"), ("RunStarted", "command")}
CASES = [
    (kind, path)
    for kind in EVENTS
    for path in paths(filled(kind, "text"))
    if (kind.__name__, path[0]) not in _CHOSEN
]


@pytest.mark.parametrize(("kind", "path"), CASES, ids=lambda one: getattr(one, "__name__", str(one)))
@pytest.mark.parametrize("command", ["apply", "verify", "queue"])
def test_no_field_of_an_event_gets_out_as_it_came(
    kind: Any, path: tuple[Any, ...], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Everything(tmp_path, monkeypatch)
    event = put(filled(kind, "text"), path, EVIL)
    if kind is events.Ended:
        event = dataclasses.replace(event, status="failed")
    assert cleaning.event(event) != event
    assert cleaning.event(cleaning.event(event)) == cleaning.event(event)
    out.emit(RunStarted(command, "mail.yml", "0", "2024-01-01T00:00:00+00:00"))
    out.emit(event)
    if kind is not RunEnded:
        out.emit(RunEnded(0, "done"))
    check(out.parts, f"{kind.__name__} {path}", several=path[-1] in ("diff", "edit"))


@pytest.mark.parametrize("kind", [kind for kind in shapes.MESSAGES if texts(kind)])
def test_no_field_of_a_message_gets_out_as_it_came(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an agent says, field by field, through a whole run of two hosts."""
    for number, path in enumerate(texts(kind)):
        folder = tmp_path / str(number)
        folder.mkdir()
        out = Everything(folder, monkeypatch)
        run = play(kind, changed(GOOD[kind], path, EVIL), out.emit)
        for error in getattr(run, "errors", ()):
            assert not bad(error), (kind, path)
        if kind not in ("keys", "bans"):
            assert isinstance(run.events[-1], RunEnded), (kind, path)
            check(out.parts, (kind, path), several=path[-1] in ("diff", "edit"))


def test_an_error_is_one_clean_sentence() -> None:
    assert not bad(str(HostFailed(EVIL, EVIL, EVIL)))
    assert "\n" not in str(HostFailed(EVIL, EVIL, EVIL))


@pytest.mark.parametrize(
    "text",
    ["naïve café", "Łódź, Zürich", "почта@домен.рф", "日本語", "emoji 📬", "שלום", "e\u0301", "a\\b [x]"],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert cleaning.line(text) == text
    notice = events.Notice(text, text)
    assert cleaning.event(notice) == notice


def test_what_is_cleaned_can_still_be_read() -> None:
    assert cleaning.line("a\x1b[2Jb\r\u202e\ud800\u3164") == r"a\x1b[2Jb\r\u202e\ud800\u3164"
    assert cleaning.line("a\nb\tc") == r"a\nb\tc"
    assert cleaning.block("-a\r\n+\tb\x9b\n") == "-a\\r\n+\tb\\x9b\n"


def test_every_event_is_known_here() -> None:
    """The type of all events, which is there for mypy alone, has each of them."""
    source = ast.parse(Path(events.__file__).read_text())
    assigned = [
        node.value
        for node in ast.walk(source)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp)
    ]
    assert len(assigned) == 1
    named = {node.id for node in ast.walk(assigned[0]) if isinstance(node, ast.Name)}
    assert named == {kind.__name__ for kind in EVENTS}
