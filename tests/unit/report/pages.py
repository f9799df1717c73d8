"""A page as a browser reads it, for the tests of pages in one file."""

from __future__ import annotations

import html.parser
import re

# HTML elements that have no end.
_VOID = {"meta", "input", "br", "img", "link"}


class Parsed(html.parser.HTMLParser):
    """What a browser would see: elements with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.inside: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag, f"{tag} closes nothing"

    def handle_data(self, data: str) -> None:
        inside = self.inside[-1] if self.inside else ""
        if inside in self.raw:
            self.raw[inside].append(data)
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))
