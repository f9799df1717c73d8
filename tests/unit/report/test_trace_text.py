"""The way of a message as a terminal shows it, and as it comes out of a pipe: trace_screens/NAME.WIDTH.txt.

`MAILPROV_GOLDEN=write` writes them anew; look at what `git diff` says then.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mailprov.cli import streams
from mailprov.model.trace import Agent, Clock, Evidence, Step, Trace
from mailprov.report import trace_text, trace_words
from mailprov.report.plain_text import Plain
from mailprov.report.terminal import rich_console
from mailprov.report.trace_order import rows
from tests.unit.report.traces import TRACES, mailing_list

FOLDER = Path(__file__).parent / "trace_screens"
HEADINGS = re.compile(r"^   for (\S+?),? ", re.MULTILINE)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(trace: Trace, width: int, monkeypatch: pytest.MonkeyPatch, *, verbose: bool = False) -> str:
    """Colours aside; what is too long goes on in the next line."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    console = rich_console(out)
    for part in trace_text.render(trace, verbose=verbose, columns=True):
        console.print(part)
    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    lines = [line.rstrip() for line in printed.splitlines()]
    return "".join(f"{line[i : i + width]}\n" for line in lines for i in range(0, len(line) or 1, width))


def pipe(trace: Trace, *, verbose: bool = False) -> str:
    out = io.StringIO()
    plain = Plain(out, lambda: rich_console(out))
    for part in trace_text.render(trace, verbose=verbose, columns=False):
        plain.print(part)
    return out.getvalue()


