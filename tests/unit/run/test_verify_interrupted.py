"""Ctrl-C while verify runs: what was sent is taken out again, and a second one leaves at once and says what is left."""

from __future__ import annotations

import threading

from mailprov.model.accounts import Account
from mailprov.model.events import Event, Notice
from mailprov.model.inventory import Host, SshSettings, Tls
from mailprov.probe import Leftovers
from mailprov.run.event_queue import EventQueue
from mailprov.run.verify import _take_back

ANA = Account("ana@alpha.test")
SEARCH = "HEADER X-Mailprov-Probe abc"


def sent() -> Leftovers:
    leftovers = Leftovers()
    leftovers.note(Host("mx1", "127.0.0.1", "mx1.alpha.test", SshSettings(), Tls()), ANA, SEARCH)
    return leftovers


def test_it_waits_until_all_is_taken_out() -> None:
    leftovers, done = sent(), threading.Event()
    said: list[str] = []

    def hear(event: Event) -> None:
        assert isinstance(event, Notice)
        said.append(event.text)
        leftovers.gone(ANA, SEARCH)
        done.set()

    _take_back(EventQueue(hear), done, [leftovers])

    assert said == ["taking out again what was sent, 15 s at most (Ctrl-C again leaves at once)"]


def test_a_second_one_leaves_and_says_what_is_left() -> None:
    leftovers = sent()
    said: list[str] = []

    def hear(event: Event) -> None:
        assert isinstance(event, Notice)
        said.append(event.text)
        if len(said) == 1:
            raise KeyboardInterrupt

    events = EventQueue(hear)
    _take_back(events, threading.Event(), [leftovers])
    events.wake()

    assert said[1].startswith("a test message may be in the mailbox of ana@alpha.test")
    assert said[1].endswith("doveadm expunge -u ana@alpha.test mailbox '*' header X-Mailprov-Probe abc")


def test_where_nothing_was_sent_nothing_is_said() -> None:
    done = threading.Event()
    done.set()

    def never(event: Event) -> None:
        raise AssertionError(event)

    _take_back(EventQueue(never), done, [Leftovers()])
    _take_back(EventQueue(never), done, [])
