"""The agent in a subprocess of this machine: the same conversation, and nothing left behind."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mailprov.desired.state import HostState
from mailprov.errors import HostFailed, HostUnreachable
from mailprov.transport import local
from mailprov.wire import bundle

AGENT = """\
import json, sys

def run(job, stdin):
    def say(**message):
        print(job["tag"], json.dumps(message), flush=True)
    say(t="hello")
    for line in stdin:
        if json.loads(line)["t"] == "flood":
            sys.stderr.write("x" * 2000000)
            say(t="progress", text="y" * 2000000)
        else:
            say(t="end", status="ok")
            return
    with open(job["epitaph"], "w") as file:
        file.write("stdin ended")
"""


def job(**more: Any) -> dict[str, Any]:
    return {"tag": "ab" * 8, "mode": "plan", "owner": "test", "packages": [], "root": "", **more}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"mailprov": "", "mailprov.agent": "", "mailprov.agent.boot": AGENT}
    monkeypatch.setattr(bundle, "agent_modules", lambda: modules)


@pytest.mark.usefixtures("small")
def test_a_conversation_with_both_streams_full() -> None:
    before = len(os.listdir("/proc/self/fd"))
    channel = local.start(job())
    channel.send({"t": "flood"})
    channel.send({"t": "go"})
    assert [message["t"] for message in channel.messages()] == ["hello", "progress", "end"]
    channel.close()
    channel.close()
    channel.send({"t": "go"})  # not an error
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("small")
def test_close_from_another_thread(tmp_path: Path) -> None:
    channel = local.start(job(epitaph=str(tmp_path / "epitaph")))
    messages = channel.messages()
    next(messages)
    closing = threading.Timer(0.1, channel.close)
    closing.start()
    with pytest.raises(HostFailed, match="closed before"):
        next(messages)
    closing.join()
    deadline = time.monotonic() + 5
    while not (tmp_path / "epitaph").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_python_that_is_not_there() -> None:
    with pytest.raises(HostUnreachable, match=r"localhost: /no/such/python cannot be run \(No such file"):
        local.start(job(), python="/no/such/python")


def test_a_python_that_is_none() -> None:
    with pytest.raises(HostUnreachable, match=r"the agent could not be started \(status 1\)"):
        local.start(job(), python="/bin/false")


def test_the_real_agent_plans_nothing_in_an_empty_root(tmp_path: Path) -> None:
    channel = local.start(job(root=str(tmp_path)))
    seen = {}
    for message in channel.messages():
        seen[message["t"]] = message
        if message["t"] == "facts":
            channel.send({"t": "desired", "state": HostState("mx1", "mx1.alpha.test").to_wire()})
    channel.close()
    assert seen["end"]["status"] == "ok", (seen["end"], channel.noise())
    assert seen["plan"]["changes"] == []
