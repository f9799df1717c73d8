"""Purge across hosts: who is refused before any host is asked, what is asked, and what no mailbox means."""

from __future__ import annotations

from typing import Any

import pytest

from mailprov.errors import InputError
from mailprov.model.events import Event, KeptMailbox, RunEnded
from mailprov.model.inventory import Host
from mailprov.run import purge
from mailprov.run.deploy import Options
from mailprov.run.select import select
from mailprov.transport.channel import Channel
from tests.unit.run.scripted import ScriptedAgent, end, hello, inventory, plan

BOX = {"kind": "mailbox", "action": "delete", "name": "luis@alpha.test", "detail": "1 message", "diff": ""}
FOUND = [hello(), {**plan(BOX), "waits": True}]
NONE = [hello(), {**plan(), "waits": False}, end()]


class Run:
    def __init__(self, agents: dict[str, ScriptedAgent], address: str = "", **options: Any) -> None:
        self.agents, self.jobs = agents, {}
        self.events: list[Event] = []
        read = inventory("mx1", "mx2")
        chosen = select(read, list(agents), only=["hosts"])
        more: Any = {"start": self.start, "report": self.events.append}
        if address:
            made = Options(command="purge", verify=False, **options)
            self.code = purge.purge(read, chosen, address, made, **more)
        else:
            self.code = purge.kept(read, chosen, **more)

    def start(self, host: Host, job: dict[str, Any]) -> Channel:
        self.jobs[host.name] = job
        return self.agents[host.name]

    def sent(self, host: str) -> list[str]:
        return [message["t"] for message in self.agents[host].sent]


def test_an_account_of_the_inventory_is_refused_before_a_host_is_asked() -> None:
    agent = ScriptedAgent(FOUND)
    with pytest.raises(InputError, match="is an account of the inventory on mx1") as caught:
        Run({"mx1": agent}, "ana@alpha.test")

    assert caught.value.exit_code == 2
    assert agent.sent == []


def test_the_job_names_the_whole_address_and_the_accounts_in_use() -> None:
    run = Run({"mx1": ScriptedAgent(FOUND), "mx2": ScriptedAgent(NONE)}, "luis@alpha.test")

    assert run.code == 0
    assert (run.sent("mx1"), run.sent("mx2")) == (["go"], [])
    job = run.jobs["mx1"]
    assert (job["mode"], job["address"], job["accounts"]) == ("purge", "luis@alpha.test", ["ana@alpha.test"])


def test_a_no_deletes_nothing() -> None:
    run = Run({"mx1": ScriptedAgent(FOUND)}, "luis@alpha.test", confirm=lambda counts: False)

    assert run.sent("mx1") == ["cancel"]


def test_no_mailbox_anywhere_is_a_failure() -> None:
    run = Run({"mx1": ScriptedAgent(NONE), "mx2": ScriptedAgent(NONE)}, "luis@alpha.test")

    assert run.code == 1
    assert isinstance(run.events[-1], RunEnded)
    assert run.events[-1].exit_code == 1


def test_mailboxes_are_told_host_by_host() -> None:
    told = {"address": "luis@alpha.test", "messages": 2, "bytes": 10, "changed": 5}
    agents = {
        "mx1": ScriptedAgent([hello(), {"t": "mailboxes", "mailboxes": [told]}, end()]),
        "mx2": ScriptedAgent([hello(), {"t": "mailboxes", "mailboxes": []}, end()]),
    }
    run = Run(agents)

    assert run.code == 0
    kept = [event for event in run.events if isinstance(event, KeptMailbox)]
    assert kept == [KeptMailbox("mx1", "luis@alpha.test", 2, 10, 5)]
    assert (run.jobs["mx1"]["mode"], run.jobs["mx1"]["accounts"]) == ("mailboxes", ["ana@alpha.test"])
