"""Runs programs of the host: English output, no standard input of ours, no pipe that can hang or break.

    run(argv, …) -> Outcome      short commands; output is captured, the last 64 KB of it kept
    run_on_terminal(…)           for checkers that speak to terminals only
    follow(argv, …) -> Outcome   long ones (apt): output goes to a file and each new line to a function
    stream(argv) -> Popen        its output in a pipe, for whoever reads as it comes; `stop` ends it, whoever it is
    have(name) -> bool           is the program there

Output goes to memory files instead of pipes: a daemon that inherits them keeps nobody waiting, and a child
whose agent was killed gets no SIGPIPE half-way through its work. Raises AgentError when a program is missing.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import threading
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _

TAIL = 64 * 1024  # bytes of output that are kept
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Outcome(NamedTuple):
    """Exit code (negative: that signal, as after the time limit), standard output, standard error."""

    code: int
    out: str
    err: str

    def lines(self, count: int = 20) -> List[str]:
        """The last lines of both outputs, standard error last."""
        return [line for line in (self.out + "\n" + self.err).splitlines() if line.strip()][-count:]


def have(name: str) -> bool:
    """Whether the program is on the system's path (not on that of the user who logged in)."""
    return shutil.which(name, path=PATH) is not None


def _environment(extra: Optional[Dict[str, str]]) -> Dict[str, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG"))}
    env.update({"LC_ALL": "C.UTF-8", "PATH": PATH})
    env.update(extra or {})
    return env


def _start(
    argv: Sequence[str], stdin: int, out: int, err: int, env: Dict[str, str]
) -> subprocess.Popen[bytes]:
    try:
        # A session of its own: signals for the agent's process group must not kill apt half-way.
        return subprocess.Popen(
            list(argv), stdin=stdin, stdout=out, stderr=err, env=env, start_new_session=True, cwd="/"
        )
    except FileNotFoundError as error:
        raise AgentError(
            _("the program {program} is not on this host").format(program=argv[0]),
            _("install the package that has it"),
        ) from error
    except OSError as error:
        raise AgentError(
            _("the program {program} cannot be run: {error}").format(program=argv[0], error=error.strerror)
        ) from error


def _memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("output")
    import tempfile

    handle, path = tempfile.mkstemp()
    os.unlink(path)
    return handle


def _tail(handle: int) -> str:
    size = os.fstat(handle).st_size
    return os.pread(handle, TAIL, max(0, size - TAIL)).decode("utf-8", "replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(
    argv: Sequence[str], timeout: float = 60, stdin: bytes = b"", env: Optional[Dict[str, str]] = None
) -> Outcome:
    """Run to the end, at most `timeout` seconds (then it is killed with its children)."""
    handles = [_memory_file() for _each in range(3 if stdin else 2)]
    source = subprocess.DEVNULL
    try:
        if stdin:
            source = handles[2]
            view = memoryview(stdin)
            while view:
                view = view[os.write(source, view) :]
            os.lseek(source, 0, os.SEEK_SET)
        process = _start(argv, source, handles[0], handles[1], _environment(env))
        # Popen.wait(timeout) polls with sleeps up to 50 ms; a timer lets the plain wait return at once.
        timer = threading.Timer(timeout, _kill, [process])
        timer.daemon = True
        timer.start()
        code = process.wait()
        timer.cancel()
        return Outcome(code, _tail(handles[0]), _tail(handles[1]))
    finally:
        for handle in handles:
            os.close(handle)


def stream(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    """A program that only writes, and is ended by `stop` wherever it is. What it says on stderr goes to `stop`."""
    complaints = _memory_file()
    process = _start(argv, subprocess.DEVNULL, subprocess.PIPE, complaints, _environment(None))
    process.complaints = complaints  # type: ignore[attr-defined]
    return process


def stop(process: subprocess.Popen[bytes]) -> Outcome:
    """Of a `stream`, which may be over already. Its code and the end of its standard error."""
    assert process.stdout is not None
    code = process.poll()
    if code is None:
        _kill(process)
    process.stdout.close()
    process.wait()
    complaints: int = process.complaints  # type: ignore[attr-defined]
    try:
        return Outcome(process.returncode if code is None else code, "", _tail(complaints))
    finally:
        os.close(complaints)


def run_on_terminal(argv: Sequence[str], timeout: float) -> Outcome:
    """As `run`, with terminals for both outputs: elsewhere Postfix complains to the system's log only."""
    pairs = [os.openpty(), os.openpty()]
    process = _start(argv, subprocess.DEVNULL, pairs[0][1], pairs[1][1], _environment(None))
    for _master, slave in pairs:
        os.close(slave)
    texts = {master: b"" for master, _slave in pairs}
    still = set(texts)
    deadline = time.monotonic() + timeout
    while still:
        ended = process.poll() is not None
        if time.monotonic() > deadline:
            _kill(process)
        ready = select.select(list(still), [], [], 0 if ended else 0.02)[0]
        if ended and not ready:
            break  # something that goes on in the background holds the terminals
        for master in ready:
            try:
                data = os.read(master, 65536)
            except OSError:  # EIO: the last one has closed it
                data = b""
            texts[master] = (texts[master] + data)[-TAIL:]
            if not data:
                still.discard(master)
    code = process.wait()
    for master in texts:
        os.close(master)
    out, err = (text.decode("utf-8", "replace").replace("\r\n", "\n") for text in texts.values())
    return Outcome(code, out, err)


def follow(
    argv: Sequence[str],
    log: str,
    each_line: Callable[[str], None],
    timeout: float = 3600,
    env: Optional[Dict[str, str]] = None,
) -> Outcome:
    """Run with both outputs appended to the file `log`, giving each line to `each_line` as it comes."""
    handle = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    start = position = os.fstat(handle).st_size
    try:
        process = _start(argv, subprocess.DEVNULL, handle, handle, _environment(env))
        deadline = time.monotonic() + timeout
        rest = b""
        while True:
            ended = process.poll() is not None
            while True:
                chunk = os.pread(handle, 65536, position)
                if not chunk:
                    break
                position += len(chunk)
                *complete, rest = (rest + chunk).split(b"\n")
                for line in complete:
                    each_line(line.decode("utf-8", "replace").strip())
            if ended:
                break
            if time.monotonic() > deadline:
                _kill(process)
            time.sleep(0.05)
        size = os.fstat(handle).st_size
        text = os.pread(handle, TAIL, max(start, size - TAIL)).decode("utf-8", "replace")
        return Outcome(process.returncode, text, "")
    finally:
        os.close(handle)
