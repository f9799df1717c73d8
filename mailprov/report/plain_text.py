"""Styled lines without rich, which takes longer to load than a run without changes has to compute.

    Text(text, style)           as much of rich's Text as plans need; rich itself prints it with its styles
    Out                         where a report prints: a Plain, or rich's Console
    Plain(stream, rich)         prints Text as rich does where there is no terminal; anything else through `rich()`

tests/unit/report/test_plain_text.py holds Plain against rich. Raises what writing to the stream raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from rich.text import Text as RichText

# What rich takes out of every text: bell, backspace, vertical tab, form feed, carriage return.
_UNWANTED = dict.fromkeys((7, 8, 11, 12, 13))


class Text:
    """A line. `style` holds for all of it, each part's own on top; styles are spelled as in rich."""

    def __init__(self, text: str = "", style: str = "") -> None:
        self.style = style
        self.parts: list[tuple[str, str]] = []
        self.append(text)

    def append(self, text: str, style: str = "") -> Text:
        if text:
            self.parts.append((text.translate(_UNWANTED), style))
        return self

    def append_text(self, other: Text) -> Text:
        self.parts += other.parts
        return self

    @property
    def plain(self) -> str:
        return "".join(text for text, _ in self.parts)

    def __rich__(self) -> RichText:
        from rich.text import Text as RichText

        return RichText.assemble(*self.parts, style=self.style)


class Out(Protocol):
    """Where a report prints."""

    @property
    def is_terminal(self) -> bool: ...

    def print(self, *objects: Any) -> None: ...


class Plain:
    """`rich` makes a console for the same stream, for tables and what else is not a Text."""

    is_terminal = False

    def __init__(self, stream: TextIO, rich: Callable[[], Out]) -> None:
        self._stream = stream
        self._rich = rich

    def print(self, *objects: Any) -> None:
        """Each on lines of its own; nothing: an empty line."""
        for thing in objects or (Text(),):
            # How far a tab goes depends on how wide the characters before it are: rich knows.
            if isinstance(thing, Text) and "\t" not in thing.plain:
                self._stream.write(thing.plain + "\n")
                self._stream.flush()
            else:
                self._rich().print(thing)
