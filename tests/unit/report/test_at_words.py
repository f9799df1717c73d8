"""On a terminal a long line is cut between words; nothing of it is lost, neither text nor style."""

from __future__ import annotations

import pytest
from rich.text import Text

from mailprov.report.terminal import at_words


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("short", ["short"]),
        ("one two three four five", ["one two three", "  four five"]),
        ("  one two three four five six", ["  one two three", "    four five", "    six"]),
        ("exactly ten and", ["exactly ten and"]),
        (
            "a long/path/that/has/no/blank/at/all here",
            ["a", "  long/path/that/has/no/blank/at/all", "  here"],
        ),
        ("名前名前名 名前", ["名前名前名", "  名前"]),  # two columns each
        ("one\n\ntwo", ["one", "", "two"]),
        ("", [""]),
    ],
)
def test_a_line_goes_on_below_at_a_word(line: str, shown: list[str]) -> None:
    assert at_words(Text(line), 15 if line.isascii() else 12).plain.split("\n") == shown


def test_styles_go_with_their_words() -> None:
    made = at_words(Text.assemble(("one two ", "red"), ("three four", "bold")), 10)
    assert made.plain == "one two\n  three\n  four"
    styled = {(made.plain[span.start : span.end].strip(), str(span.style)) for span in made.spans}
    assert styled == {("one two", "red"), ("three", "bold"), ("four", "bold")}
