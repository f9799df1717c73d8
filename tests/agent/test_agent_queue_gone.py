"""Mode queue_gone: mail that is on its way is waited for, mail that rests is told, and one look proves nothing.

The programs are fake_postfix.py's.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.agent.driver import Agent, job
from tests.agent.fake_postfix import Spool

ONE, TWO = "4F0A1B2C3D", "4F0A1B2C3E"
TO = "ana@a.test"


@pytest.fixture
def spool(root: Path) -> Spool:
    return Spool(root)


def ask(agent: Agent, *recipients: str, age: float = 10, seconds: float = 600) -> None:
    """Nobody: that was all."""
    agent.send("ask", recipients=list(recipients), age=age, seconds=seconds)


def asked(spool: Spool, *recipients: str, age: float = 10, seconds: float = 600) -> dict[str, Any]:
    agent = Agent(None, job(str(spool.root), "queue_gone"), spool.before)
    ask(agent, *(recipients or (TO,)), age=age, seconds=seconds)
    found = agent.until("queue_gone")
    agent.until("asked")
    ask(agent)
    agent.end()
    return found


def put(spool: Spool, name: str, queue: str = "active", to: str = TO, reason: str = "", ago: int = 0) -> None:
    spool.put(name, queue, to=to, reason=reason, arrived=int(time.time()) - ago)


def looks(spool: Spool) -> int:
    return (spool.path / "looks").read_text().count("x")


def at_look(spool: Spool, number: int, code: str) -> None:
    """`code` runs before that look of postqueue's; each is counted."""
    spool.hook(
        "postqueue",
        "seen = spool / 'looks'\nseen.write_text((seen.read_text() if seen.exists() else '') + 'x')\n"
        f"turn = len(seen.read_text())\nif turn == {number}:\n    " + code.replace("\n", "\n    "),
    )


def test_what_is_on_its_way_is_waited_for(spool: Spool) -> None:
    put(spool, ONE)
    at_look(spool, 4, f"(spool / 'active' / '{ONE}').unlink()")
    found = asked(spool)
    assert (found["left"], found["whole"], looks(spool)) == ([], True, 5)


def test_one_look_that_misses_a_message_between_two_queues_proves_nothing(spool: Spool) -> None:
    """showq reads `active` before `incoming`: what moved in between is in neither."""
    put(spool, ONE, "incoming")
    at_look(
        spool,
        1,
        f"(spool / 'incoming' / '{ONE}').rename(spool / '{ONE}')",  # in none, as this look sees it
    )
    hook = (spool.path / "hook-postqueue").read_text()
    (spool.path / "hook-postqueue").write_text(
        f"{hook}\nif turn == 2:\n    (spool / '{ONE}').rename(spool / 'active' / '{ONE}')\n"
        f"if turn == 3:\n    (spool / 'active' / '{ONE}').unlink()\n"
    )
    found = asked(spool)
    assert (found["left"], found["whole"], looks(spool)) == ([], True, 4)


def test_what_is_deferred_is_told_with_its_reason_and_not_waited_for(spool: Spool) -> None:
    put(spool, ONE, "deferred", reason="Connection refused")
    put(spool, TWO, "hold", to="ANA@a.test")
    at_look(spool, 99, "pass")
    found = asked(spool)
    assert found["left"] == [
        {"id": ONE, "queue": "deferred", "address": TO, "reason": "Connection refused"},
        {"id": TWO, "queue": "hold", "address": "ANA@a.test", "reason": ""},
    ]
    assert (found["whole"], looks(spool)) == (True, 2)


def test_other_peoples_mail_and_that_of_before_are_not_waited_for(spool: Spool) -> None:
    put(spool, ONE, to="ben@a.test")
    put(spool, TWO, ago=3600)
    found = asked(spool)
    assert (found["left"], found["whole"]) == ([], True)


def test_a_line_that_nobody_can_read_may_be_the_message(spool: Spool) -> None:
    (spool.path / "extra").write_bytes(b'{"queue_name": "active", "queue_id"\n')
    assert not asked(spool)["whole"]


def test_it_ends_when_its_time_is_over_and_says_that_it_is_not_sure(spool: Spool) -> None:
    put(spool, ONE)
    found = asked(spool, seconds=0.1)
    assert ([one["id"] for one in found["left"]], found["whole"]) == ([ONE], False)


def test_one_conversation_answers_as_often_as_it_is_asked(spool: Spool) -> None:
    agent = Agent(None, job(str(spool.root), "queue_gone"), spool.before)
    ask(agent, TO)
    assert agent.until("queue_gone")["left"] == []
    agent.until("asked")
    put(spool, ONE, "deferred")
    ask(agent, TO)
    assert [one["id"] for one in agent.until("queue_gone")["left"]] == [ONE]
    agent.until("asked")
    ask(agent)
    assert agent.end()["status"] == "ok"


def test_who_asks_no_more_and_leaves_ends_it(spool: Spool) -> None:
    agent = Agent(None, job(str(spool.root), "queue_gone"), spool.before)
    agent.until("asked")
    agent.send("cancel")
    assert agent.end()["status"] == "cancelled"
