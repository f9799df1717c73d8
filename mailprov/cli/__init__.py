"""The command line: one module per command that parses, calls and gives the exit code. No logic lives here.

Half of a run that changes nothing is the start of Python, so what is imported is part of the design: `help_page`
answers `--version` and `--help` without any library, `fastpath` parses the plain forms of `plan` and `apply`, `app`
imports only the command that is wanted, and the commands import what they need inside
(tests/unit/cli/test_help_page.py counts).
`run` is the console script; it ends the process with the exit codes of docs/design.md and never shows a traceback
unless MAILPROV_DEBUG is given.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing is not imported: `mailprov --help` would wait for it
if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def _being_completed() -> str:
    """The command whose arguments a shell wants completed: of the line that typer's scripts hand over. Else empty."""
    import os

    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    words = line.split()
    return words[1] if len(words) > 2 or (len(words) == 2 and line[-1].isspace()) else ""


def _begin_json() -> None:
    from mailprov.cli.reports import Reports

    Reports(json=True, text=False)


def _as_plugin(words: list[str]) -> AbstractContextManager[None]:
    from contextlib import nullcontext

    if not any("nagios=-" in word for word in words):
        return nullcontext()
    from mailprov.cli import plugin

    return plugin.as_plugin() if plugin.asked(words) else nullcontext()


def run() -> None:
    words = sys.argv[1:]
    if words == ["--version"]:
        from mailprov import __version__

        print(f"mailprov {__version__}")
        return
    if words in (["--help"], ["-h"]):
        from mailprov.cli.help_page import page

        print(page(), end="")
        return
    import gc

    from mailprov.cli import clock  # noqa: F401 - the time of the command begins here

    # A run makes many objects that live to its end (modules, the inventory); looking through them again and again
    # for garbage takes a fifth of its time.
    gc.set_threshold(1_000_000, 50, 1000)
    from mailprov.cli.exit_codes import ended_well
    from mailprov.cli.streams import make_fit

    make_fit()
    ends = _as_plugin(words)
    try:
        with ends, ended_well(_begin_json if "--json" in words else None):
            from mailprov.cli.fastpath import parsed

            if (command := parsed(words)) is not None:
                raise SystemExit(command())
            from mailprov.cli.app import build_app

            build_app(words[0] if words else _being_completed())(prog_name="mailprov")
    finally:
        gc.freeze()  # what is left ends with the process; the interpreter need not take it apart
