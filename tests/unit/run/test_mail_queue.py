"""Queues across hosts: what is told of them, limits, memory, and which ids are acted on where."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from mailprov.errors import HostUnreachable
from mailprov.model.events import Ended, Event, Notice, RunEnded
from mailprov.model.inventory import Host
from mailprov.model.queue import QueuedMessage, QueueState
from mailprov.run import mail_queue
from mailprov.run.deploy import Options
from mailprov.run.select import select
from mailprov.transport.channel import Channel
from tests.unit.run.every_message import GOOD
from tests.unit.run.scripted import ScriptedAgent, end, hello, inventory, plan

ID = "4F0A1B2C3D"


def queued(name: str = ID, **more: Any) -> dict[str, Any]:
    return {"t": "queued", "messages": [{**GOOD["queued"]["messages"][0], "id": name, **more}]}


def state(**more: Any) -> dict[str, Any]:
    return {**GOOD["queue_state"], **more}


def deleting(*names: str) -> dict[str, Any]:
    changes = [
        {"kind": "message", "action": "delete", "name": name, "detail": "", "diff": ""} for name in names
    ]
    return {**plan(*changes), "waits": bool(names)}


class Run:
    def __init__(self, agents: dict[str, ScriptedAgent | None]) -> None:
        self.agents = agents
        self.jobs: dict[str, dict[str, Any]] = {}
        self.events: list[Event] = []
        self.read = inventory("mx1", "mx2")
        self.chosen = select(self.read, list(agents), only=["hosts"])
        self.more: Any = {"start": self.start, "report": self.events.append}

    def look(self, limits: mail_queue.Limits | None = None, **wanted: Any) -> int:
        limits = limits or mail_queue.Limits()
        return mail_queue.look(self.read, self.chosen, mail_queue.Wanted(**wanted), limits, **self.more)

    def act(self, *ids: str, action: str = "delete", **options: Any) -> int:
        made = Options(command=f"queue --{action}", verify=False, **options)
        return mail_queue.act(self.read, self.chosen, action, ids, made, **self.more)

    def start(self, host: Host, job: dict[str, Any]) -> Channel:
        self.jobs[host.name] = job
        agent = self.agents[host.name]
        if agent is None:
            raise HostUnreachable(host.name, "no route to host")
        return agent

    def sent(self, host: str) -> list[str]:
        agent = self.agents[host]
        assert agent is not None
        return [message["t"] for message in agent.sent]

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def summary(self) -> str:
        (last,) = self.of(RunEnded)
        return str(last.summary)


def told(*more: dict[str, Any]) -> ScriptedAgent:
    return ScriptedAgent([hello(), *more, end()])


def test_all_hosts_are_asked_and_told_with_their_numbers() -> None:
    run = Run({"mx1": told(queued(), state()), "mx2": told(state(messages=0, all=0))})

    assert run.look(sender="ana@") == 0
    assert [one.queue_id for one in run.of(QueuedMessage)] == [ID]
    assert {one.subject: one.messages for one in run.of(QueueState)} == {"mx1": 1, "mx2": 0}
    assert run.summary() == "1 message in the queue"
    job = run.jobs["mx1"]
    assert job["mode"] == "queue"
    assert job["queue"]["sender"] == "ana@"
    assert (job["queue"]["all"], job["queue"]["limit"]) == (False, mail_queue.SHOWN)


def test_a_host_that_cannot_be_asked_is_named_and_is_3() -> None:
    run = Run({"mx1": told(queued(), state()), "mx2": None})

    assert run.look() == 3
    assert run.summary() == "1 message in the queue on mx1; mx2 could not be asked"


@pytest.mark.parametrize(
    ("limits", "over"),
    [
        (mail_queue.Limits(deferred=1), 0),
        (mail_queue.Limits(deferred=0), 1),
        (mail_queue.Limits(age=4, named="4s"), 0),
        (mail_queue.Limits(age=3, named="3s"), 1),
        (mail_queue.Limits(deferred=0, age=3, named="3s"), 2),
    ],
)
def test_what_is_over_a_limit_is_1(limits: mail_queue.Limits, over: int) -> None:
    run = Run(
        {
            "mx1": told(state()),
            "mx2": told(state(counts=dict.fromkeys(GOOD["queue_state"]["counts"], 0), oldest=0)),
        }
    )

    assert run.look(limits) == (1 if over else 0)
    assert [len(one.over) for one in sorted(run.of(QueueState), key=lambda one: one.subject)] == [over, 0]
    assert run.summary().count("mx1: ") == over


def test_a_failure_outranks_a_host_that_cannot_be_asked() -> None:
    assert Run({"mx1": told(state()), "mx2": None}).look(mail_queue.Limits(deferred=0)) == 1


def test_what_the_host_could_not_understand_is_said() -> None:
    run = Run({"mx1": told(state(unreadable=2))})
    run.look()

    assert "2 messages that postqueue told of could not be understood" in run.of(Notice)[0].text


class Endless(ScriptedAgent):
    """A host with that many messages, made as they are asked for."""

    def __init__(self, count: int) -> None:
        super().__init__([])
        self.count, self.made = count, 0

    def messages(self) -> Iterator[dict[str, Any]]:
        yield hello()
        while self.made < self.count:
            self.made += 1
            yield queued(f"4F0A1{self.made:06X}")
        yield state(messages=self.count, all=self.count)
        yield end()


def test_a_host_waits_where_the_report_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    """So what is kept of a queue is the same, however long it is."""
    monkeypatch.setattr(mail_queue, "_ON_THE_WAY", 20)
    agent = Endless(500)
    run = Run({"mx1": agent})
    most, seen = 0, 0

    def report(event: Event) -> None:
        nonlocal most, seen
        if isinstance(event, QueuedMessage):
            for _each in range(200 if not seen else 0):  # time for the host to run ahead
                time.sleep(0.001)
            seen += 1
            most = max(most, agent.made - seen)

    run.more["report"] = report
    assert run.look(everything=True) == 0
    assert seen == 500
    assert most <= 22


def test_a_message_that_is_named_is_acted_on_where_it_is() -> None:
    run = Run({"mx1": ScriptedAgent([hello(), queued(), deleting(ID)]), "mx2": told(deleting())})

    assert run.act(ID) == 0
    assert (run.sent("mx1"), run.sent("mx2")) == (["go"], [])
    job = run.jobs["mx1"]
    assert (job["mode"], job["action"], job["ids"]) == ("queue_act", "delete", [ID])


def test_an_id_that_two_hosts_have_is_acted_on_nowhere() -> None:
    agents = {name: ScriptedAgent([hello(), queued(), deleting(ID)]) for name in ("mx1", "mx2")}
    run = Run(dict(agents))

    assert run.act(ID) == 1
    assert (run.sent("mx1"), run.sent("mx2")) == (["cancel"], ["cancel"])
    assert f"nothing was changed: {ID} is in the queues of mx1, mx2 (--host says" in run.of(Notice)[-1].text
    alone = Run({"mx1": ScriptedAgent([hello(), queued(), deleting(ID)])})
    assert alone.act(ID) == 0


def test_an_id_that_is_already_as_wanted_on_one_of_two_hosts_is_still_in_two_queues() -> None:
    run = Run({"mx1": ScriptedAgent([hello(), queued(), deleting(ID)]), "mx2": told(queued(), deleting())})

    assert run.act(ID) == 1
    assert run.sent("mx1") == ["cancel"]


def test_an_id_that_is_nowhere_is_1_and_the_others_are_done() -> None:
    run = Run({"mx1": ScriptedAgent([hello(), queued(), deleting(ID)])})

    assert run.act(ID, "4F0A1B2C3E") == 1
    assert run.sent("mx1") == ["go"]
    assert [one.text for one in run.of(Notice)] == ["4F0A1B2C3E is in no queue"]


def test_where_a_host_cannot_be_asked_nobody_says_that_an_id_is_nowhere() -> None:
    run = Run({"mx1": told(deleting()), "mx2": None})

    assert run.act(ID) == 3
    assert run.of(Notice) == []


def test_a_no_does_nothing_and_is_1() -> None:
    run = Run({"mx1": ScriptedAgent([hello(), queued(), deleting(ID)])})

    assert run.act(ID, confirm=lambda counts: False) == 1
    assert run.sent("mx1") == ["cancel"]


def test_what_was_gone_when_it_came_to_it_is_that_hosts_failure() -> None:
    gone = [end("failed", f"{ID} is no longer in the queue as it was shown")]
    run = Run({"mx1": ScriptedAgent([hello(), queued(), deleting(ID)], gone)})

    assert run.act(ID) == 1
    assert [one.status for one in run.of(Ended)] == ["failed"]
