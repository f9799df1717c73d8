"""Signs of life: what is being done is told while nothing comes to its end; and what is waited for is seen at once."""

from __future__ import annotations

import threading
import time

import pytest

from mailprov.model.events import (
    Action,
    Applied,
    Change,
    Ended,
    Event,
    Notice,
    Planned,
    Progress,
    RunEnded,
    StillWorking,
)
from mailprov.run import event_queue as module
from mailprov.run.event_queue import EventQueue

LONG = 1000.0
LOCKED = "waiting for apt-get (pid 115), which has locked the package system"


class Watched:
    def __init__(self, heartbeat: float = LONG) -> None:
        self.events: list[Event] = []
        self.queue = EventQueue(self.events.append, heartbeat)

    def beats(self) -> list[StillWorking]:
        """Those that come where nothing else has come for long, twice."""
        self.events.clear()
        for _ in range(2):
            self.queue.wake()
            self.queue._pulse._last -= LONG
            self.queue.wake()
        return [event for event in self.events if isinstance(event, StillWorking)]


def test_it_comes_by_itself() -> None:
    watched = Watched(heartbeat=0.01)
    watched.queue.emit(Progress("mx1", LOCKED))
    come = watched.queue.pump(
        lambda: sum(isinstance(event, StillWorking) for event in watched.events) > 1,
        deadline=time.monotonic() + 60,
    )
    assert come


def test_while_hosts_are_at_work_it_says_what_they_do() -> None:
    watched = Watched()
    watched.queue.emit(Progress("mx1", LOCKED))
    watched.queue.emit(Progress("mx2", "apt: Unpacking postfix"))
    watched.queue.emit(Progress("mx2", "apt: Setting up postfix"))

    beat = watched.beats()[-1]
    assert [(one.subject, one.text) for one in beat.doing] == [
        ("mx1", LOCKED),
        ("mx2", "apt: Setting up postfix"),
    ]
    assert beat.doing[0].seconds >= beat.doing[1].seconds


@pytest.mark.parametrize(
    "end", [Planned("mx1", ()), Ended("mx1", "ok"), RunEnded(0, "done")], ids=lambda e: type(e).__name__
)
def test_who_has_nothing_to_do_is_not_told(end: Event) -> None:
    watched = Watched()
    watched.queue.emit(Progress("mx1", LOCKED))
    watched.queue.emit(end)

    assert watched.beats() == []


def test_zones_that_are_planned_are_no_longer_compared() -> None:
    for end in (Planned("zone alpha.test", ()), Notice("dns", "no records are published here")):
        watched = Watched()
        watched.queue.emit(Progress("dns", "comparing the zones"))
        watched.queue.emit(end)

        assert watched.beats() == []


def test_what_was_applied_last_is_what_a_host_is_at() -> None:
    watched = Watched()
    watched.queue.emit(Progress("mx1", "apt: Setting up postfix"))
    watched.queue.emit(Applied(Change("mx1", "file", Action.CREATE, "/etc/postfix/main.cf")))

    assert [one.text for one in watched.beats()[-1].doing] == ["file /etc/postfix/main.cf"]


def test_lines_that_come_anyway_are_signs_of_life() -> None:
    watched = Watched(heartbeat=60)
    watched.queue.emit(Progress("mx1", LOCKED))
    watched.queue._pulse._last -= 59  # nearly time
    watched.queue.emit(Notice("mx1", "something to know"))
    watched.queue.wake()
    watched.queue._pulse._last -= 2
    watched.queue.wake()

    assert not [event for event in watched.events if isinstance(event, StillWorking)]


@pytest.mark.parametrize(("given", "seconds"), [(None, 15.0), ("0", 0.0), ("60", 60.0), ("soon", 15.0)])
def test_the_interval_comes_from_the_environment(
    given: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILPROV_HEARTBEAT", raising=False)
    if given is not None:
        monkeypatch.setenv("MAILPROV_HEARTBEAT", given)

    assert module._interval() == seconds


def test_an_interval_of_0_means_none() -> None:
    watched = Watched(heartbeat=0)
    watched.queue.emit(Progress("mx1", LOCKED))

    assert watched.beats() == []


def test_a_milestone_is_seen_at_once_where_no_event_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICK", 600.0)  # until it looks by itself
    events = EventQueue(lambda event: None)
    reached, looked = events.milestone(), threading.Event()

    def done() -> bool:
        looked.set()
        return reached.is_set()

    pumping = threading.Thread(target=events.pump, args=(done,), daemon=True)
    pumping.start()
    assert looked.wait(60)
    reached.set()
    pumping.join(60)
    assert not pumping.is_alive()
