"""Logs of all hosts at once: whose clock is off, what a host that is silent leaves open, and hostile text."""

from __future__ import annotations

import time
from typing import Any

from mailprov.errors import HostUnreachable
from mailprov.model.inventory import Host
from mailprov.run.trace_logs import read_logs
from mailprov.transport.channel import Channel
from tests.unit.run.scripted import ScriptedAgent, end, hello, inventory

ID = "<a@alpha.test>"


def record(text: str, ident: str = "postfix/smtp") -> dict[str, Any]:
    return {"t": 1_796_000_000_000_000, "ident": ident, "pid": 7, "text": text, "source": "journal"}


def told(*records: dict[str, Any], ahead: float = 0.0, gaps: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "t": "maillog", "records": list(records), "gaps": [{"text": gap} for gap in gaps], "reach": 1.796e9,
        "sources": ["journal"], "more": False, "now": time.time() + ahead,
    }  # fmt: skip


class Hosts:
    """Each host answers one round after the other; `asked` has their keys."""

    def __init__(self, ahead: float = 0.0, **rounds: list[dict[str, Any]]) -> None:
        self.rounds, self.asked, self._ahead = rounds, list[tuple[str, dict[str, Any]]](), ahead

    def start(self, host: Host, job: dict[str, Any]) -> Channel:
        self.asked.append((host.name, job["keys"]))
        if host.name not in self.rounds:
            raise HostUnreachable(host.name, "no answer on port 22", "look")
        return ScriptedAgent([hello(self._ahead), self.rounds[host.name].pop(0), end()])


def test_a_host_that_cannot_be_asked_is_a_gap_and_the_others_are_told() -> None:
    read = inventory("mx1", "mx2")
    hosts = Hosts(
        mx1=[told(record(f"AAAAAA1: message-id={ID}", "postfix/cleanup"), gaps=("the log lost records",))]
    )
    found = read_logs(read, {"mx1": {"message_ids": [ID]}, "mx2": {"message_ids": [ID]}}, start=hosts.start)
    assert len(found["mx1"].log.records) == 1
    assert found["mx1"].log.gaps == ("mx1: the log lost records",)
    assert found["mx2"].log.records == ()
    assert found["mx2"].log.gaps == ("the log of mx2 could not be read: no answer on port 22",)


def test_a_clock_that_is_off_is_measured_and_stops_nothing() -> None:
    """By more than what fails a plan."""
    read = inventory("mx1")
    hosts = Hosts(ahead=900.0, mx1=[told(ahead=900.0)])
    found = read_logs(read, {"mx1": {"queue_ids": ["AAAAAA1"]}}, start=hosts.start)
    assert found["mx1"].error is None
    # What was under way for longer seems to be further behind.
    offset = found["mx1"].log.offset
    assert offset is not None
    assert 600 < offset <= 900


def test_hostile_text_is_cleaned() -> None:
    read = inventory("mx1")
    hosts = Hosts(mx1=[told(record("AAAAAA1: helo=<\x1b[2J\r\n\u202eevil>", "postfix/\x07smtpd"))])
    (one,) = read_logs(read, {"mx1": {}}, start=hosts.start)["mx1"].log.records
    assert one.text.isprintable()
    assert one.ident.isprintable()
