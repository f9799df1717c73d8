"""Servers that stand in for providers' HTTP APIs: on loopback, in a thread of the test, with faults on demand.

StandIn            a subclass answers; `faults` come first, one for each request that they are about
Fault              lost: it is done, and the connection is closed; or an answer in place of doing it
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    lost: bool = False  # nothing is sent


@dataclass(frozen=True)
class Fault:
    """`about`: which requests. `instead`: what is answered; None: it is done, and the answer is lost. `after`: it is
    done all the same. `pretend`: it is answered as usual, and done only by catch_up(), or never.
    """

    about: Callable[[Request], bool]
    instead: Response | None = None
    after: bool = False
    pretend: bool = False


class StandIn(ABC):
    """`seen`: what was asked. `tokens` never come into it: headers are not kept."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.faults: list[Fault] = []
        self.put_off: list[Callable[[], object]] = []
        self.lock = threading.RLock()
        self.url = ""

    @abstractmethod
    def answer(self, request: Request) -> Response: ...

    def serve(self, request: Request) -> Response:
        with self.lock:
            self.seen.append(request)
            fault = next((one for one in self.faults if one.about(request)), None)
            if fault is None:
                return self.answer(request)
            self.faults.remove(fault)
            if fault.pretend:
                return self.pretended(request)
            if fault.instead is not None and not fault.after:
                return fault.instead
            self.answer(request)
            self.finish()
            return fault.instead or Response(lost=True)

    @abstractmethod
    def pretended(self, request: Request) -> Response:
        """What it would answer, without doing it: that goes to `put_off`."""

    def finish(self) -> None:  # noqa: B027 (most have nothing to do there)
        """What it does behind its answers is done."""

    def catch_up(self) -> None:
        with self.lock:
            for todo in self.put_off:
                todo()
            self.put_off.clear()


@contextmanager
def serving(stand_in: StandIn) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _do(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = parse_qs(address.query, keep_blank_values=True)
            made = stand_in.serve(Request(self.command, address.path, query, dict(self.headers), body))
            if made.lost:
                self.close_connection = True
                return
            self.send_response(made.status)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
