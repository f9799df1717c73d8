"""Messages of the past: which of those that the logs tell of was meant, and what is said where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mailprov.errors import HostUnreachable
from mailprov.model.answers import MessageFound, Traced
from mailprov.model.events import Event, Notice, RunEnded
from mailprov.model.inventory import Host
from mailprov.model.trace import Agent, Outcome, Source
from mailprov.run.trace_past import Search, past
from mailprov.transport.channel import Channel
from tests.unit.run.scripted import ScriptedAgent, end, hello, inventory
from tests.unit.run.test_trace_logs import record, told

RECORDED = Path(__file__).parents[2] / "agent" / "maillog"
SECOND = "<second.mx4@test.example>"


def recorded(release: str, *parts: str) -> list[dict[str, Any]]:
    """What the agent tells of the messages whose records have one of `parts`."""
    found = []
    for line in (RECORDED / f"{release}.jsonl").read_text().splitlines():
        raw = json.loads(line)
        if any(part in raw["MESSAGE"] for part in parts):
            t = int(raw.get("_SOURCE_REALTIME_TIMESTAMP", raw["__REALTIME_TIMESTAMP"]))
            pid = int(raw.get("SYSLOG_PID", raw["_PID"]))
            found.append(
                {
                    "t": t,
                    "ident": raw["SYSLOG_IDENTIFIER"],
                    "pid": pid,
                    "text": raw["MESSAGE"],
                    "source": "journal",
                }
            )
    return found


def traced(accounts: list[str], header: list[str] | None) -> dict[str, Any]:
    """`header`: of the file in each mailbox, or None where it is gone."""
    files = [
        {"address": each, "path": "/x", "folder": "INBOX", "size": 9, "t": 1, "headers": header}
        for each in (accounts if header is not None else ())
    ]
    return {"t": "traced", "files": files, "answers": [], "settings": {}, "now": 1.0}


class Run:
    """`answers`: host → records, or None for one that cannot be reached. `header`: of the file in the mailbox."""

    def __init__(
        self, search: Search, header: list[str] | None = None, **answers: list[dict[str, Any]] | None
    ) -> None:
        self.events: list[Event] = []
        self._header = header
        self.keys: list[dict[str, Any]] = []
        self._answers = answers
        self.code = past(inventory(*answers), search, start=self._start, report=self.events.append)

    def _start(self, host: Host, job: dict[str, Any]) -> Channel:
        self.keys.append(job["keys"])
        if job["mode"] == "trace":
            return ScriptedAgent([hello(), traced(job["keys"]["accounts"], self._header), end()])
        records = self._answers[host.name]
        if records is None:
            raise HostUnreachable(host.name, "no answer on port 22", "look")
        return ScriptedAgent([hello(), told(*records), end()])

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def test_one_message_is_shown_whole() -> None:
    run = Run(
        Search(queue_id="4AE2AFC462F", host="mx1"),
        mx1=recorded("debian-12", "4AE2AFC462F", "kJfZEs7YDGuRBQAA7Dvb1A"),
    )
    (event,) = run.of(Traced)
    (arrival,) = event.trace.arrivals
    assert (run.code, arrival.outcome, arrival.mailbox) == (0, Outcome.DELIVERED, "INBOX")
    assert (arrival.recipient, arrival.final) == ("ventas@alfa.test", "ana@alpha.test")
    assert event.trace.message_id == SECOND


def test_the_header_is_read_where_that_was_asked_for_and_no_body() -> None:
    search = Search(queue_id="4AE2AFC462F", host="mx1", headers=True)
    records = recorded("debian-12", "4AE2AFC462F", "kJfZEs7YDGuRBQAA7Dvb1A")
    received = "Received: from x by mx1.alpha.test (Postfix) with ESMTPS id 4AE2AFC462F for <y>; now"
    header = ["Return-Path: <a@x>", received, "X-Spam: no", "From: a@x", "Subject: \x1b[31mred", "X-Own: 1"]
    run = Run(search, header, mx1=records)
    (event,) = run.of(Traced)
    (step,) = [step for step in event.trace.steps if step.agent is Agent.MAILBOX]
    own = [line.text for line in step.lines if line.source is Source.HEADER]
    assert [line.partition(":")[0] for line in own] == ["From", "Subject", "X-Own"]
    assert "\x1b" not in "".join(own)
    assert any(received in each.headers for each in event.trace.steps)
    assert any("X-Spam: no" in each.headers for each in event.trace.steps)
    asked = run.keys[-1]
    assert (asked["message_id"], asked["accounts"], asked["headers"]) == (SECOND, ["ana@alpha.test"], True)
    assert abs(asked["near"] - records[-1]["t"] / 1e6) < 60

    gone = Run(search, None, mx1=records)
    (event,) = gone.of(Traced)
    assert [gap for gap in event.trace.gaps if "ana@alpha.test" in gap], event.trace.gaps
    assert event.trace.arrivals[0].outcome is Outcome.DELIVERED
    quiet = Run(Search(queue_id="4AE2AFC462F", host="mx1"), header, mx1=records)
    assert len(quiet.keys) == 1, "no mailbox is looked into"


def test_what_a_filter_puts_at_the_end_of_the_header_is_the_filters_where_it_tells_of_the_message() -> None:
    search = Search(queue_id="4AE2AFC462F", host="mx1", headers=True)
    records = recorded("debian-12", "4AE2AFC462F", "kJfZEs7YDGuRBQAA7Dvb1A")
    received = "Received: from x by mx1.alpha.test (Postfix) with ESMTPS id 4AE2AFC462F for <y>; now"
    below = ["X-Spamd-Bar: /", "X-Spam-Level: *"]
    header = [received, "From: a@x", "X-Spam: sent so", "X-Own: 1", *below]
    judged = record(
        f"rspamd_task_write_log: id: <{SECOND.strip('<>')}>, qid: <4AE2AFC462F>, ip: 192.0.2.9, "
        "(default: F (no action): [1.10/15.00] [A(1.10){}]), len: 300",
        "rspamd",
    )
    for logs, filters, own in (
        ([*records, judged], below, ["From", "X-Spam", "X-Own"]),
        (records, [], ["From", "X-Spam", "X-Own", "X-Spamd-Bar", "X-Spam-Level"]),
    ):
        run = Run(search, header, mx1=logs)
        (event,) = run.of(Traced)
        (step,) = [step for step in event.trace.steps if step.agent is Agent.MAILBOX]
        names = [line.text.partition(":")[0] for line in step.lines if line.source is Source.HEADER]
        assert names == own
        added = [each.headers for each in event.trace.steps if each.agent is Agent.FILTER]
        assert [list(each) for each in added if each] == ([filters] if filters else [])


def test_several_are_listed_with_their_ids() -> None:
    run = Run(
        Search(sender="dora@delta.test"),
        mx1=recorded("debian-12", "4AE2AFC462F", "kJfZEs7YDGuRBQAA7Dvb1A", "61521FC462F"),
    )
    found = run.of(MessageFound)
    assert {(each.subject, each.queue_id) for each in found} == {
        ("mx1", "4AE2AFC462F"),
        ("mx1", "61521FC462F"),
    }
    assert run.code == 0
    assert "name one by its id" in run.of(RunEnded)[0].summary
    assert run.of(Traced) == []


def test_a_queue_id_means_one_message_also_where_others_have_its_message_id() -> None:
    run = Run(
        Search(queue_id="4AE2AFC462F"),
        mx1=recorded("debian-12", "4AE2AFC462F", "kJfZEs7YDGuRBQAA7Dvb1A", "61521FC462F"),
    )
    assert [event.trace.recipients for event in run.of(Traced)] == [("ventas@alfa.test",)]


def test_a_refusal_is_found_by_its_addresses() -> None:
    text = (
        "NOQUEUE: reject: RCPT from x[192.0.2.9]: 550 5.1.1 <no@alpha.test>: Recipient address rejected; "
        "from=<bo@else.test> to=<no@alpha.test> proto=ESMTP helo=<x>"
    )
    again = {**record(text, "postfix/smtpd"), "t": 1_796_000_060_000_000}
    run = Run(
        Search(sender="bo@else.test", recipient="no@alpha.test"), mx1=[record(text, "postfix/smtpd"), again]
    )
    (event,) = run.of(Traced)
    assert event.trace.arrivals[0].outcome is Outcome.REFUSED
    assert "550 5.1.1" in event.trace.arrivals[0].text
    assert event.trace.began > 1_796_000_050
    assert run.code == 1


def test_where_nothing_is_found_it_is_said_where_it_was_looked_for() -> None:
    run = Run(Search(message_id="<no@x>"), mx1=[], mx2=[])
    assert run.code == 1
    notes = [(note.subject, note.text) for note in run.of(Notice)]
    assert [subject for subject, _text in notes] == ["mx1", "mx2"]
    assert all("journal" in text and "2026-11-30" in text for _subject, text in notes)
    assert "Search by the addresses" in run.of(RunEnded)[0].summary


def test_a_host_that_cannot_be_asked_leaves_it_open() -> None:
    run = Run(Search(message_id="<no@x>"), mx1=[], mx2=None)
    assert run.code == 3
    assert "mx2 could not be asked" in run.of(RunEnded)[0].summary
    run = Run(
        Search(queue_id="4AE2AFC462F"),
        mx1=recorded("debian-12", "4AE2AFC462F", "kJfZEs7YDGuRBQAA7Dvb1A"),
        mx2=None,
    )
    assert run.code == 0
    (event,) = run.of(Traced)
    assert any("mx2" in gap for gap in event.trace.gaps)


def test_one_host_alone_is_asked_where_one_is_named() -> None:
    run = Run(Search(queue_id="AAAAAA1", host="mx2"), mx1=[], mx2=[])
    assert run.keys == [{"since": 0.0, "until": 0.0, "queue_ids": ["AAAAAA1"]}]
