"""A small process that has loaded the agent and forks itself for each run of it.

A fork of the test runner's own process, with all that pytest, hypothesis and pydantic have loaded, takes twice the time
that the run itself takes: the kernel copies the tables of its memory and then takes them down again.

Fork(job, before)  an agent that runs; looks like subprocess.Popen: pid, stdin, stdout, stderr, wait()
python -m tests.agent.small N   the small process; it is told what to start through the socket N
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from mailprov.agent import main

TOP = Path(__file__).parents[2]
_LIMIT = 1 << 20  # octets of one request


class Fork:
    """The agent without the start of an interpreter, for tests of hundreds of runs. Looks like Popen."""

    def __init__(self, work: dict[str, Any], before: str) -> None:
        pipes = [os.pipe() for _ in range(4)]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1], pipes[3][1]]
        self.stdin = os.fdopen(pipes[0][1], "wb")
        self.stdout = os.fdopen(pipes[1][0], "rb")
        self.stderr = os.fdopen(pipes[2][0], "rb")
        self._status = pipes[3][0]
        self.pid = _start({"job": work, "before": before}, theirs)
        for handle in theirs:
            os.close(handle)

    def wait(self, timeout: float) -> int:
        """The exit code, negative for a signal; TimeoutError when it does not end in `timeout` seconds."""
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._status, selectors.EVENT_READ)
            if not waiting.select(timeout):
                raise TimeoutError(f"the agent {self.pid} did not end")
        status = os.read(self._status, 16)
        os.close(self._status)
        return os.waitstatus_to_exitcode(int(status))


_one_at_a_time = threading.Lock()


@lru_cache(maxsize=1)
def _small_process() -> socket.socket:
    """One for each process of tests; it ends when its socket is closed, so with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.Popen(
            [sys.executable, "-m", "tests.agent.small", str(theirs.fileno())],
            cwd=TOP,
            pass_fds=[theirs.fileno()],
        )
    return ours


def _start(request: dict[str, Any], handles: list[int]) -> int:
    with _one_at_a_time:
        channel = _small_process()
        socket.send_fds(channel, [json.dumps(request).encode()], handles)
        return int(channel.recv(16))


def _serve(channel: socket.socket) -> None:
    """Starts what is asked for and says how it ended, until nobody asks any more."""
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}  # process → where its status is told
    waiting = selectors.DefaultSelector()
    waiting.register(channel, selectors.EVENT_READ)
    waiting.register(woken, selectors.EVENT_READ)
    gc.freeze()  # a collection in a fork would write to every page of what is loaded
    while True:
        ready = {key.fileobj for key, _ in waiting.select()}
        if woken in ready:
            os.read(woken, 4096)
            _tell(running)
        if channel in ready:
            data, handles, _, _ = socket.recv_fds(channel, _LIMIT, 4)
            if not data:
                return
            pid = os.fork()
            if pid == 0:
                _become_agent(json.loads(data), handles[:3])
            running[pid] = handles[3]
            for handle in handles[:3]:
                os.close(handle)
            channel.send(b"%d" % pid)


def _tell(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        handle = running.pop(pid)
        os.write(handle, b"%d" % status)
        os.close(handle)


def _become_agent(request: dict[str, Any], handles: list[int]) -> None:
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, handle in enumerate(handles):
            os.dup2(handle, number)
        os.closerange(3, 256)
        exec(request["before"], {})
        main.run(request["job"], os.fdopen(0, "rb"))
    finally:
        os._exit(70)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
