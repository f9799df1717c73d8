"""Runs the command that prints a secret, and never longer, or more, than it may.

`output_of(arguments, folder, limit)` → the bytes it printed. The command gets no input and no terminal,
and ends with all its children after 30 s. Raises CommandFailed, whose text continues a sentence that names
the command; it may hold the command's last line on stderr, never its stdout.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from pathlib import Path

SECONDS = 30.0


class CommandFailed(Exception):
    """Such as `ended with status 1: Error: mail/ana is not in the password store`."""


def output_of(
    arguments: list[str],
    folder: Path,
    limit: int,
    seconds: float = SECONDS,
    stop: threading.Event | None = None,
) -> bytes:
    """`folder` is the working directory, `limit` the most bytes of stdout that are accepted.

    Setting `stop` from another thread ends the command early (Ctrl-C reaches only the main thread).
    """
    try:
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a group of its own, so that its children end with it
        )
    except FileNotFoundError:
        raise CommandFailed("is not installed, or not in PATH") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable argument"
        raise CommandFailed(f"cannot be run ({reason})") from None
    try:
        out, err = _collect(process, limit, seconds, stop or threading.Event())
    finally:
        # Also on Ctrl-C.
        _end(process)
    if process.returncode:
        raise CommandFailed(_how(process.returncode) + _last_line(err, out))
    return out


def _collect(
    process: subprocess.Popen[bytes], limit: int, seconds: float, stop: threading.Event
) -> tuple[bytes, bytes]:
    assert process.stdout
    assert process.stderr
    until = time.monotonic() + seconds
    out, err = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, out)
        selector.register(process.stderr, selectors.EVENT_READ, err)
        while True:
            ready = selector.select(0.02) if selector.get_map() else []
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                key.data.extend(data)
            del err[:-4096]
            if len(out) > limit:
                raise CommandFailed(f"printed more than {limit // 1024} KiB; a secret is one line")
            if not ready and process.poll() is not None:
                # A child in the background that holds the pipes is not waited for.
                return bytes(out), bytes(err)
            if not selector.get_map():
                stop.wait(0.005)  # the pipes are closed and the process lives on
            if time.monotonic() > until:
                raise CommandFailed(f"did not end within {seconds:g} s")
            if stop.is_set():
                raise CommandFailed("was interrupted")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        # Not reaped yet, so that the group's number is still ours.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def _how(status: int) -> str:
    if status == 127:
        return "ended with status 127 (not found)"
    return f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"


def _last_line(err: bytes, out: bytes) -> str:
    """What it complained about, on one line. Nothing if it printed something, which stderr could repeat."""
    lines = [line.strip() for line in err.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines or out:
        return ""
    return ": " + "".join(c for c in lines[-1] if c.isprintable())[:200]
