"""The pages that people read, and the blocks in them.

    PAGES              README.md, CONTRIBUTING.md and docs/*.md
    blocks(language)   every fenced block of that language: page, line, text, and why it is not run (`norun`), or empty
    commands(block)    the lines of a console block that are typed, without their prompt

A block that cannot be run as it stands has a comment above it: <!-- norun: why -->.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(
    r"(?:^<!-- norun:(?P<why>[^>]*)-->\n)?^```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    page: str  # relative to the repository
    line: int
    text: str
    norun: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str) -> list[Block]:
    return [
        block for path in PAGES for block in _blocks(path) if block[0] == language for block in [block[1]]
    ]


def of_page(page: str, language: str) -> list[Block]:
    return [block for block in blocks(language) if block.page == page]


def _blocks(path: Path) -> Iterator[tuple[str, Block]]:
    text = path.read_text()
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        name = path.relative_to(ROOT).as_posix()
        yield found["language"], Block(name, line, found["text"], (found["why"] or "").strip())


def commands(block: Block) -> list[str]:
    return [line[2:] for line in block.text.splitlines() if line.startswith(("$ ", "# "))]
