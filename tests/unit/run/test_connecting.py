"""Hundreds of hosts: handshakes come in batches, and connected hosts all wait for the one decision."""

from __future__ import annotations

import threading
import time
from typing import Any

from mailprov.model.events import Event, RunEnded
from mailprov.model.inventory import Host
from mailprov.run import deploy
from mailprov.run.hosts import CONNECTING
from mailprov.run.select import select
from mailprov.transport.channel import Channel
from tests.unit.run.scripted import FACTS, FILE, ScriptedAgent, hello, inventory, plan

HOSTS = 2 * CONNECTING + 7


def test_no_more_than_a_batch_connects_at_once_and_all_are_confirmed_together() -> None:
    everything = inventory(*(f"mx{number}" for number in range(HOSTS)))
    lock = threading.Lock()
    now, most, total = 0, 0, 0
    full = threading.Event()

    def start(host: Host, job: dict[str, Any]) -> Channel:
        nonlocal now, most, total
        with lock:
            now, total = now + 1, total + 1
            most = max(most, now)
            if now == CONNECTING:
                full.set()
        full.wait(60)  # the first batch is whole before one of it goes on
        time.sleep(0.001)
        with lock:
            now -= 1
        return ScriptedAgent([hello(), {"t": "facts", "facts": FACTS}, plan(FILE)])

    events: list[Event] = []
    asked: list[int] = []

    def confirm(counts: dict[str, int]) -> bool:
        asked.append(counts["create"])
        return True

    options = deploy.Options(confirm=confirm, verify=False)
    code = deploy.apply(
        everything, select(everything, only=["hosts"]), options, start=start, report=events.append
    )

    assert code == 0, [event for event in events if isinstance(event, RunEnded)]
    assert (most, total) == (CONNECTING, HOSTS)
    assert asked == [HOSTS]
