"""What people see of real runs, as it stands in screens/*.txt: at 80 and 140 columns; in ASCII, and in a pipe.

screens/NAME.jsonl has the events of a run on hosts of the lab, as `--json` printed them (without progress, evidence and
empty fields). `MAILPROV_GOLDEN=write` writes the screens anew; look at what `git diff` says then.

    first-plan       two hosts with the packages of Debian 12 and 13, no apply yet
    small-change     an alias more, and one that goes elsewhere
    nothing-runs     three students' servers on which nothing listens yet
    sound-hosts      the two hosts after their apply
    queues           of three hosts: one with a hundred thousand messages, one with a held one, one with none
"""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mailprov.cli import streams
from mailprov.model import events, queue
from mailprov.model.answers import Found
from mailprov.model.events import Action, Change, Event
from mailprov.model.findings import Finding, Target, Verdict
from mailprov.report.fanout import fan_out
from mailprov.report.plain_text import Plain
from mailprov.report.terminal import rich_console
from mailprov.report.text import TextReport

FOLDER = Path(__file__).parent / "screens"
RUNS = sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def change(body: dict[str, Any]) -> Change:
    return Change(**{**body, "action": Action(body["action"]), "because": tuple(body.get("because", ()))})


def event(body: dict[str, Any]) -> Event:
    name = "".join(word.capitalize() for word in body.pop("event").split("_"))
    if name == "Found":
        target, verdict = Target(**body.pop("target")), Verdict(body.pop("verdict"))
        return Found(Finding(target=target, verdict=verdict, **body))
    if name == "Planned":
        body["changes"] = tuple(map(change, body["changes"]))
    if name == "QueuedMessage":
        body["recipients"] = tuple(queue.QueuedRecipient(**one) for one in body["recipients"])
    if name == "QueueState":
        body["reasons"] = tuple(queue.QueueReason(**one) for one in body["reasons"])
        body["over"] = tuple(body["over"])
    module = queue if name.startswith("Queue") else events
    return getattr(module, name)(**body)  # type: ignore[no-any-return]


def recorded(name: str) -> list[Event]:
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [event(json.loads(line)) for line in lines]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(name: str, width: int, monkeypatch: pytest.MonkeyPatch, **how: bool) -> str:
    """As a terminal of that width shows it, colours aside: what is too long goes on in the next line."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    report = fan_out([TextReport(rich_console(out), **how)])
    for each in recorded(name):
        report(each)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    rows = [row.rstrip() for row in plain.splitlines()]
    return "".join(f"{row[i : i + width]}\n" for row in rows for i in range(0, len(row) or 1, width))


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", RUNS)
def test_screen(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = FOLDER / f"{name}.{width}.txt"
    shown = screen(name, width, monkeypatch)
    if os.environ.get("MAILPROV_GOLDEN") == "write":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "width", "most"),
    [("first-plan", 140, 105), ("first-plan", 80, 115), ("nothing-runs", 140, 75), ("nothing-runs", 80, 105)],
)
def test_it_is_a_screen_or_two(name: str, width: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first plan of two hosts was 1,490 lines at 140 columns, 1,763 at 80; three servers where nothing runs 1,501."""
    assert screen(name, width, monkeypatch).count("\n") <= most


@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_lost(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told together still names everything: each file, each account, each record, each probe that failed."""
    short = screen(name, 500, monkeypatch)
    whole = screen(name, 500, monkeypatch, verbose=True)
    for each in recorded(name):
        if isinstance(each, events.Planned):
            for one in each.changes:
                last = one.name.rpartition("/")[2]
                assert last in short
                assert one.name in whole
        if isinstance(each, Found) and each.finding.verdict is Verdict.FAIL:
            target = each.finding.target
            assert each.finding.id in short
            assert (target.host or target.domain) in short


@pytest.mark.parametrize("name", RUNS)
def test_in_a_pipe_it_says_the_same_in_whole_lines(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    report = fan_out([TextReport(Plain(out, lambda: rich_console(out)))])
    for each in recorded(name):
        report(each)
    assert "\x1b" not in out.getvalue()
    assert sorted(out.getvalue().split()) == sorted(screen(name, 160, monkeypatch).split())


@pytest.mark.parametrize("name", RUNS)
def test_a_terminal_that_knows_ascii_only_gets_the_same_columns(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = screen(name, 80, monkeypatch)
    streams.make_fit()
    ascii_only = shown.encode("ascii", "mailprov-plain").decode("ascii")
    assert "?" not in ascii_only.replace("? could not be tested", "") or "?" in shown
    assert [len(row) for row in ascii_only.splitlines()] == [len(row) for row in shown.splitlines()]


@pytest.mark.parametrize("name", RUNS)
def test_the_parts_are_told_apart_by_colour(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = io.StringIO()
    console = Console(file=out, width=140, force_terminal=True, color_system="standard", soft_wrap=True)
    report = fan_out([TextReport(console)])
    for each in recorded(name):
        report(each)
    assert re.search(r"\x1b\[[0-9;]*3[1-6]m", out.getvalue())
