"""What calls of a provider's API meet: each one clear sentence, the right exit code, and no token in it."""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailprov.dns.api import client as module
from mailprov.dns.api.client import Api, Client
from mailprov.dns.api.pace import Pace, shared
from mailprov.errors import DnsFailed, DnsUnreachable, InputError
from tests.unit.dns.api_server import Answer, ApiServer, Fault, Request, serving
from tests.unit.dns.servers import free_port

TOKEN = "a-token-that-must-not-be-seen"
Server = Callable[[Callable[[socket.socket], None]], int]


class Echo(ApiServer):
    """Answers with what it was asked."""

    def handle(self, request: Request) -> Answer:
        return Answer(200, {"path": request.path, "query": dict(request.query), "body": request.body})

    def pretended(self, request: Request) -> Answer:
        return self.handle(request)


@pytest.fixture
def echo() -> Iterator[Echo]:
    api = Echo()
    with serving(api):
        yield api


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(module, "sleep", taken.append)
    return taken


def connected(url: str, **more: Any) -> Client:
    api = Api("Provider", url, "cloudflare", "dns.token (env:T)", "to edit records", **more)
    return Client(api, lambda method, url, content: {"Authorization": f"Bearer {TOKEN}"}, [TOKEN])


def told(kind: type[Exception], url: str, method: str = "GET", **more: Any) -> str:
    with pytest.raises(kind) as caught:
        connected(url, **more).call(method, "/zones")
    assert type(caught.value) is kind
    text = str(caught.value)
    assert TOKEN not in text
    assert TOKEN not in repr(caught.value)
    return text


def test_a_call_and_its_token(echo: Echo) -> None:
    client = connected(echo.url)
    reply = client.call("POST", "/a%2Fb", query=[("name", "*.x;y")], body={"one": "ü"})
    assert reply.data == {"path": "/a/b", "query": {"name": "*.x;y"}, "body": {"one": "ü"}}
    (request,) = echo.requests
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in repr(client.api)
    client.close()


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused(echo: Echo, status: int) -> None:
    echo.faults = [Fault("GET", Answer(status, {"errors": [{"code": 9109, "message": f"Invalid {TOKEN}"}]}))]
    assert told(DnsFailed, echo.url) == (
        f"Provider: it refused the token with {status}: Invalid … (GET /zones). Correct dns.token (env:T); "
        "what the token needs: to edit records."
    )
    assert len(echo.requests) == 1


def test_no_redirect_is_followed(echo: Echo) -> None:
    other = Echo()
    with serving(other):
        echo.faults = [
            Fault("GET", Answer(status, None, {"Location": f"{other.url}/x"})) for status in (301, 307)
        ]
        for status in (301, 307):
            text = told(DnsFailed, echo.url)
            assert (
                f"it redirects to 127.0.0.1:{other.url.rpartition(':')[2]}, where the token is not sent, by {status} "
                in text
            )
        assert other.requests == []


def test_called_too_often_and_after_a_while_not(echo: Echo, naps: list[float]) -> None:
    """Also what writes is called again: it says that it did not do it."""
    echo.faults = [
        Fault("POST", Answer(429, {"message": "slow down"}, {"Retry-After": "7"}), times=2),
        Fault("POST", Answer(429, None, {"Retry-After": "Sun, 29 Nov 2026 12:00:00 GMT"})),
    ]
    assert connected(echo.url).call("POST", "/zones").status == 200
    assert naps == [7, 7, 5]


def test_called_too_often_for_too_long(echo: Echo, naps: list[float]) -> None:
    echo.faults = [Fault("GET", Answer(429, {"message": "slow down"}, {"Retry-After": "3600"}))]
    assert told(DnsFailed, echo.url) == (
        "Provider: it is called too often and asks to wait 3600 s, by 429: slow down (GET /zones). Run the command "
        "again then."
    )
    echo.faults = [Fault("GET", Answer(429, None, {"Retry-After": "25"}), times=9)]
    told(DnsFailed, echo.url)
    assert naps == [25, 25]


def test_what_reads_is_tried_once_more_and_what_writes_is_not(echo: Echo) -> None:
    for once in (Fault("GET", None), Fault("GET", Answer(502, b"<html>bad gateway</html>"))):
        echo.faults = [once]
        assert connected(echo.url).get("/zones").status == 200
    echo.requests.clear()
    echo.faults = [Fault(".", Answer(502, b"<html>bad gateway</html>"), times=9)]
    assert told(DnsUnreachable, echo.url) == (
        "Provider: it answered 502 (GET /zones). Run the command again later."
    )
    assert len(echo.requests) == 2
    echo.requests.clear()
    told(DnsUnreachable, echo.url, "PATCH")
    assert len(echo.requests) == 1
    echo.faults = [Fault(".", None, times=9)]
    echo.requests.clear()
    assert "the connection was closed before the answer was complete" in told(
        DnsUnreachable, echo.url, "POST"
    )
    assert len(echo.requests) == 1


