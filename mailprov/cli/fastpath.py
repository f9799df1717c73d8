"""A way around typer for the two commands that run often: it takes longer to load than an apply has to compute.

    parsed(words) -> Callable[[], int] | None       `plan` or `apply` with these arguments, ready to be called

None for every other command, for --help, and for all that is not plainly right: then typer parses, and says what is
wrong in its own words. So a word that is missing in this table costs time and nothing else.
tests/unit/cli/test_fastpath.py holds the table against what typer makes of the same words.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mailprov.cli.inventory_argument import USUAL

_COMMON: dict[str, tuple[str, Any]] = {
    "--take-over": ("take_over", True),
    "--json": ("json", True),
    "--quiet": ("quiet", True),
    "-q": ("quiet", True),
    "--diff": ("diff", True),
    "--verbose": ("verbose", True),
    "-v": ("verbose", True),
}
# Option → parameter and the value that it stands for.
FLAGS: dict[str, dict[str, tuple[str, Any]]] = {
    "plan": {**_COMMON, "--exit-code": ("exit_code", True)},
    "apply": {
        **_COMMON,
        "--yes": ("yes", True),
        "-y": ("yes", True),
        "--verify": ("verify", True),
        "--no-verify": ("verify", False),
        "--accept-drift": ("accept_drift", True),
        "--take-over-host": ("take_over_host", True),
        "--bootstrap-python": ("bootstrap_python", True),
    },
}
# Options with a value; those in LISTS may be given again. What else has a value is left to typer.
LISTS: dict[str, str] = {"--host": "host", "--domain": "domain", "--only": "only"}
PATHS: dict[str, dict[str, str]] = {
    "plan": {"--out": "out", "--junit": "junit"},
    "apply": {"--junit": "junit"},
}


def parsed(words: list[str]) -> Callable[[], int] | None:
    """`words` as in sys.argv, without the program's name."""
    if not words or words[0] not in FLAGS or "_MAILPROV_COMPLETE" in os.environ:
        return None
    given = arguments(words[0], words[1:])
    if given is None:
        return None
    from mailprov.cli import plan_apply

    return partial(getattr(plan_apply, words[0]), **given)


def arguments(command: str, words: list[str]) -> dict[str, Any] | None:
    """Parameter → value, without those that were not given; None when typer must look."""
    flags, paths = FLAGS[command], PATHS[command]
    given: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            if not word or "inventory" in given:
                return None
            given["inventory"] = Path(word)
        elif word in flags:
            name, meant = flags[word]
            given[name] = meant
        elif option in LISTS or option in paths:
            value = value if equals else next(rest, "")
            if not value or value.startswith("-"):
                return None
            if option in LISTS:
                given.setdefault(LISTS[option], []).append(value)
            else:
                given[paths[option]] = Path(value)
        else:
            return None
    if "inventory" not in given:
        if not USUAL.is_file():
            return None
        given["inventory"] = USUAL
    return given
