"""`python -m mailprov` and the console script. Written so that a Python that is too old can read it, and say so."""

import sys

OLDEST = (3, 10)  # as pyproject.toml says; the agent, on hosts, runs on 3.8


def main() -> None:
    if sys.version_info < OLDEST:
        sys.stderr.write(
            f"mailprov: this is Python {sys.version_info[0]}.{sys.version_info[1]}, and mailprov needs 3.10 or newer: "
            "make its venv with one, such as python3.11 -m venv.\n"
        )
        sys.exit(2)
    from mailprov.cli import run

    run()


def script() -> None:
    """As `main`, in a process of its own, which then ends without taking apart what ends with it anyway.

    The interpreter clears each module and object by itself, which takes as long as a tenth of the imports. What has
    asked to be called at the end is called. With MAILPROV_DEBUG the end is the usual one, for profilers.
    """
    import atexit
    import os

    code = 0
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, (int, type(None))):
            raise
        code = end.code or 0
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        sys.exit(code)  # a stream that is closed or full: the interpreter says so
    if os.environ.get("MAILPROV_DEBUG"):
        sys.exit(code)
    atexit._run_exitfuncs()
    os._exit(code)


if __name__ == "__main__":
    script()