def test_hostile_words_are_cut_and_cleaned(echo: Echo) -> None:
    echo.faults = [Fault("GET", Answer(422, {"message": "\x1b[2Jall is well\r\n" + "x" * 5000}))]
    text = told(DnsFailed, echo.url)
    assert "\\x1b[2Jall is well xxx" in text
    assert len(text) < 600
    echo.faults = [Fault("GET", Answer(400, {"message": [[[[[["deep"]]]]]], "error": {"message": "here"}}))]
    assert "it answered 400: here (GET" in told(DnsFailed, echo.url)


def test_an_answer_that_is_no_json_or_too_large(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    echo.faults = [Fault("GET", Answer(200, b"<html>log in to the hotel</html>"), times=2)]
    assert "its answer is no JSON; something between here and the API may have answered" in told(
        DnsUnreachable, echo.url
    )
    echo.faults = [Fault("GET", Answer(200, b"[" * 100_000), times=2)]
    assert "its answer is no JSON" in told(DnsUnreachable, echo.url)
    monkeypatch.setattr(module, "MOST_OCTETS", 1 << 20)
    echo.faults = [Fault("GET", Answer(200, b"x" * ((1 << 20) + 1)), times=2)]
    assert "its answer is larger than 1 MiB" in told(DnsUnreachable, echo.url)


def test_silence_and_an_answer_that_trickles(tcp_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.1)
    gone = threading.Event()
    port = tcp_server(lambda connection: gone.wait(120) and None)
    assert "no answer within 0.1 s" in told(DnsUnreachable, f"http://127.0.0.1:{port}", "POST")
    gone.set()
    monkeypatch.setattr(module, "SILENT_SECONDS", 20.0)
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.1)

    def trickle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:  # ends when the client hangs up
            connection.sendall(b" ")
            time.sleep(0.01)

    port = tcp_server(trickle)
    assert "its answer is not complete after 0.1 s" in told(
        DnsUnreachable, f"http://127.0.0.1:{port}", "POST"
    )


def test_nobody_there_and_no_such_name() -> None:
    text = told(DnsUnreachable, f"http://127.0.0.1:{free_port()}")
    assert "Provider: no connection (" in text
    assert "(GET /zones). Look whether 127.0.0.1:" in text
    assert "the name no-such-host.invalid does not resolve" in told(
        DnsUnreachable, "http://no-such-host.invalid"
    )


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, tcp_server: Server) -> None:
    names = "-keyout key -out cert -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(
        [*f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 {names}".split()],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    heard: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            heard.append(secured.recv(65536))

    port = tcp_server(serve)
    text = told(DnsUnreachable, f"https://localhost:{port}")
    assert "no trusted connection (" in text
    assert "certificate verify failed" in text.lower()
    assert not any(heard)


def test_no_secret_in_a_librarys_log(echo: Echo, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        connected(echo.url).get("/zones")
    assert "GET /zones" in caplog.text
    assert TOKEN not in caplog.text


def test_an_extra_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3", None)
    assert "cloudflare needs the Python library urllib3" in told(InputError, "http://127.0.0.1:9")


@pytest.mark.parametrize("secret", ["", "two words", "line\nfeed", "ünique"])
def test_what_cannot_be_a_token(secret: str) -> None:
    api = Api("Provider", "http://127.0.0.1:9", "cloudflare", "dns.token (env:T)", "")
    with pytest.raises(InputError) as caught:
        Client(api, lambda method, url, content: {}, [secret])
    assert not secret or secret not in str(caught.value)


def test_a_list_that_changes_while_it_is_read(echo: Echo) -> None:
    client = connected(echo.url)
    asked: list[int] = []

    def fetch(number: int) -> tuple[list[str], int | None, bool]:
        asked.append(number)
        if number == 1:
            return ["a", "b"], 3, True
        return (["b"] if len(asked) > 2 else []), 3, False

    assert client.pages(fetch, "GET /x") == ["a", "b", "b"]
    assert asked == [1, 2, 1, 2]
    with pytest.raises(DnsFailed, match="the list changes each time it is read"):
        client.pages(lambda number: ([], 1, False), "GET /x")


def test_the_pace_is_kept() -> None:
    now = [0.0]

    def nap(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(4, lambda: now[0], nap)
    for _ in range(40):
        pace.wait()
    assert now[0] == 0
    for _ in range(100):
        pace.wait()
    assert now[0] == pytest.approx(25)
    assert shared("x", 1.0) is shared("x", 1.0)
    Pace(None, lambda: now[0], nap).wait()
