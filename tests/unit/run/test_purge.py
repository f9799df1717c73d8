"""Purge across hosts: who is refused before any host is asked, what is asked, and what no mailbox means."""

from __future__ import annotations

from typing import Any

import pytest

from mailprov.errors import HostUnreachable, InputError
from mailprov.model.answers import KeptMailbox
from mailprov.model.events import Ended, Event, RunEnded
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
    def __init__(self, agents: dict[str, ScriptedAgent | None], address: str = "", **options: Any) -> None:
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
        agent = self.agents[host.name]
        if agent is None:
            raise HostUnreachable(host.name, "no route to host")
        return agent

    def sent(self, host: str) -> list[str]:
        agent = self.agents[host]
        assert agent is not None
        return [message["t"] for message in agent.sent]

    def ended(self, host: str) -> Ended:
        (found,) = [event for event in self.events if isinstance(event, Ended) and event.subject == host]
        return found

    def summary(self) -> str:
        last = self.events[-1]
        assert isinstance(last, RunEnded)
        return last.summary


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


def test_a_host_that_cannot_be_reached_is_named_and_the_others_are_told() -> None:
    """0.1.0 said `no mailboxes without an account`, of two hosts of which one was not asked."""
    told = {"address": "luis@alpha.test", "messages": 2, "bytes": 10, "changed": 5}
    run = Run({"mx1": ScriptedAgent([hello(), {"t": "mailboxes", "mailboxes": [told]}, end()]), "mx2": None})

    assert run.code == 3
    assert [event for event in run.events if isinstance(event, KeptMailbox)]
    assert run.ended("mx2").status == "unreachable"
    assert run.ended("mx2").error == "mx2: no route to host."
    assert run.summary() == "1 mailbox without an account on mx1; mx2 could not be asked"


def test_of_hosts_none_of_which_can_be_reached_nothing_is_said() -> None:
    run = Run({"mx1": None, "mx2": None})

    assert run.code == 3
    assert run.summary() == "nothing is known; mx1, mx2 could not be asked"


def test_a_purge_goes_on_where_it_can_and_says_where_it_did_not() -> None:
    run = Run({"mx1": ScriptedAgent(FOUND), "mx2": None}, "luis@alpha.test")

    assert (run.code, run.sent("mx1")) == (3, ["go"])
    assert run.summary() == "1 change applied; not done on mx2"


def test_a_purge_that_found_nothing_says_that_a_host_was_not_asked() -> None:
    run = Run({"mx1": ScriptedAgent(NONE), "mx2": None}, "luis@alpha.test")

    assert run.code == 1  # as where there is none at all
    assert run.summary() == "0 changes applied; not done on mx2"


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
