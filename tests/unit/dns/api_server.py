"""A local HTTP server in place of a provider's API: what it answers, what it was asked, and how it fails.

    ApiServer        handle() is the provider's; `serving()` starts it on a loopback port
    Fault            what happens in place of an answer, or after the change was made

Each provider's stand-in is a module of its own (cloudflare_server.py, …), written from the description that the
provider publishes, not from the driver. Those whose records are rows have them in rows.py.
"""

from __future__ import annotations

import json
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # without what is the same for all, unquoted
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    url: str = ""
    raw: bytes = b""

    @property
    def body(self) -> Any:
        """Of JSON."""
        return json.loads(self.raw) if self.raw else None


@dataclass(frozen=True)
class Answer:
    status: int = 200
    data: Any = None  # bytes are sent as they are
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """`on`: pattern of "METHOD path". `answer`: None cuts the connection. `after`: the change is made before it.
    `pretend`: it is answered as usual, and the change is made only by catch_up(), or never. `skip`: so many that match
    are let through first. `times`: how often it happens.
    """

    on: str
    answer: Answer | None = None
    after: bool = False
    pretend: bool = False
    skip: int = 0
    times: int = 1

    def hits(self, request: Request) -> bool:
        if not re.search(self.on, f"{request.method} {request.path}") or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class ApiServer(ABC):
    prefix = ""
    url = ""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.put_off: list[Request] = []
        self.lock = threading.Lock()

    @abstractmethod
    def handle(self, request: Request) -> Answer: ...

    def answer(self, request: Request) -> Answer | None:
        with self.lock:
            self.requests.append(request)
            fault = next((one for one in self.faults if one.hits(request)), None)
            if fault and fault.pretend:
                self.put_off.append(request)
                return self.pretended(request)
            if fault and not fault.after:
                return fault.answer
            if fault is None:
                return self.handle(request)
            self.done(request)
            return fault.answer

    @abstractmethod
    def pretended(self, request: Request) -> Answer:
        """What it would answer, without doing it."""

    def done(self, request: Request) -> None:
        """With what the provider does behind its answer."""
        self.handle(request)

    def catch_up(self) -> None:
        """What was put off is done."""
        with self.lock:
            for request in self.put_off:
                self.done(request)
            self.put_off.clear()

    def calls(self, pattern: str = "") -> list[str]:
        told = [f"{one.method} {one.path}" for one in self.requests]
        return [one for one in told if re.search(pattern, one)]


@contextmanager
def serving(api: ApiServer) -> Iterator[str]:
    """Its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            request = Request(
                self.command,
                unquote(parts.path.removeprefix(api.prefix)),
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                api.url + self.path.removeprefix(api.prefix),
                raw,
            )
            answer = api.answer(request)
            if answer is None:
                self.close_connection = True
                return
            body = answer.data if isinstance(answer.data, bytes) else json.dumps(answer.data).encode()
            if answer.data is None:
                body = b""
            headers = {"Content-Type": "application/json", "Content-Length": len(body), **answer.headers}
            head = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in headers.items())]
            self.wfile.write("\r\n".join([*head, "", ""]).encode("latin-1") + body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}{api.prefix}"
    try:
        yield api.url
    finally:
        server.shutdown()
        server.server_close()
