"""The page that `mailprov trace --html` writes, as people see it: at three widths, in print, by keyboard, by itself.

The traces are those of tests/unit/report/traces.py, and one that has hostile text everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailprov.components.templates import folders
from mailprov.model.cleaning import event
from mailprov.model.trace import Trace
from mailprov.report.trace_page import page
from tests.unit.report.test_hostile_text import filled
from tests.unit.report.test_trace_page import HOSTILE
from tests.unit.report.traces import TRACES
from tests.users.browser import Browser, Size
from tests.users.conftest import LONG

WIDTHS = (390, 800, 1400)
WIDE = Size("1400", 1400, 900)
PAGES = (*TRACES, "hostile") if LONG else ("list", "hostile")


def hostile() -> Trace:
    trace = filled(Trace, HOSTILE * 3 + "x" * 300)
    steps = tuple(
        replace(step, number=number, after=number - 1) for number, step in enumerate(trace.steps, start=1)
    )
    return event(replace(trace, steps=steps))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces")
    for name, trace in {**TRACES, "hostile": hostile()}.items():
        (folder / f"{name}.html").write_text(page([trace], folders()), encoding="utf-8")
    return folder


def look(made: Browser, features: dict[str, str]) -> None:
    """Light or dark, and no movement: a picture shows where things are in the end."""
    told = [{"name": name, "value": value} for name, value in features.items()]
    made.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": told})


def js(made: Browser, code: str) -> Any:
    return made.driver.execute_script(code)


def pressed(made: Browser, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(made.driver).send_keys(*keys).perform()


def now(made: Browser) -> int:
    """The number of the step that is shown as the current one; 0 where all are."""
    return int(
        js(
            made,
            "return [...document.querySelectorAll('.step')].findIndex(one => one.ariaCurrent === 'step') + 1",
        )
    )


def resized(made: Browser, width: int) -> None:
    made.size = Size(str(width), width, 900)  # which screenshots are named by
    made.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )


def test_a_page_fits_its_window_folded_and_open_light_and_dark(
    pages: Path, browser: Callable[..., Browser]
) -> None:
    made = browser(size=WIDE)
    for name in PAGES:
        for width in WIDTHS:
            resized(made, width)
            for scheme in ("light", "dark"):
                look(made, {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"})
                made.open((pages / f"{name}.html").as_uri())
                made.find(".player .play")
                assert made.too_wide() == [], (name, width)
                made.screenshot(f"trace-{name}-{scheme}")
            js(made, "document.querySelector('.fold').click()")
            made.wait(
                lambda: not js(made, "return document.querySelector('details:not([open])')"), "all is open"
            )
            assert made.too_wide() == [], (name, width, "open")
            wider = "const it = document.documentElement; return it.scrollWidth - it.clientWidth"
            assert js(made, wider) == 0, (name, width)
            assert made.console() == [], name
            assert js(made, "return performance.getEntriesByType('resource').map(one => one.name)") == []
            assert js(made, "return typeof boom") == "undefined"
        made.screenshot(f"trace-{name}-open")


def test_steps_are_played_by_keys_and_by_buttons_and_all_are_printed(
    pages: Path, browser: Callable[..., Browser]
) -> None:
    from selenium.webdriver.common.keys import Keys

    made = browser(size=WIDE)
    look(made, {"prefers-reduced-motion": "reduce"})
    made.open((pages / "list.html").as_uri())
    status = made.find(".player output")
    count = int(js(made, "return document.querySelectorAll('.step').length"))
    assert (now(made), status.text) == (0, "All steps")
    pressed(made, Keys.ARROW_RIGHT)
    pressed(made, Keys.ARROW_RIGHT)
    assert now(made) == 2
    assert status.text.startswith(f"Step 2 of {count}")
    assert "Takes the message over TLS 1.3" in js(made, "return document.querySelector('output').textContent")
    later = "return [...document.querySelectorAll('.step')].map(one => one.matches('.later'))"
    assert js(made, later) == [False, False] + [True] * (count - 2)
    pressed(made, Keys.ARROW_LEFT)
    pressed(made, Keys.ARROW_LEFT)
    assert now(made) == 1, "there is no step before the first"
    pressed(made, " ")
    made.wait(lambda: now(made) >= 3, "it plays by itself")
    assert js(made, "return document.querySelector('.play').ariaLabel") == "Pause"
    pressed(made, " ")
    assert js(made, "return document.querySelector('.play').ariaLabel") == "Play"
    pressed(made, Keys.ESCAPE)
    assert now(made) == 0
    # By the keyboard alone: each control is reached, is seen to have the focus, and is named.
    js(made, "document.querySelector('.step:last-of-type summary').focus()")
    names = []
    for _ in range(6):
        pressed(made, Keys.TAB)
        names.append(js(made, "return document.activeElement.ariaLabel || document.activeElement.innerText"))
        outline = (
            "const it = getComputedStyle(document.activeElement); return [it.outlineStyle, it.outlineWidth]"
        )
        assert js(made, outline) == ["solid", "3px"], names
        if names[-1] == "Step":
            made.screenshot("trace-focus")
            pressed(made, Keys.END)
            assert now(made) == count
            seen = "const it = document.querySelector('.now').getBoundingClientRect(); return it.top < innerHeight"
            assert js(made, seen), "the step is scrolled to"
    assert names == ["One step back", "Play", "One step forward", "Step", "Show all", "Open all lines"]
    made.find(".forward").click()
    made.find(".back").click()
    assert now(made) == count - 1
    made.find(".every").click()
    assert now(made) == 0
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

    # On paper everything is open, in black on white, also where the screen is dark and steps are still to be played.
    look(made, {"prefers-color-scheme": "dark"})
    made.open((pages / "two-domains.html").as_uri())
    made.find(".player .forward").click()
    folds = "document.querySelectorAll('details[open]').length"
    js(made, f"addEventListener('beforeprint', () => {{ window.printed = {folds}; }})")
    printed = made.pdf()
    assert printed.startswith(b"%PDF")
    every = int(js(made, "return document.querySelectorAll('details').length"))
    assert js(made, f"return [printed, {folds}]") == [every, 0], "and closed again"
    made.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    made.screenshot("trace-printed")
    style = "const it = getComputedStyle(document.body); return [it.color, it.backgroundColor]"
    assert js(made, style) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    # Also without the script: the style alone opens them.
    high = "return [...document.querySelectorAll('.lines')].every(one => one.getBoundingClientRect().height > 10)"
    assert js(made, high)
    assert not js(made, "return document.querySelector('.player').checkVisibility()")
    opacity = "return [...document.querySelectorAll('.card')].map(one => getComputedStyle(one).opacity)"
    assert set(js(made, opacity)) == {"1"}, "what is still to be played is printed too"
