"""A real browser for tests: headless Chromium of the distribution, driven by selenium (by `make test-users`).

    MISSING                       why there is none here; empty where there is
    Browser(folder, …)            one window with a profile of its own; `driver` is selenium's
        .open(url)  .find(css)  .wait(condition, what)  .text()
        .console()                what the page wrote to the console since it was last asked: errors, refused content
        .said()  .forget()        messages that a page has shown for a moment
        .screenshot(name)         kept for a look in SCREENSHOTS, also when all tests pass
        .pdf()                    the page as it is printed
    PHONE, DESKTOP                sizes of a window

It reaches the names that it is given, each at its address, and nothing else, so that a page cannot fetch anything from
elsewhere. It trusts the authorities that it is given besides the public ones (NSS, in a home of its own).
It is not told of this machine's networks, where labs come and go: at each it would break off what it fetches.
"""

from __future__ import annotations

import base64
import ctypes
import errno
import os
import platform
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    ROOT / ".venv/users"
)  # not beside mailprov's own, which would find more libraries than its users have
SCREENSHOTS = Path(os.environ.get("MAILPROV_SCREENSHOTS", ROOT / "build/screenshots"))
# Seconds for anything on a page: machines that test are busy.
PATIENCE = float(os.environ.get("MAILPROV_BROWSER_PATIENCE", "180"))
_CHROMIUM, _DRIVER, _CERTUTIL = map(shutil.which, ("chromium", "chromedriver", "certutil"))
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)

if LIBRARIES.is_dir() and str(LIBRARIES) not in sys.path:
    sys.path.append(str(LIBRARIES))
MISSING = "" if _CHROMIUM and _DRIVER and _CERTUTIL and LIBRARIES.is_dir() else "run it by `make test-users`"


class Size(NamedTuple):
    name: str
    width: int
    height: int
    mobile: bool = False


DESKTOP = Size("desktop", 1280, 900)
PHONE = Size("phone", 390, 844, mobile=True)


