"""The built site, page by page: a browser loads nothing from elsewhere for it, and every link in it leads somewhere.

`make docs` builds it and runs this. Links to click may lead elsewhere; what a browser loads by itself may not.
"""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

SITE = Path(__file__).resolve().parents[2] / "build/site"
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
pytestmark = pytest.mark.skipif(not PAGES, reason="no site in build/site: `make docs` builds it")

LOADED = {"src", "srcset", "data", "poster", "background", "xlink:href"}  # attributes, on whatever they stand
LINKED = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "modulepreload",
    "preconnect",
    "dns-prefetch",
    "manifest",
}
ELSEWHERE = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)


class Page(HTMLParser):
    """What a page loads, where it links to, and which places it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.styles: list[str] = []
        self.classes: set[str] = set()
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.loads += [given[name] for name in LOADED & given.keys()]
        self.styles.append(given.get("style", ""))
        self.classes.update(given.get("class", "").split())
        self.places.add(given.get("id", ""))
        if tag == "link" and LINKED & set(given.get("rel", "").split()):
            self.loads.append(given["href"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles.append(data)


@cache
def page(path: str) -> Page:
    return Page((SITE / path).read_text())


def urls(css: str) -> list[str]:
    found = re.findall(r"url\(\s*['\"]?([^'\")]+)", css) + re.findall(r"@import\s+['\"]([^'\"]+)", css)
    return [each for each in found if not each.startswith(("data:", "#"))]


@pytest.mark.parametrize("path", PAGES)
def test_a_browser_loads_nothing_from_elsewhere(path: str) -> None:
    seen = page(path)
    loads = [*seen.loads, *(url for style in seen.styles for url in urls(style))]

    assert [each for each in loads if ELSEWHERE.match(each)] == []
    assert "mermaid" not in seen.classes  # the theme would fetch what draws it
    here = f"http://site/{path}"
    for each in loads:
        if not each.startswith("data:"):
            assert (SITE / unquote(urlsplit(urljoin(here, each)).path).lstrip("/")).is_file(), each


def test_no_style_sheet_loads_anything_from_elsewhere() -> None:
    sheets = sorted(SITE.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        assert [url for url in urls(sheet.read_text()) if ELSEWHERE.match(url)] == [], sheet.name


@pytest.mark.parametrize("path", PAGES)
def test_every_link_leads_somewhere(path: str) -> None:
    here = f"http://site/{path}"
    for link in page(path).links:
        if ELSEWHERE.match(link) or link.startswith("mailto:") or path == "404.html":
            continue
        goal = urlsplit(urljoin(here, link))
        file = goal.path.lstrip("/") or "index.html"
        file = f"{file}index.html" if file.endswith("/") else file
        assert (SITE / file).is_file(), f"{path} links to {link}"
        if goal.fragment and file.endswith(".html"):
            assert unquote(goal.fragment) in page(file).places, f"{path} links to {link}"


def test_every_page_of_the_documentation_is_in_the_site() -> None:
    docs = SITE.parents[1] / "docs"
    written = {path.relative_to(docs).with_suffix(".html").as_posix() for path in docs.rglob("*.md")}
    reference = {
        f"reference/{name}.html"
        for name in ("commands", "components", "inventory", "probes", "providers", "records")
    }
    made = reference | {"changelog.html", "contributing.html"}

    assert written | made <= set(PAGES)
    assert (SITE / "search/search_index.json").stat().st_size > 10_000
