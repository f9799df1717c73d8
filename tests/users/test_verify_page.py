"""The page that `mailprov verify --report html=FILE` writes, as people see it: at three widths, in print, by keyboard.

The runs are those of tests/unit/report/runs.py, one of many hosts, and one that has hostile text everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mailprov.components.templates import folders
from mailprov.model.answers import Found
from mailprov.model.events import RunEnded
from mailprov.model.findings import Target, Verdict
from mailprov.report.fanout import fan_out
from mailprov.report.report_files import ReportFiles
from mailprov.report.whole_run import Making
from tests.unit.report.runs import FINDINGS, RUNS, START
from tests.unit.report.test_report_kinds import HOSTILE, hostile_run
from tests.users.browser import Browser
from tests.users.conftest import LONG
from tests.users.test_trace_page import WIDE, WIDTHS, js, look, pressed, resized

MANY = (
    START,
    *(
        Found(replace(each, target=replace(each.target, host=f"{each.target.host}-of-the-city-{number}")))
        for number in range(1, 9)
        for each in FINDINGS
        if each.target.host
    ),
    *(Found(each) for each in FINDINGS if not each.target.host),
    Found(replace(FINDINGS[0], verdict=Verdict.FAIL, target=Target("mx1", "192.0.2.11", 4190))),
    RunEnded(1, "many"),
)
STORIES = {
    "mixed": RUNS["mixed"],
    "sound": RUNS["sound"],
    "applied": RUNS["applied"],
    "interrupted": RUNS["interrupted"],
    "many": MANY,
    "hostile": hostile_run(HOSTILE + "x" * 300),
}
PAGES = tuple(STORIES) if LONG else ("mixed", "hostile")
WIDER = "const it = document.documentElement; return it.scrollWidth - it.clientWidth"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, events in STORIES.items():
        emit = fan_out([ReportFiles([f"html={folder / name}.html"], making=Making(folders=folders))])
        for event in events:
            emit(event)
    return folder


def test_a_page_fits_its_window_folded_and_open_light_and_dark(
    pages: Path, browser: Callable[..., Browser]
) -> None:
    made = browser(size=WIDE)
    for name in PAGES:
        for width in WIDTHS:
            resized(made, width)
            for scheme in ("light", "dark"):
                look(made, {"prefers-color-scheme": scheme})
                made.open((pages / f"{name}.html").as_uri())
                made.find(".tools .fold")
                assert made.too_wide() == [], (name, width)
                assert js(made, WIDER) == 0, (name, width)
                made.screenshot(f"verify-{name}-{scheme}")
            made.find(".tools .fold").click()
            made.wait(
                lambda: not js(made, "return document.querySelector('details:not([open])')"), "all is open"
            )
            assert made.too_wide() == [], (name, width, "open")
            assert js(made, WIDER) == 0, (name, width, "open")
            assert made.console() == [], name
            assert js(made, "return performance.getEntriesByType('resource').map(one => one.name)") == []
            assert js(made, "return typeof h") == "undefined", "no script but its own has run"
        made.screenshot(f"verify-{name}-open")


def test_by_the_keyboard_alone_and_on_paper(pages: Path, browser: Callable[..., Browser]) -> None:
    from selenium.webdriver.common.keys import Keys

    made = browser(size=WIDE)
    made.open((pages / "mixed.html").as_uri())
    made.find(".tools .fold")
    active = (
        "const it = document.activeElement; return [it.tagName, it.className, (it.innerText || '').trim()]"
    )
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    names = []
    for _ in range(17):
        pressed(made, Keys.TAB)
        names.append(js(made, active))
        assert js(made, outline) == "solid", names[-1]
    assert [name[0] for name in names] == ["DIV", *["A"] * 13, "BUTTON", "BUTTON", "SUMMARY"]
    assert names[2][1:] == ["fail", "✗\n1 fail, 3 pass"]
    made.screenshot("verify-focus")
    # A finding is unfolded, and folded again.
    unfolded = "return document.querySelectorAll('details[open]').length"
    pressed(made, Keys.ENTER)
    made.wait(lambda: js(made, unfolded) == 1, "it is open")
    pressed(made, " ")
    made.wait(lambda: js(made, unfolded) == 0, "it is folded")
    # What is wrong alone; a place of the table leads to its group, also to one that is hidden then.
    made.find(".only").click()
    visible = "return [...document.querySelectorAll('details')].filter(one => one.checkVisibility()).length"
    wrong = sum(each.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.WARN) for each in FINDINGS)
    assert js(made, visible) == wrong
    assert made.find(".only").get_attribute("aria-pressed") == "true"
    made.screenshot("verify-only")
    js(made, "document.querySelector('.matrix a.pass').focus()")
    pressed(made, Keys.ENTER)
    made.wait(lambda: js(made, visible) == len(FINDINGS), "all is shown again")
    assert js(made, "return document.activeElement.id") == "at-1"
    # Nothing that could come into the page would run, be fetched or change how it looks.
    made.console()
    js(
        made,
        "document.body.insertAdjacentHTML('beforeend', '<p id=in style=\"color: red\"><img src=/x onerror=boom()>');"
        "const it = document.createElement('script'); it.textContent = 'window.ran = 1'; document.body.append(it);",
    )
    assert js(made, "return [typeof ran, document.getElementById('in').style.length]") == ["undefined", 0]
    told = "\n".join(made.console())
    assert all(kind in told for kind in ("script-src", "style-src", "img-src")), told

    # On paper everything is open, in black on white, also where the screen is dark and only what is wrong is shown.
    look(made, {"prefers-color-scheme": "dark"})
    made.open((pages / "mixed.html").as_uri())
    made.find(".only").click()
    js(
        made,
        "addEventListener('beforeprint', () => {"
        " window.printed = document.querySelectorAll('details[open]').length; })",
    )
    assert made.pdf().startswith(b"%PDF")
    assert js(made, "return [printed, document.querySelectorAll('details[open]').length]") == [
        len(FINDINGS),
        0,
    ]
    made.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    made.screenshot("verify-printed")
    style = "const it = getComputedStyle(document.body); return [it.color, it.backgroundColor]"
    assert js(made, style) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    high = "return [...document.querySelectorAll('.lines')].every(one => one.getBoundingClientRect().height > 10)"
    assert js(made, high), "also without the script"
    assert not js(made, "return document.querySelector('.tools').checkVisibility()")
