"""The command line: one module per command that parses, calls and gives the exit code. No logic lives here.

Heavy imports (paramiko, pydantic, rich tables, dnspython) happen inside the commands, so that `--help` is quick.
`run` is the console script; it ends the process with the exit codes of docs/design.md and never shows a traceback
unless --debug or MAILPROV_DEBUG is given.
"""

from __future__ import annotations

import sys


def run() -> None:
    if sys.argv[1:] == ["--version"]:  # without importing typer: this is asked by scripts, often
        from mailprov import __version__

        print(f"mailprov {__version__}")
        return
    from mailprov.cli.app import build_app
    from mailprov.cli.ending import ended_well

    with ended_well():
        build_app()(prog_name="mailprov")
