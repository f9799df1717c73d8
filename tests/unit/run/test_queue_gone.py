"""One login to a host serves every question about its queue, and whoever cannot be asked keeps nobody waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from mailprov.errors import Unreachable
from mailprov.model.inventory import Host
from mailprov.run.queue_gone import Watchers
from mailprov.transport.channel import Channel
from tests.unit.run.scripted import ScriptedAgent, end, hello, inventory

(HOST,) = inventory("mx1").hosts
GONE = {"t": "queue_gone", "whole": True, "running": True, "left": []}
RESTS = {"id": "4F1", "queue": "deferred", "address": "ana@alpha.test", "reason": "Connection refused"}


class Queue(ScriptedAgent):
    """Answers `answers`, one a question; where there are no more the connection is lost."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        super().__init__([])
        self.answers = answers

    def messages(self) -> Iterator[dict[str, Any]]:
        yield hello()
        for answer in (*self.answers, None):
            yield {"t": "asked"}
            if not self.sent[-1]["recipients"]:
                yield end()
            elif answer is None:
                return
            else:
                yield answer


class Login:
    def __init__(self, agent: ScriptedAgent | None) -> None:
        self.agent, self.jobs = agent, list[dict[str, Any]]()

    def __call__(self, host: Host, job: dict[str, Any]) -> Channel:
        self.jobs.append(job)
        if self.agent is None:
            raise Unreachable(host.name, "connection refused")
        return self.agent


def watchers(login: Login, stop: threading.Event | None = None) -> Watchers:
    return Watchers(command="verify", start=login, stop=stop or threading.Event())


def test_one_login_serves_all_questions() -> None:
    agent = Queue(GONE, {**GONE, "left": [RESTS]})
    login = Login(agent)
    asked = watchers(login)
    asked.begin([HOST])
    first = asked.ask(HOST, ["ana@alpha.test"], 1.0, 600.0)
    second = asked.ask(HOST, ["eva@alpha.test", "ana@alpha.test"], 2.0, 600.0)
    asked.end()
    assert (first.whole, first.running, list(first.waiting)) == (True, True, [])
    assert [(one.queue_id, one.reason) for one in second.waiting] == [("4F1", "Connection refused")]
    assert [job["mode"] for job in login.jobs] == ["queue_gone"]
    assert [(one["recipients"], one["age"]) for one in agent.sent] == [
        (["ana@alpha.test"], 1.0),
        (["eva@alpha.test", "ana@alpha.test"], 2.0),
        ([], 0.0),
    ]
    assert agent.closed


def test_who_was_not_told_early_is_asked_all_the_same() -> None:
    asked = watchers(Login(Queue(GONE)))
    assert asked.ask(HOST, ["ana@alpha.test"], 1.0, 600.0).whole
    asked.end()


def test_a_host_that_cannot_be_reached_says_why() -> None:
    asked = watchers(Login(None))
    told = [asked.ask(HOST, ["ana@alpha.test"], 1.0, 600.0) for __ in range(2)]
    assert [each.error for each in told] == ["connection refused"] * 2
    asked.end()


def test_a_connection_that_is_lost_between_two_questions_says_so() -> None:
    asked = watchers(Login(Queue(GONE)))
    assert not asked.ask(HOST, ["ana@alpha.test"], 1.0, 600.0).error
    assert asked.ask(HOST, ["ana@alpha.test"], 1.0, 600.0).error.startswith("the connection was lost")
    asked.end()


def test_a_run_that_is_stopped_waits_for_no_host() -> None:
    reached, released = threading.Event(), threading.Event()

    class Mute(Queue):
        def messages(self) -> Iterator[dict[str, Any]]:
            yield hello()
            yield {"t": "asked"}
            reached.set()
            released.wait()

        def close(self) -> None:
            super().close()
            released.set()

    stop, agent = threading.Event(), Mute()
    asked = watchers(Login(agent), stop)
    threading.Thread(target=lambda: (reached.wait(), stop.set()), daemon=True).start()
    assert asked.ask(HOST, ["ana@alpha.test"], 1.0, 600.0).error
    assert agent.closed
    asked.end()
