"""The agent in a subprocess of this machine: the same conversation, and nothing left behind."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mailprov.errors import HostFailed, HostUnreachable
from mailprov.model.host_state import HostState
from mailprov.model.inventory import Transport
from mailprov.transport import local
from mailprov.transport.cancellation import CancelToken
from mailprov.transport.channel import Channel
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.process import spawn
from mailprov.transport.start import launch as launching
from mailprov.transport.start.launch import launch
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


def start(job: dict[str, Any]) -> Channel:
    """As root here, whoever runs the tests: the agents of these tests do nothing."""
    endpoint = Endpoint("mx1", "mx1", "localhost", 22, "root", transport=Transport.LOCAL)
    return launch(
        endpoint,
        job,
        lambda command: spawn("mx1", ["/bin/sh", "-c", command]),
        cancel=CancelToken(),
        root=True,
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"mailprov": "", "mailprov.agent": "", "mailprov.agent.main": AGENT}
    monkeypatch.setattr(bundle, "agent_modules", lambda: modules)


@pytest.mark.usefixtures("small")
def test_a_conversation_with_both_streams_full() -> None:
    before = len(os.listdir("/proc/self/fd"))
    channel = start(job())
    channel.send({"t": "flood"})
    channel.send({"t": "go"})
    assert [message["t"] for message in channel.messages()] == ["hello", "progress", "end"]
    channel.close()
    channel.close()
    channel.send({"t": "go"})  # not an error
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("small")
def test_close_from_another_thread(tmp_path: Path) -> None:
    channel = start(job(epitaph=str(tmp_path / "epitaph")))
    messages = channel.messages()
    next(messages)
    closing = threading.Timer(0.1, channel.close)
    closing.start()
    with pytest.raises(HostFailed, match="closed before"):
        next(messages)
    closing.join()
    deadline = time.monotonic() + 60
    while not (tmp_path / "epitaph").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(HostUnreachable, match=r"mx1: /no/such/program cannot be run \(No such file"):
        spawn("mx1", ["/no/such/program"])


def test_a_failure_to_start_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "remote_command", lambda become: "exec /bin/false")
    with pytest.raises(HostUnreachable, match="ended at once without running anything"):
        start(job())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: without it, sudo would be asked")
def test_root_runs_it_at_once() -> None:
    endpoint = Endpoint("mx1", "mx1", "localhost", 22, "ops", transport=Transport.LOCAL)
    channel = local.start(endpoint, job())
    hello = next(iter(channel.messages()))
    channel.close()
    assert (hello["t"], hello["uid"]) == ("hello", 0)


def test_the_real_agent_plans_nothing_in_an_empty_root(tmp_path: Path) -> None:
    channel = start(job(root=str(tmp_path)))
    seen = {}
    for message in channel.messages():
        seen[message["t"]] = message
        if message["t"] == "facts":
            channel.send({"t": "desired", "state": HostState("mx1", "mx1.alpha.test").to_wire()})
    channel.close()
    assert seen["end"]["status"] == "ok", (seen["end"], channel.noise())
    assert seen["plan"]["changes"] == []
