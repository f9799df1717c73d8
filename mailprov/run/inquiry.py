"""Hosts are asked one thing each, all at once: what history, kept mailboxes, DKIM keys, bans and kept zones share.

    ask(hosts, job, events, …) -> [Answer]      returns when all have answered or cannot
    launch(hosts, job, …) -> [Answer]           the same, for whoever waits in a way of his own

A host that cannot be asked is an answer with an error. KeyboardInterrupt goes on up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mailprov.model.events import Emit
from mailprov.model.inventory import Host
from mailprov.model.values import dataclass
from mailprov.run.event_queue import EventQueue
from mailprov.run.gate import Gate
from mailprov.run.hosts import HostSession, Outcome, Start

Job = Callable[[Host], dict[str, Any]]  # what a host is asked: the job's `mode` and what belongs to it
Believe = Callable[[Host, Mapping[str, Any]], None]  # raises NotBelieved for what is not this host's to tell


class Question:
    """The mode of a conversation in which the agent tells one thing and asks nothing."""

    def __init__(self, host: Host, job: dict[str, Any], believe: Believe | None = None) -> None:
        self.job = job
        self.told: Mapping[str, Any] = {}
        self._host, self._believe = host, believe

    def answer(self, message: dict[str, Any]) -> None:
        if self._believe is not None:
            self._believe(self._host, message)
        self.told = message

    def go(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Answer:
    host: Host
    session: HostSession
    question: Question

    @property
    def told(self) -> Mapping[str, Any]:
        """The agent's message, as in wire.messages; empty until there is one."""
        return self.question.told

    @property
    def outcome(self) -> Outcome:
        return self.session.outcome


def launch(
    hosts: Iterable[Host],
    job: Job,
    *,
    command: str,
    emit: Emit,
    start: Start,
    believe: Believe | None = None,
    milestone: Callable[[], threading.Event] = threading.Event,
    question: Callable[[Host, dict[str, Any], Believe | None], Question] = Question,
) -> list[Answer]:
    """From any thread. `session.ended` of each is set when it has answered, or cannot."""
    answers = []
    for host in hosts:
        asked = question(host, job(host), believe)
        session = HostSession(
            host, asked, command=command, emit=emit, gate=Gate(), start=start, milestone=milestone
        )
        answers.append(Answer(host, session, asked))
    for one in answers:
        one.session.launch()
    return answers


def ask(
    hosts: Iterable[Host],
    job: Job,
    *,
    command: str,
    events: EventQueue,
    start: Start,
    emit: Emit | None = None,
    believe: Believe | None = None,
) -> list[Answer]:
    """In the order of `hosts`. `emit`: where the hosts' events go, if not into `events`."""
    answers = launch(
        hosts,
        job,
        command=command,
        emit=emit or events.emit,
        start=start,
        believe=believe,
        milestone=events.milestone,
    )
    events.pump(lambda: all(one.session.ended.is_set() for one in answers))
    return answers