class Browser:
    def __init__(
        self,
        folder: Path,
        names: Mapping[str, str] | None = None,
        authorities: tuple[Path, ...] = (),
        size: Size = DESKTOP,
        language: str = "en-US",
    ) -> None:
        """`folder`: empty, for its home. `names`: host name → address, with a port or without."""
        from selenium import webdriver

        self.size = size
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        _trust(folder, authorities)
        rules = [f"MAP {name} {_address(address)}" for name, address in (names or {}).items()]
        options = webdriver.ChromeOptions()
        options.binary_location = str(_CHROMIUM)
        for word in (
            "--headless=new",
            "--no-sandbox",  # its own cannot be had as root
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
            f"--host-resolver-rules={', '.join([*rules, 'MAP * ~NOTFOUND'])}",
            f"--window-size={size.width},{size.height}",
            f"--lang={language}",
        ):
            options.add_argument(word)
        options.add_experimental_option(
            "prefs",
            {
                "intl.accept_languages": language,
                "download.default_directory": str(self.downloads),
                "download.prompt_for_download": False,
                "credentials_enable_service": False,
            },
        )
        if size.mobile:
            metrics = {
                "width": size.width,
                "height": size.height,
                "pixelRatio": 2.0,
                "touch": True,
                "mobile": True,
            }
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(
            str(_DRIVER),
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")},
            popen_kw={"preexec_fn": _without_netlink},
        )
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _NOTES})
        self.driver.set_page_load_timeout(PATIENCE)
        self.driver.set_script_timeout(PATIENCE)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.quit()

    def open(self, url: str) -> None:
        self.driver.get(url)

    def find(self, css: str) -> Any:
        """The first element that is there and shown; waits for it."""
        found: list[Any] = []

        def shown() -> bool:
            found[:] = [one for one in self.driver.find_elements("css selector", css) if one.is_displayed()]
            return bool(found)

        self.wait(shown, f"{css} is shown")
        return found[0]

    def wait(self, condition: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
        """Until it is true. An element that the page has replaced meanwhile is looked for again."""
        from selenium.common.exceptions import StaleElementReferenceException

        deadline = time.monotonic() + timeout
        while True:
            try:
                if condition():
                    return
            except StaleElementReferenceException:
                pass
            if time.monotonic() > deadline:
                pytest.fail(
                    f"not within {timeout:g} s: {what}; the page: {self.driver.current_url} {self.text()[:600]!r}"
                )
            time.sleep(0.1)

    def text(self) -> str:
        return str(self.driver.execute_script("return document.body ? document.body.innerText : ''"))

    def said(self) -> str:
        """What Roundcube's pages have shown for a moment, since `forget` or since the window was opened."""
        return str(self.driver.execute_script("return sessionStorage.said || ''"))

    def forget(self) -> None:
        if self.driver.current_url.startswith("https:"):
            self.driver.execute_script("sessionStorage.removeItem('said')")

    def console(self) -> list[str]:
        return [f"{entry['level']} {entry['message']}" for entry in self.driver.get_log("browser")]

    def screenshot(self, name: str) -> Path:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{re.sub(r'[^-.0-9A-Za-z]+', '-', name)}-{self.size.name}.png"
        self.driver.save_screenshot(str(path))
        return path

    def pdf(self) -> bytes:
        made = self.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
        return base64.b64decode(made["data"])

    def too_wide(self) -> list[str]:
        """Shown elements that reach over the right edge of the window, but for what a box of their own scrolls."""
        found: list[str] = self.driver.execute_script(_TOO_WIDE)
        return found


# A message is gone after two seconds; a busy machine may look later.
_NOTES = """
new MutationObserver(changes => {
  for (const change of changes)
    for (const node of change.addedNodes)
      if (change.target.closest && change.target.closest('#messagestack'))
        sessionStorage.said = (sessionStorage.said || '') + node.textContent + '\\n';
}).observe(document, {childList: true, subtree: true});
"""
_TOO_WIDE = """
const edge = document.documentElement.clientWidth, found = [];
for (const one of document.querySelectorAll('body *')) {
  const box = one.getBoundingClientRect();
  if (!box.width || !box.height || box.right <= edge + 1 || !one.checkVisibility()) continue;
  let around = one.parentElement, scrolled = false;
  for (; around && around !== document.body; around = around.parentElement)
    scrolled ||= getComputedStyle(around).overflowX !== 'visible';
  if (!scrolled) found.push(`${one.tagName} ${one.id} ${one.className} ${Math.round(box.right)}`);
}
return found;
"""


# socket(2) by its number: of x86_64 and of aarch64, with their names in <linux/audit.h>.
_SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}


def _without_netlink() -> None:
    """seccomp(2): this process and what it starts get no socket of that family. Elsewhere nothing is done."""
    if platform.machine() not in _SOCKET:
        return
    architecture, number = _SOCKET[platform.machine()]
    load, equal, end = (
        0x20,
        0x15,
        0x06,
    )  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K (seccomp_data: nr, arch, ip, args)
    allow, refuse = 0x7FFF0000, 0x00050000 | errno.EAFNOSUPPORT
    words = [
        (load, 0, 0, 4),
        (equal, 0, 5, architecture),
        (load, 0, 0, 0),
        (equal, 0, 3, number),
        (load, 0, 0, 16),
        (equal, 0, 1, socket.AF_NETLINK),
        (end, 0, 0, refuse),
        (end, 0, 0, allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *word) for word in words))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(words), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
        raise OSError(ctypes.get_errno(), "seccomp")


def _address(text: str) -> str:
    return f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text


def _trust(home: Path, authorities: tuple[Path, ...]) -> None:
    store = home / ".pki/nssdb"
    store.mkdir(parents=True)
    certutil = [str(_CERTUTIL), "-d", f"sql:{store}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True, capture_output=True)
    for number, text in enumerate(text for path in authorities for text in _PEM.findall(path.read_text())):
        words = [*certutil, "-A", "-n", f"authority {number}", "-t", "C,,"]
        subprocess.run(words, check=True, capture_output=True, input=text.encode())
