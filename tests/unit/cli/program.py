"""The program without the start of an interpreter: a fork of the test's process, with streams of its own.

mailprov(*words)   runs `mailprov WORDS` to its end; exit code and what it printed
fork(*words)       starts it on given file descriptors; the process id

What the start itself does (streams closed by the shell, imports) is for tests that start real processes.
"""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import dns.update
import jinja2
import rich.console
import typer

import mailprov.cli.app
import mailprov.inventory.resolve
import mailprov.inventory.schema
import mailprov.transport.connections
from mailprov.__main__ import main
from mailprov.cli.help_page import COMMANDS

# What the children would all import again.
LOADED = [importlib.import_module(f"mailprov.cli.{module}") for module, _, _ in COMMANDS.values()]
LOADED += [dns.update, jinja2, rich.console, typer]


def fork(
    words: Sequence[str],
    stdin: int,
    stdout: int,
    stderr: int,
    cwd: Path | None = None,
    encoding: str = "utf-8",
) -> int:
    """Starts `mailprov WORDS`."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        for number, handle in enumerate((stdin, stdout, stderr)):
            os.dup2(handle, number)
        os.closerange(3, 64)  # what pytest and its workers hold open
        sys.stdin, sys.stdout, sys.stderr = (_stream(number, encoding) for number in range(3))
        if cwd:
            os.chdir(cwd)
        sys.argv = ["mailprov", *words]
        code = _run()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _stream(number: int, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(number, "w" if number else "r", closefd=False), encoding=encoding)


def _run() -> int:
    """The exit code that an interpreter makes of how `main` ends."""
    code: object = None
    try:
        main()
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.flush()
    return code if isinstance(code, int) else int(code is not None)


def mailprov(
    *words: str, cwd: Path | None = None, stdout: int | None = None, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    """Runs `mailprov WORDS` with nothing to read, to its end. What it prints is caught, or goes to `stdout`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, open(os.devnull, "rb") as nothing:
        pid = fork(words, nothing.fileno(), stdout or out.fileno(), err.fileno(), cwd, encoding)
        _, status = os.waitpid(pid, 0)
        printed = []
        for stream in (out, err):
            stream.seek(0)
            printed.append(stream.read().decode())
    return subprocess.CompletedProcess(words, os.waitstatus_to_exitcode(status), *printed)