@pytest.mark.parametrize("form", ["80", "140", "verbose", "pipe"])
@pytest.mark.parametrize("name", TRACES)
def test_screen(name: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = TRACES[name]
    if form == "pipe":
        shown = pipe(trace, verbose=True)
    else:
        width = 100 if form == "verbose" else int(form)
        shown = terminal(trace, width, monkeypatch, verbose=form == "verbose")
    path = FOLDER / f"{name}.{form}.txt"
    if os.environ.get("MAILPROV_GOLDEN") == "write":
        FOLDER.mkdir(exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TRACES)
def test_it_says_first_whether_the_message_arrived(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = TRACES[name]
    for shown in (pipe(trace), terminal(trace, 400, monkeypatch)):
        lines = iter(shown.splitlines())
        for arrival in trace.arrivals:
            assert next(lines).endswith(f" {arrival.outcome.value}: {arrival.text}")
            if arrival.next:
                assert next(lines) == f"  {arrival.next}"
        assert next(lines) == ""
    quiet = [part.plain for part in trace_text.answers(trace)]
    assert quiet == pipe(trace).splitlines()[: len(quiet)]


@pytest.mark.parametrize("name", TRACES)
def test_verbose_has_every_line_and_every_header(name: str) -> None:
    shown = pipe(TRACES[name], verbose=True).splitlines()
    short = pipe(TRACES[name]).splitlines()
    for step in TRACES[name].steps:
        for line in step.lines:
            assert any(each.endswith(f" {line.text}") for each in shown), line
            assert f"      > {line.text}" not in short
        for header in step.headers:
            assert f"      + {header}" in shown
        if step.delays:
            assert any(each.startswith(f"      delays={step.delays.before_queue:g}/") for each in shown)


def test_what_is_missing_says_what_would_show_it() -> None:
    shown = pipe(TRACES["past"])
    for step in TRACES["past"].steps:
        if step.evidence is Evidence.MISSING:
            assert f"      {step.hint}" in shown.splitlines()
    assert "not looked at: mx2: nobody may log in there" in shown
    assert "not certain: Two messages have this Message-ID" in shown


def test_why_it_did_not_arrive_is_shown_with_the_line_that_says_so() -> None:
    assert "status=bounced (host" in pipe(TRACES["over-quota"])
    assert "status=deferred (connect to" in pipe(TRACES["deferred"])
    assert "status=sent" not in pipe(TRACES["two-domains"])


def test_long_delays_are_told_in_words_and_short_ones_are_not() -> None:
    words = (
        "delays=0.05/0.01/30.1/0: 0.050 s until it was in the queue; 0.010 s waiting in the queue; "
        "30.1 s for DNS, connecting and TLS; 0.000 s for sending it"
    )
    assert words in pipe(TRACES["deferred"])
    assert "delays=" not in pipe(TRACES["two-domains"])


def test_each_recipient_has_a_branch_of_its_own() -> None:
    trace = mailing_list()
    found = rows(trace)
    assert [row.step for row in found] == list(trace.steps)
    branches = [(row.step.number, row.recipient) for row in found if row.recipient]
    assert branches == [(6, "luis@alpha.test"), (8, "eva@beta.test"), (14, "jon@gamma.example")]
    assert HEADINGS.findall(pipe(trace)) == ["luis@alpha.test", "eva@beta.test", "jon@gamma.example"]


def test_branches_that_were_numbered_in_turns_are_read_one_after_the_other() -> None:
    """Two mailboxes, whose steps servers logged in turns; an answer of DNS belongs to the branch behind it."""
    steps = [
        Step(1, 0, Agent.QUEUE, Evidence.LOGGED, "queued"),
        Step(2, 1, Agent.DNS, Evidence.OBSERVED, "mx"),
        Step(3, 1, Agent.LMTP, Evidence.LOGGED, "b", recipient="b@x.test"),
        Step(4, 2, Agent.SMTP, Evidence.LOGGED, "a", recipient="a@y.test"),
        Step(5, 3, Agent.MAILBOX, Evidence.OBSERVED, "b's", recipient="b@x.test"),
        Step(6, 5, Agent.IMAP, Evidence.OBSERVED, "stays"),
        Step(7, 5, Agent.POP3, Evidence.OBSERVED, "downloaded"),
    ]
    found = rows(replace(mailing_list(), steps=tuple(reversed(steps))))
    assert [(row.step.number, row.recipient) for row in found] == [
        (1, ""),
        (2, "a@y.test"),
        (4, ""),
        (3, "b@x.test"),
        (5, ""),
        (6, ""),
        (7, ""),
    ]


def test_a_branch_that_divides_again_names_all_whom_it_leads_to() -> None:
    """A list with two members on one other host: what passes between the hosts is one message for both."""
    names = ("b@y.test", "c@y.test", "d@y.test", "e@y.test", "f@y.test")
    for members, heading in (
        (2, "b@y.test and c@y.test"),
        (4, "b@y.test, c@y.test, d@y.test and e@y.test"),
        (5, "b@y.test, c@y.test, d@y.test and 2 more"),
    ):
        steps = [
            Step(1, 0, Agent.ADDRESS, Evidence.LOGGED, "a list", recipient="list@x.test"),
            Step(2, 1, Agent.LMTP, Evidence.LOGGED, "a", recipient="a@x.test"),
            Step(3, 1, Agent.SMTP, Evidence.LOGGED, "the others", recipient="b@y.test"),
            *(Step(4 + n, 3, Agent.LMTP, Evidence.LOGGED, "", recipient=names[n]) for n in range(members)),
        ]
        found = rows(replace(mailing_list(), steps=tuple(steps)))
        assert [row.recipient for row in found] == ["", "a@x.test", heading, *names[:members]]


def test_steps_that_hang_from_nothing_or_in_a_circle_are_shown_once() -> None:
    steps = [
        Step(1, 2, Agent.QUEUE, Evidence.LOGGED, "one"),
        Step(2, 1, Agent.QUEUE, Evidence.LOGGED, "two"),
        Step(3, 99, Agent.QUEUE, Evidence.LOGGED, "three"),
        Step(4, 4, Agent.QUEUE, Evidence.LOGGED, "four"),
        Step(4, 4, Agent.QUEUE, Evidence.LOGGED, "four again"),
    ]
    found = rows(replace(mailing_list(), steps=tuple(steps)))
    assert sorted(row.step.text for row in found) == ["four", "four again", "one", "three", "two"]
    assert [row.before for row in found if row.step.text in ("one", "three")] == [None, None]


def test_times_are_those_of_each_clock_and_a_clock_that_differs_is_marked() -> None:
    shown = pipe(TRACES["two-domains"])
    assert " +3.10 s*  queue mx2" in shown
    assert " +0.221 s   queue mx1" in shown
    assert "the clock of mx2 is 2.19 s ahead of this machine's; its times are shown as it told them" in shown
    assert "mx1 is" not in shown
    unknown = replace(TRACES["two-domains"], clocks=(Clock("mx1", 0.0, known=False), Clock("other", 9.0)))
    assert "how the clock of mx1 differs from this machine's is not known" in pipe(unknown)
    assert "other" not in pipe(unknown, verbose=True), "no time by that clock is shown"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0.000 s"),
        (0.0421, "0.042 s"),
        (1.303, "1.30 s"),
        (30.14, "30.1 s"),
        (200, "3 min 20 s"),
        (7300, "2 h 1 min"),
        (400_000, "4 days 15 h"),
    ],
)
def test_seconds_are_told_as_people_read_them(number: float, text: str) -> None:
    assert trace_words.seconds(number) == text


def test_every_agent_grade_outcome_and_source_has_words() -> None:
    assert list(trace_words.AGENTS) == list(Agent)
    assert list(trace_words.ABOUT) == list(Agent)
    assert list(trace_words.EVIDENCE) == list(Evidence)
    signs = [grade.sign for grade in trace_words.EVIDENCE.values()]
    assert len(set(signs)) == len(signs), "told apart without colours"


@pytest.mark.parametrize("name", TRACES)
def test_a_terminal_that_knows_ascii_only_gets_the_same_columns(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = terminal(TRACES[name], 80, monkeypatch)
    streams.make_fit()
    plain = shown.encode("ascii", "mailprov-plain").decode("ascii")
    assert [len(line) for line in plain.splitlines()] == [len(line) for line in shown.splitlines()]
    assert plain.count("?") == shown.count("?"), "a sign has no place in streams.py"
