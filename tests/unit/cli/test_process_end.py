"""The end of the process: quick, with the command's exit code, and with all said and done that was to be."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = (
    "import atexit, sys\n"
    "from mailprov import __main__\n"
    "class Late:\n"
    "    def __del__(self): sys.stderr.write('taken apart ')\n"
    "late = Late()\n"
    "atexit.register(lambda: sys.stderr.write('asked for '))\n"
    "def main():\n"
    "    print('said')\n"
    "    {end}\n"
    "__main__.main = main\n"
    "__main__.script()\n"
)


def ended(end: str, **more: str) -> tuple[int, str, str]:
    env = {key: value for key, value in os.environ.items() if key != "MAILPROV_DEBUG"} | more
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(end=end)], capture_output=True, text=True, check=False, env=env
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("end", "code"),
    [("pass", 0), ("raise SystemExit", 0), ("raise SystemExit(0)", 0), ("raise SystemExit(4)", 4)],
)
def test_what_was_printed_is_there_and_nothing_is_taken_apart(end: str, code: int) -> None:
    assert ended(end) == (code, "said\n", "asked for ")


def test_for_profilers_it_ends_as_usual() -> None:
    assert ended("raise SystemExit(3)", MAILPROV_DEBUG="1") == (3, "said\n", "asked for taken apart ")


def test_an_end_in_words_is_the_interpreter_s_own() -> None:
    code, _, said = ended("raise SystemExit('no way')")

    assert (code, said) == (1, "no way\nasked for taken apart ")


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_a_full_disk_is_still_told(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mailprov", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode != 0
    assert "No space left on device" in done.stderr
