"""A run whose controller was killed or cut off: the lock, the history and the next run say what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.agent.driver import Agent, converse, file, job, of_kind, state
from tests.agent.test_agent_rollback import history, roll_back

# The agent waits at this place until it has noticed that nobody is at the other end.
LOSES = """
import time
from mailprov.agent.transaction import apply
real = apply.Apply.{place}
def waits(run, *more):
    while not run.channel.lost:
        time.sleep(0.01)
    {then}
    return real(run, *more)
apply.Apply.{place} = waits
"""
PLACES = {
    "_still_as_planned": ("undone: its controller was gone", "what it had written was put back"),
    "after_commit": ("ok, without its controller", "it was finished all the same"),
}


def wanted(content: str) -> dict[str, Any]:
    return state(files=(file("/etc/a", content),))


def orphan(root: Path, place: str, then: str = "pass") -> Agent:
    """An apply that has its go, and no controller any more."""
    assert converse(root, wanted("one\n"))[-1]["status"] == "ok"
    agent = Agent(None, job(str(root), run="r2"), LOSES.format(place=place, then=then))
    agent.go(wanted("two\n"))
    if place == "after_commit":
        agent.until("applied")
    agent.process.stdin.close()
    return agent


def told(messages: list[dict[str, Any]]) -> list[str]:
    return [message["text"] for message in of_kind(messages, "notice")]


@pytest.mark.parametrize("place", PLACES)
def test_the_next_plan_and_the_next_apply_tell_it_and_no_later_one(root: Path, place: str) -> None:
    status, how = PLACES[place]
    orphan(root, place).died()
    assert history(root)[-1]["status"] == status
    for mode in ("plan", "apply"):
        (text,) = told(converse(root, wanted("one\n" if "undone" in status else "two\n"), mode=mode))
        assert text.startswith("the last run on this host, of ana@laptop mailprov apply at 20")
        assert text.endswith(f", lost its controller; {how}")

    assert told(converse(root, wanted("two\n"))) == []
    assert told(converse(root, wanted("two\n"), mode="plan")) == []


def test_it_is_no_news_to_who_pressed_ctrl_c_himself(root: Path) -> None:
    agent = Agent(None, job(str(root), run="r1"), LOSES.format(place="_still_as_planned", then="pass").replace(
        "while not run.channel.lost", "while run.channel._inbox.empty()"))  # fmt: skip
    agent.go(wanted("one\n"))
    agent.send("cancel")
    assert agent.end()["status"] == "cancelled"

    assert history(root)[-1]["status"] == "undone: interrupted by the user"
    assert told(converse(root, wanted("one\n"), mode="plan")) == []


def test_while_it_goes_on_the_lock_says_that_its_controller_is_gone(root: Path, tmp_path: Path) -> None:
    """Whoever finds the host locked looks for a mailprov that runs nowhere any more."""
    gate = tmp_path / "gate"
    then = f"import os\n    while not os.path.exists({str(gate)!r}): time.sleep(0.01)"
    agent = orphan(root, "after_commit", then)
    alone = "; its controller is gone, and the agent on the host brings it to a safe end"
    for _ in range(1000):
        late = Agent(None, job(str(root)))
        end = late.end()
        if alone in end["what"]:
            break
    assert end["what"].startswith("locked by ana@laptop mailprov apply since 20")
    assert end["what"].endswith(alone)
    (text,) = told(converse(root, wanted("two\n"), mode="plan"))
    assert text.startswith("at work on this host now: ana@laptop mailprov apply since 20")
    assert text.endswith(alone)
    gate.write_text("")
    agent.died()


DISK = """
import errno, os
from mailprov.agent.transaction import apply
def full(run, *more):
    raise {error}
apply.Apply._still_as_planned = full
"""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))", "undone: disk full"),
        ("apply.AgentError('/etc/a cannot be written: No space left on device')", "undone: disk full"),
        ("apply.AgentError('/etc/a was changed')", "undone: /etc/a was changed"),
        ("KeyError('secret')", "undone: an error in mailprov (KeyError)"),
    ],
)
def test_the_history_says_why_a_run_was_undone(root: Path, error: str, status: str) -> None:
    converse(root, wanted("one\n"), before=DISK.format(error=error))
    assert history(root)[-1]["status"] == status


def test_a_rollback_without_its_controller_is_told_as_well(root: Path) -> None:
    """It is the last run then, and can be rolled back as any."""
    orphan(root, "after_commit").died()
    roll_back(root)
    assert (root / "etc/a").read_text() == "one\n"
