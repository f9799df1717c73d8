"""The page of a trace: whatever its texts hold they stay texts, and it fetches and runs nothing but its own."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailprov.components.templates import folders
from mailprov.errors import InputError, ReportFailed
from mailprov.model.answers import Traced
from mailprov.model.events import RunEnded
from mailprov.model.trace import Agent, Evidence, Outcome, Source, Trace
from mailprov.report import own_file
from mailprov.report.fanout import fan_out
from mailprov.report.trace_lanes import drawn, lanes
from mailprov.report.trace_order import rows
from mailprov.report.trace_page import TracePage, page
from tests.unit.report.pages import Parsed
from tests.unit.report.test_hostile_text import EVIL, bad, filled, paths, put
from tests.unit.report.traces import ANA, EVA, JON, LUIS, TRACES

# Ends of texts, of attributes, of comments and of CDATA; what begins elements, handlers and Jinja; what turns text.
HOSTILE = (
    "\"'><script>boom()</script><img src=x onerror=boom()><!-- ]]> --></style></title></textarea><svg/onload=boom()>"
    "{{7*7}}{% raw %}&lt;&#60;javascript:boom() data-x=`" + EVIL
)


def made(trace: Trace, **how: Any) -> str:
    """As the program makes it: from an event, which was cleaned on its way."""
    found: list[Trace] = []
    fan_out([lambda event: found.append(event.trace)])(Traced(trace))  # type: ignore[attr-defined]
    return page(found, folders(), **how)


def whole(**fields: Any) -> Trace:
    trace: Trace = filled(Trace, "text")
    steps = tuple(
        dataclasses.replace(step, number=number, after=number - 1)
        for number, step in enumerate(trace.steps, start=1)
    )
    return dataclasses.replace(trace, steps=steps, **fields)


def check(text: str, plain: Parsed) -> None:
    """The page has the elements of one whose texts are harmless, and nothing that a browser would obey."""
    parsed = Parsed(text)
    assert not parsed.inside
    assert [tag for tag, _ in parsed.elements] == [tag for tag, _ in plain.elements]
    assert parsed.raw["script"] == plain.raw["script"]
    for tag, attributes in parsed.elements:
        names = {"src", "href", "srcset", "action", "style", "srcdoc", "background"}
        assert not [name for name in attributes if name in names or name.startswith("on")], (tag, attributes)
    assert not bad(text.replace("\n", ""))


@pytest.mark.parametrize("path", paths(whole()), ids=lambda path: "-".join(map(str, path)))
def test_hostile_text_in_any_field_stays_text(path: tuple[Any, ...]) -> None:
    trace = whole()
    plain = Parsed(made(put(trace, path, "another word"), show_addresses=True))
    text = made(put(trace, path, HOSTILE), show_addresses=True)
    check(text, plain)
    shown = Parsed(text).text
    if path[-1] not in ("clock", "recipient") and path[0] != "clocks" and "final" not in path:
        assert "<script>boom()</script><img src=x onerror=boom()>" in shown or path[-1] == "mailbox", path


def test_hostile_text_in_every_field_at_once_masked_or_not() -> None:
    trace = filled(Trace, HOSTILE)
    plain = Parsed(made(whole()))
    for how in (True, False):
        text = made(
            dataclasses.replace(
                trace,
                steps=tuple(
                    dataclasses.replace(step, number=number, after=number - 1)
                    for number, step in enumerate(trace.steps, start=1)
                ),
            ),
            show_addresses=how,
        )
        check(text, plain)


@pytest.mark.parametrize("name", TRACES)
def test_its_own_policy_lets_nothing_else_run_and_nothing_be_fetched(name: str) -> None:
    text = made(TRACES[name])
    parsed = Parsed(text)
    (policy,) = [
        each["content"]
        for tag, each in parsed.elements
        if tag == "meta" and each.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.keys() == {"default-src", "style-src", "script-src", "base-uri", "form-action"}
    assert {rules["default-src"], rules["base-uri"], rules["form-action"]} == {"'none'"}
    for kind in ("style", "script"):
        (content,) = parsed.raw[kind]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    assert text.index("Content-Security-Policy") < text.index("<style>"), (
        "a policy holds for what comes after it"
    )
    assert not re.search(r"https?://|url\(|@import|eval\(|innerHTML", text)


@pytest.mark.parametrize("name", TRACES)
def test_everything_that_is_known_is_on_the_page(name: str) -> None:
    trace = TRACES[name]
    shown = Parsed(made(trace, show_addresses=True)).text
    for arrival in trace.arrivals:
        assert f"{arrival.outcome.value} {arrival.text}" in shown
        assert arrival.next in shown
    for step in trace.steps:
        assert f"{step.evidence.value} {step.text}" in shown
        for text in (
            *(line.text for line in step.lines),
            *step.headers,
            step.hint,
            *trace.gaps,
            *trace.doubts,
        ):
            assert re.sub(r"\s+", " ", text) in shown
        if step.delays:
            assert f"delays={step.delays.before_queue:g}/" in shown
    first, last = shown.index(trace.arrivals[0].text), shown.index(trace.steps[0].text)
    assert first < last, "first whether it arrived"


def test_other_peoples_addresses_are_masked_but_for_those_that_were_named() -> None:
    text = made(TRACES["list"])
    for address in (LUIS, EVA, JON):
        assert address not in text
        assert address.partition("@")[0] not in re.findall(r"\w+", text.lower())
    assert ANA in text
    assert "team@alpha.test" in text
    assert "3 addresses of others are masked" in text
    named = made(TRACES["list"], named=[EVA])
    assert (EVA in named, LUIS in named) == (True, False)
    every = made(TRACES["list"], show_addresses=True)
    assert {LUIS, EVA, JON} <= set(re.findall(r"[\w.]+@[\w.]+\w", every))
    assert "masked" not in every


def test_each_agent_of_each_host_has_a_lane_and_arrows_go_from_lane_to_lane() -> None:
    told = rows(TRACES["two-domains"])
    found = lanes(told)
    assert [(each.host, each.agent) for each in found] == [
        ("this machine", Agent.MUA),
        ("mx1", Agent.SUBMISSION),
        ("mx1", Agent.QUEUE),
        ("mx1", Agent.FILTER),
        ("10.99.0.2", Agent.DNS),
        ("mx2", Agent.SMTP),
        ("mx2", Agent.QUEUE),
        ("mx2", Agent.LMTP),
        ("mx2", Agent.MAILBOX),
        ("mx2", Agent.IMAP),
    ]
    drawings = drawn(told, found)
    assert [one.way for one in drawings] == ["", *["right"] * 9]
    assert [one.from_x for one in drawings[1:]] == [one.x for one in drawings[:-1]]


def test_a_branch_leaves_the_lane_of_the_step_before_it_wherever_that_is() -> None:
    told = rows(TRACES["list"])
    drawings = drawn(told, lanes(told))
    divides = drawings[4].x  # the list
    for place in (5, 7, 13):
        assert drawings[place].from_x == divides
    for place in (6, 8, 9, 10, 11, 12):
        assert (divides, "through") in drawings[place].lines
    assert (divides, "in") in drawings[13].lines
    assert not [line for line in drawings[14].lines if line.x == divides], "nothing more comes from there"


def written(path: Path, events: list[Any], **how: Any) -> TracePage:
    report = TracePage(path, folders(), **how)
    for event in events:
        report(event)
    return report


END = RunEnded(0, "done")


def test_it_is_written_whole_at_the_end_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "way.html"
    path.write_text("an old one")
    path.chmod(0o644)
    written(path, [Traced(TRACES["alias"])])
    assert path.read_text() == "an old one", "nothing is written before the end"
    written(path, [Traced(TRACES["alias"]), Traced(TRACES["past"]), END])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().count("<article>") == 2
    assert path.read_text().endswith("</html>")
    assert os.listdir(tmp_path) == ["way.html"]


def test_without_a_trace_nothing_is_written(tmp_path: Path) -> None:
    written(tmp_path / "way.html", [END])
    assert os.listdir(tmp_path) == []


def test_where_it_cannot_be_written_is_said_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("/dev/null")
    for path, what in (
        (tmp_path, "cannot be written: it is a folder"),
        (tmp_path / "none" / "way.html", "its folder does not exist"),
        (tmp_path / "file" / "way.html", "its folder does not exist"),
        (tmp_path / "link", "cannot be written: it is a device, no file"),
        (tmp_path / ("x" * 300), "cannot be written: File name too long"),
    ):
        with pytest.raises(InputError, match=what) as caught:
            TracePage(path, folders())
        assert str(caught.value).startswith(f"--html {path}: ")
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_a_disk_that_is_full_at_the_end_leaves_the_old_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "way.html"
    path.write_text("an old one")
    report = TracePage(path, folders())
    report(Traced(TRACES["alias"]))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(own_file.Path, "replace", full)
    with pytest.raises(ReportFailed, match="cannot be written: No space left on device"):
        report(END)
    assert path.read_text() == "an old one"
    assert os.listdir(tmp_path) == ["way.html"]


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "way.html").symlink_to(tmp_path / "there" / "real.html")
    written(tmp_path / "way.html", [Traced(TRACES["alias"]), END])
    assert (tmp_path / "way.html").is_symlink()
    assert (tmp_path / "there" / "real.html").read_text().startswith("<!DOCTYPE html>")


def odd_ones() -> Iterator[Trace]:
    yield dataclasses.replace(TRACES["alias"], steps=(), arrivals=())
    yield dataclasses.replace(TRACES["alias"], message_id="", sender="", recipients=(), subject="Hello")
    for evidence in Evidence:
        for outcome in Outcome:
            trace = TRACES["past"]
            steps = tuple(dataclasses.replace(step, evidence=evidence, host="") for step in trace.steps)
            arrivals = tuple(dataclasses.replace(one, outcome=outcome) for one in trace.arrivals)
            yield dataclasses.replace(trace, steps=steps, arrivals=arrivals)


@pytest.mark.parametrize("trace", list(odd_ones()))
def test_a_trace_that_lacks_something_still_makes_a_page(trace: Trace) -> None:
    parsed = Parsed(made(trace))
    assert not parsed.inside
    assert Source.LOG.value not in {tag for tag, _ in parsed.elements}
