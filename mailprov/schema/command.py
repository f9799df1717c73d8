"""Runs the command that prints a secret, and never longer, or more, than it may.

`output_of(arguments, folder, limit)` → the bytes it printed. The command gets no input and no terminal,
and ends with all its children after 30 s. Raises CommandFailed, whose text is a sentence that names the command; it may
hold the command's last line on stderr, never its stdout.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from pathlib import Path

from mailprov.i18n import _

SECONDS = 30.0


class CommandFailed(Exception):
    """Such as `the command pass ended with status 1: Error: mail/ana is not in the password store`."""


def output_of(
    arguments: list[str],
    folder: Path,
    limit: int,
    seconds: float = SECONDS,
    stop: threading.Event | None = None,
    name: str = "",
) -> bytes:
    """`folder` is the working directory, `limit` the most bytes of stdout that are accepted. `name`: as the command is
    called to people; its first argument if not given.

    Setting `stop` from another thread ends the command early (Ctrl-C reaches only the main thread).
    """
    name = name or arguments[0]
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
        what = _("the command {command} is not installed, or not in PATH")
        raise CommandFailed(what.format(command=name)) from None
    except (OSError, ValueError) as error:
        reason = (
            error.strerror if isinstance(error, OSError) and error.strerror else _("not a usable argument")
        )
        what = _("the command {command} cannot be run ({reason})")
        raise CommandFailed(what.format(command=name, reason=reason)) from None
    try:
        out, err = _collect(process, name, limit, seconds, stop or threading.Event())
    finally:
        # Also on Ctrl-C.
        _end(process)
    if process.returncode:
        raise CommandFailed(_how(name, process.returncode) + _last_line(err, out))
    return out


def _collect(
    process: subprocess.Popen[bytes], name: str, limit: int, seconds: float, stop: threading.Event
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
            for key, __ in ready:
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                key.data.extend(data)
            del err[:-4096]
            if len(out) > limit:
                what = _("the command {command} printed more than {limit} KiB; a secret is one line")
                raise CommandFailed(what.format(command=name, limit=limit // 1024))
            if not ready and process.poll() is not None:
                # A child in the background that holds the pipes is not waited for.
                return bytes(out), bytes(err)
            if not selector.get_map():
                stop.wait(0.005)  # the pipes are closed and the process lives on
            if time.monotonic() > until:
                what = _("the command {command} did not end within {seconds:g} s")
                raise CommandFailed(what.format(command=name, seconds=seconds))
            if stop.is_set():
                raise CommandFailed(_("the command {command} was interrupted").format(command=name))


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


def _how(name: str, status: int) -> str:
    if status == 127:
        return _("the command {command} ended with status 127 (not found)").format(command=name)
    if status > 0:
        return _("the command {command} ended with status {status}").format(command=name, status=status)
    return _("the command {command} was ended by signal {number}").format(command=name, number=-status)


def _last_line(err: bytes, out: bytes) -> str:
    """What it complained about, on one line. Nothing if it printed something, which stderr could repeat."""
    lines = [line.strip() for line in err.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines or out:
        return ""
    return ": " + "".join(c for c in lines[-1] if c.isprintable())[:200]
