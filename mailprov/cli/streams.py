"""The standard streams, made fit for a run: each is there, and none fails at a character that its encoding lacks.

    make_fit()              called once, before anything is printed
    at_words(text, stream)  the text, cut at words where the stream is a terminal, which cuts in their middle
    print_text(text)        prints it so, on standard output or another stream

Cron jobs and containers close streams, and a terminal may know ASCII only: neither may stop an apply.
"""

from __future__ import annotations

import codecs
import os
import sys
from typing import TextIO

# What the reports draw, in ASCII. One character for one: tables keep their columns.
_PLAIN = {
    "✓": "+",
    "✗": "x",
    "·": ".",
    "×": "x",
    "→": ">",
    "…": "~",
    "–": "-",
    "’": "'",
    "“": '"',
    "”": '"',
    "●": "o",
    "■": "#",
    "◇": "^",
}


def make_fit() -> None:
    """A closed stream becomes /dev/null; a sign that cannot be encoded becomes one of ASCII, or a question mark."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open until the end
    codecs.register_error("mailprov-plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="mailprov-plain")


def at_words(text: str, stream: TextIO, indent: int = 2) -> str:
    if not stream.isatty():
        return text
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns
    return "\n".join(
        textwrap.fill(
            line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
        )
        if len(line) > width
        else line
        for line in text.split("\n")
    )


def print_text(text: str, stream: TextIO | None = None, indent: int = 2) -> None:
    stream = stream or sys.stdout
    print(at_words(text, stream, indent), file=stream, flush=True)


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
