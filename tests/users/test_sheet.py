"""The page that `mailprov client --sheet` writes, as people see it: on a screen, on a phone, on paper; QR code and all.

And the browser of these tests itself: whom it trusts, and that it reaches nothing but what it is told.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from mailprov.selftest.certificates import make
from tests.users.browser import DESKTOP, PHONE, Browser, Size

INVENTORY = """\
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
      ana: {password: {env: ANA}}
      a-name-that-is-as-long-as-few-people-have-it.but-some.do: {password: {env: EVA}}
"""
PASSWORD = "a <b>fairly</b> long pass phrase"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sheet")
    (folder / "mail.yml").write_text(INVENTORY)
    words = ("client", folder / "mail.yml", "--sheet", "--with-password", "-o", folder / "sheet.html")
    passwords = {"ANA": PASSWORD, "EVA": "as short as passwords may be"}
    subprocess.run([sys.executable, "-m", "mailprov", *words], check=True, env={**os.environ, **passwords})
    return folder / "sheet.html"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=lambda size: size.name)
def test_a_page_fits_its_window_and_its_code_is_read_by_a_phone(
    page: Path, browser: Callable[..., Browser], size: Size
) -> None:
    made = browser(size=size)
    made.open(page.as_uri())
    picture = made.screenshot("sheet")
    assert PASSWORD in made.text()
    assert made.too_wide() == []
    cut = "return [...document.querySelectorAll('.table')].map(one => one.scrollWidth - one.clientWidth)"
    assert made.driver.execute_script(cut) == [0, 0]
    assert made.console() == []
    if not shutil.which("zbarimg"):
        pytest.skip("needs zbarimg: make test-users installs it as root (scripts/test-tools)")
    read = subprocess.run(
        ["zbarimg", "-q", "--raw", picture], check=True, capture_output=True, text=True, timeout=60
    )
    assert json.loads(read.stdout)[2][-1] == PASSWORD


def test_each_account_is_one_sheet_of_paper(page: Path, browser: Callable[..., Browser]) -> None:
    made = browser()
    made.open(page.as_uri())
    printed = made.pdf()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2
    made.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    made.screenshot("sheet-printed")
    # White paper, black ink, whatever colours the screen has.
    style = "const it = getComputedStyle(document.body); return [it.color, it.backgroundColor]"
    assert made.driver.execute_script(style) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]


def test_the_browser_trusts_whom_it_is_told_and_reaches_nothing_else(
    tmp_path: Path, browser: Callable[..., Browser]
) -> None:
    from selenium.common.exceptions import WebDriverException

    authority = make(("the authority of a lab",), None, authority=True)
    leaf = make(("mx1.alpha.test",), authority)
    pem, encoding = tmp_path / "leaf.pem", serialization.Encoding.PEM
    key = leaf.key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(leaf.certificate.public_bytes(encoding) + key)
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, context), daemon=True).start()
        port = server.getsockname()[1]
        names = {"mx1.alpha.test": "127.0.0.1"}
        trusting = browser(names=names, authorities=(tmp_path / "ca.pem",))
        trusting.open(f"https://mx1.alpha.test:{port}/")
        assert trusting.text() == "reached"
        for url, why in (
            (f"https://mx2.alpha.test:{port}/", "ERR_NAME_NOT_RESOLVED"),
            (f"https://127.0.0.1:{port}/", "ERR_NAME_NOT_RESOLVED"),
        ):
            with pytest.raises(WebDriverException, match=why):
                trusting.open(url)
        other = browser(names=names)
        other.open(f"https://mx1.alpha.test:{port}/")
        assert "ERR_CERT_AUTHORITY_INVALID" in other.text()


def _serve(server: socket.socket, context: ssl.SSLContext) -> None:
    """Browsers open connections that they do not use, so each has a thread."""

    def answer(plain: socket.socket) -> None:
        try:
            with context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(65536)
                secured.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<title>it</title>reached")
        except OSError:
            pass  # refused by the browser, or the end of the test

    while True:
        try:
            plain, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(plain,), daemon=True).start()
