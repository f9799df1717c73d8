"""The table of modes beside what the controller knows of them."""

from __future__ import annotations

import sys
from pathlib import Path

from mailprov.agent.modes.table import MODES
from mailprov.wire import bundle, shapes
from tests.agent.driver import Agent, job

UNNEEDED = "mailprov.agent.plan.diff"


def test_each_mode_of_the_wire_has_its_row_and_none_besides() -> None:
    assert set(MODES) == set(shapes.ORDER)


def test_only_who_takes_the_lock_writes() -> None:
    """A kill is made up for where there is something to make up for, and what is rescued was locked."""
    assert all(mode.writes for mode in MODES.values() if mode.rescued)
    assert {name for name, mode in MODES.items() if not mode.writes} == {
        "plan", "history", "mailboxes", "keys", "bans", "maillog", "trace", "queue", "queue_gone", "trusts", "relay",
    }  # fmt: skip


def test_a_short_mode_loads_nothing_of_a_plan(tmp_path: Path) -> None:
    """The host compiles each module anew in each run."""
    assert UNNEEDED in bundle.agent_modules()
    ends = "import os, sys\nreal = os._exit\ndef exits(code):\n" + (
        f"    print('loaded' if {UNNEEDED!r} in sys.modules else 'spared', file=sys.stderr, flush=True)\n"
        "    real(code)\nos._exit = exits\n"
    )
    for mode, wanted in (("history", "spared"), ("plan", "loaded")):
        agent = Agent([sys.executable], job(str(tmp_path), mode), ends)
        if mode == "plan":
            agent.until("facts")
            agent.send("cancel")
        agent.until("end")
        assert wanted in agent.stderr(), mode
