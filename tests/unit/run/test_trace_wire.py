"""trace --wire: what hosts heard finds its steps, and every host is let go, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mailprov.errors import HostFailed, MailprovError
from mailprov.model.inventory import Host
from mailprov.model.trace import Agent, Evidence, Source, Step, Trace, TraceLine
from mailprov.model.values import replace
from mailprov.run.trace_wire import Wire
from mailprov.trace.heard import queue_ids, with_heard
from mailprov.trace.observed import Heard
from tests.unit.run.scripted import ScriptedAgent, end, hello, inventory


def logged(text: str) -> TraceLine:
    return TraceLine(Source.LOG, text)


def delivered(number: int, recipient: str) -> Step:
    line = logged(f"postfix/wire/smtp[7]: AAAA: to=<{recipient}>, relay=mx2[192.0.2.2]:25, status=sent")
    return Step(
        number,
        1,
        Agent.SMTP,
        Evidence.LOGGED,
        "",
        host="mx2",
        queue_id="BBBB",
        recipient=recipient,
        lines=(line,),
    )


SMTP, OTHER = delivered(2, "bob@two.test"), delivered(3, "eva@two.test")
QUEUE = Step(1, 0, Agent.QUEUE, Evidence.LOGGED, "", host="mx1", queue_id="AAAA")
TRACE = Trace("<1@x>", "ana@one.test", ("bob@two.test",), 0.0, (QUEUE, SMTP, OTHER), ())
EHLO = TraceLine(Source.SENT, "EHLO mx1")


def heard(**other: Any) -> Heard:
    values = {"host": "mx1", "agent": "smtp", "queue_id": "AAAA", "peer": "mx2[192.0.2.2]:25",
              "recipients": ("bob@two.test",), "lines": (EHLO,), **other}  # fmt: skip
    return Heard(**values)


def test_a_dialogue_finds_its_step_by_queue_id_and_recipient() -> None:
    made = with_heard(TRACE, [heard()], ["mx3: not heard"])

    assert made.steps[1].lines == (EHLO, *SMTP.lines)
    assert (made.steps[0], made.steps[2]) == (QUEUE, OTHER)
    assert made.gaps == ("mx3: not heard",)


def test_one_dialogue_for_several_recipients_stands_in_each_of_their_steps() -> None:
    made = with_heard(TRACE, [heard(recipients=("bob@two.test", "eva@two.test"))], [])
    assert [step.lines[0] for step in made.steps[1:]] == [EHLO, EHLO]


@pytest.mark.parametrize("other", [{"queue_id": "AAA"}, {"recipients": ("x@two.test",)}, {"agent": "lmtp"}])
def test_what_fits_no_step_is_told_and_joined_to_none(other: dict[str, Any]) -> None:
    made = with_heard(TRACE, [heard(**other)], [])
    assert made.steps == TRACE.steps
    assert len(made.gaps) == 1


def test_what_an_address_stands_for_was_said_to_nobody() -> None:
    """A list's step tells of the same deliveries. Only where the address is rewritten (SRS) there is a dialogue."""
    members = replace(SMTP, agent=Agent.ADDRESS)
    rewritten = replace(members, port=10027)
    made = with_heard(replace(TRACE, steps=(members, rewritten, SMTP)), [heard()], [])
    assert [step.lines for step in made.steps] == [SMTP.lines, (EHLO, *SMTP.lines), (EHLO, *SMTP.lines)]


def test_hosts_are_asked_about_their_own_ids() -> None:
    assert queue_ids(TRACE) == {"mx1": {"AAAA"}, "mx2": {"BBBB"}}


class Listener(ScriptedAgent):
    """An agent in mode wire: what follows its `verbose` comes once it was asked."""

    def messages(self) -> Iterator[dict[str, Any]]:
        yield from ScriptedAgent([hello(), VERBOSE]).messages()
        cancelled = {"t": "cancel"} in self.sent
        yield from [end("cancelled", "interrupted")] if cancelled else self._on_go


VERBOSE = {"t": "verbose", "seconds": 120, "gaps": [{"text": "Postfix logs to a file"}]}
DIALOGUES = {
    "t": "dialogues",
    "dialogues": [
        {"agent": "smtp", "queue_id": "AAAA", "peer": "mx2[192.0.2.2]:25", "recipients": ["bob@two.test"],
         "lines": [{"source": "sent", "text": "EHLO mx1"}]}
    ],
}  # fmt: skip


def wire(agents: Mapping[str, ScriptedAgent], jobs: list[dict[str, Any]]) -> Wire:
    def start(host: Host, job: dict[str, Any]) -> ScriptedAgent:
        jobs.append(job)
        return agents[host.name]

    hosts = [host for host in inventory(*agents).hosts if host.name in agents]
    return Wire(
        hosts,
        ["ana@one.test"],
        ["b@x.test", "a@x.test"],
        command="trace",
        emit=lambda event: None,
        start=start,
    )


def test_each_host_hears_its_own_ids_and_tells_what_was_said() -> None:
    agents = {"mx1": Listener([], [DIALOGUES, end()])}
    jobs: list[dict[str, Any]] = []
    with wire(agents, jobs) as opened:
        assert opened.gaps == ("mx1: Postfix logs to a file",)
        assert opened.collect({"mx1": ["AAAA"], "mx2": ["BBBB"]}) == [heard()]
    assert jobs[0]["recipients"] == ["a@x.test", "b@x.test"]
    assert agents["mx1"].sent == [{"t": "collect", "queue_ids": ["AAAA"]}]


def test_one_host_that_refuses_stops_all_before_anything_is_sent() -> None:
    """As it refuses an apply: with the words of the lock, and its exit code."""
    refused = end("failed", "locked by eva@desk: mailprov apply since 2026-11-30 10:00:00 UTC")
    agents = {
        "mx1": Listener([]),
        "mx2": ScriptedAgent([hello(), refused]),
    }
    with pytest.raises(MailprovError, match="mx2: locked by eva@desk") as raised, wire(agents, []):
        pytest.fail("nothing may be sent")
    assert raised.value.exit_code == 1
    assert {"t": "cancel"} in agents["mx1"].sent


def test_an_error_meanwhile_lets_every_host_go() -> None:
    agents = {"mx1": Listener([])}
    with pytest.raises(HostFailed), wire(agents, []):
        raise HostFailed("mx1", "something else", "")
    assert {"t": "cancel"} in agents["mx1"].sent


def test_a_host_that_is_lost_after_the_message_was_sent_is_a_gap() -> None:
    agents = {"mx1": Listener([], [end("failed", "nobody asked")])}
    with wire(agents, []) as opened:
        assert opened.collect({"mx1": ["AAAA"]}) == []
    assert opened.gaps[1:] == ("mx1: nobody asked.",)
