"""What a whole verify of two sound hosts costs: connections, logins, messages, questions over SSH. No seconds.

Who adds a probe sees here what it adds, and raises a number where that is worth it. There is room for some probes in
each of them: connections to one port are seldom more than six at a time, so each six more are a round more to wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import pytest

from mailprov.model.findings import Verdict
from mailprov.model.inventory import Host
from mailprov.probe import QueueTold
from mailprov.probe.clients.connection import Connection
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.state import PASSWORDS

# To one port of one host, of all probes together.
CONNECTIONS = {25: 60, 465: 48, 587: 48, 110: 36, 143: 36, 993: 60, 995: 36, 4190: 30}
RIGHT_LOGINS = 180  # with right passwords, to both hosts
MESSAGES = 60
QUESTIONS = 8  # to the queue of one host, one after another


class Spent:
    def __init__(self, lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch) -> None:
        self.connections: Counter[tuple[str, int]] = Counter()
        self.questions: Counter[str] = Counter()
        self.watched: list[str] = []
        self._lab, self._connect = lab, Connection.connect
        monkeypatch.setattr(Connection, "connect", self.connect)

    def connect(self, address: str, number: int, *words: Any, **more: Any) -> Connection:
        served = {
            there: (at, port) for (at, port), there in self._lab.world.port_map.items() if at == address
        }
        self.connections[served[number]] += 1
        return self._connect(address, number, *words, **more)

    def ask(self, host: Host, addresses: Collection[str], age: float, seconds: float) -> QueueTold:
        assert host.name in self.watched  # the login was begun before somebody had to wait for it
        self.questions[host.name] += 1
        return QueueTold(whole=True)

    def watch(self, hosts: Collection[Host]) -> None:
        assert not self.connections
        self.watched += [host.name for host in hosts]


def test_a_whole_verify_stays_within_its_budget(lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.with_addresses()
    lab.spoil("refuses-late", "")  # wrong passwords beside the rest, as on hosts that mailprov built
    spent = Spent(lab, monkeypatch)
    found = lab.verify(queues=spent.ask, watch=spent.watch)
    assert not [item for item in found if item.verdict in {Verdict.FAIL, Verdict.ERROR}]
    over = {
        (*where, count) for where, count in spent.connections.items() if count > CONNECTIONS.get(where[1], 0)
    }
    assert over == set()
    right = [PASSWORDS.get(user) == password for user, password in lab.world.attempts]
    assert right.count(True) <= RIGHT_LOGINS
    assert right.count(False) == 2 * (7 + 6)  # one wrong password a port, and what is almost a right login
    assert sum(command == "DATA" for command in lab.world.commands) <= MESSAGES
    assert max(spent.questions.values()) <= QUESTIONS
    assert sorted(spent.watched) == ["mx1", "mx2"]


def test_who_needs_no_queue_logs_in_to_no_host(lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch) -> None:
    spent = Spent(lab, monkeypatch)
    lab.verify("tls dns", queues=spent.ask, watch=spent.watch)
    assert spent.watched == []
